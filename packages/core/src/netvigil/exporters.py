"""Alert formats of core."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from netvigil.contracts import AlertTable


class Jsonl:
    """One JSON object per line, times in ISO 8601 UTC; JSON itself escapes text from traffic."""

    suffix = ".jsonl"

    def export(self, alerts: Iterable[AlertTable], target: Path) -> int:
        """Write all alerts; returns how many."""
        written = 0
        with target.open("w", encoding="utf-8") as file:
            for alerts_of_batch in alerts:
                rows = _plain(alerts_of_batch.table).to_pylist()
                file.writelines(json.dumps(row) + "\n" for row in rows)
                written += len(rows)
        return written


def _plain(table: pa.Table) -> pa.Table:
    """Turn times into text, a column at once; JSON has no times."""
    for place, name in enumerate(table.column_names):
        if pa.types.is_timestamp(table.schema.field(name).type):
            text = pc.strftime(table[name], format="%Y-%m-%dT%H:%M:%S+00:00")
            table = table.set_column(place, name, text)
    return table
