"""Alert formats of core."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from netvigil.contracts import AlertTable


class Jsonl:
    """One JSON object per line, times in ISO 8601 UTC; JSON itself escapes text from traffic."""

    suffix = ".jsonl"

    def export(self, alerts: Iterable[AlertTable], target: Path) -> int:
        """Write all alerts; returns how many."""
        written = 0
        with target.open("w", encoding="utf-8") as file:
            for table in alerts:
                for row in table.table.to_pylist():
                    for name, value in row.items():
                        if isinstance(value, datetime):
                            row[name] = value.isoformat(timespec="microseconds")
                    file.write(json.dumps(row, ensure_ascii=True) + "\n")
                written += len(table)
        return written
