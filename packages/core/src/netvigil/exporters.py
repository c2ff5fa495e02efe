"""Alert formats of core."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from netvigil.contracts import AlertTable


class Jsonl:
    """One JSON object per line, times in ISO 8601 UTC; JSON itself escapes text from traffic."""

    suffix = ".jsonl"

    def export(self, alerts: Iterable[AlertTable], target: Path) -> int:
        """Write all alerts; returns how many."""
        written = 0
        with target.open("w", encoding="utf-8") as file:
            for alerts_of_batch in alerts:
                file.writelines(_lines(alerts_of_batch.table))
                written += len(alerts_of_batch)
        return written


def _lines(table: pa.Table) -> Iterator[str]:
    """Yield a line per row, made of whole columns: a third of the time of one row at a time."""
    if not table.num_rows:
        return
    row = "{" + ", ".join(f"{json.dumps(name)}: %s" for name in table.column_names) + "}\n"
    for cells in zip(*map(_cells, table.columns), strict=True):
        yield row % cells


def _cells(column: pa.ChunkedArray) -> list[str]:
    """Return each value of a column as JSON.

    Text in JSON has no line break, so one between two values is where these are cut apart.
    """
    if pa.types.is_timestamp(column.type):
        return _times(column)
    values = column.to_pylist()
    if not pa.types.is_list(column.type):
        return _dumped(values).split("\n")
    if column.null_count:
        return [json.dumps(value) for value in values]
    within = _dumped(values)[1:-1].split("]\n[")
    return ["[" + inner.replace("\n", ", ") + "]" for inner in within]


def _dumped(values: list[Any]) -> str:
    return json.dumps(values, separators=("\n", ":"))[1:-1]


def _times(column: pa.ChunkedArray) -> list[str]:
    """JSON has no times, so these are text; Arrow's own way takes twenty times as long."""
    texts = np.datetime_as_string(column.to_numpy(), unit="us").tolist()
    return ["null" if text == "NaT" else f'"{text}+00:00"' for text in texts]
