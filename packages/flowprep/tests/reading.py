"""Reads a source through the part of a dialect, all batches together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from netvigil.contracts import FlowInfo, ReadReport
from netvigil_flowprep import plugin
from netvigil_flowprep.labellers.rules import Interpreted, interpret

PARTS = {part.name: part for part in plugin.netvigil_flow_readers()}


@dataclass
class Read:
    table: pa.Table
    report: ReadReport
    info: FlowInfo
    inline: pa.Table | None

    def column(self, name: str) -> list[Any]:
        """Values in the order of the file."""
        order = pa.compute.sort_indices(self.table["flow_id"])
        return self.table[name].take(order).to_pylist()

    def labels(self) -> Interpreted:
        assert self.inline is not None
        inline = self.inline.sort_by("flow_id")
        texts = {n: pl.Series(n, inline[n]) for n in inline.column_names if n != "flow_id"}
        return interpret(texts.get("label"), texts.get("attack"), self.info.format)


def read(name: str, source: Path, *, batch_rows: int = 100_000, **settings: Any) -> Read:
    part = PARTS[name]
    batches = list(part.make(part.config(**settings)).read(source, batch_rows=batch_rows))
    report = sum((batch.report for batch in batches), ReadReport())
    table = pa.concat_tables([batch.flows.table for batch in batches])
    assert report.read == table.num_rows + report.rejected
    assert all(batch.report.read == len(batch.flows) + batch.report.rejected for batch in batches)
    inline = [batch.inline for batch in batches if batch.inline is not None]
    return Read(table, report, batches[0].flows.info, pa.concat_tables(inline) if inline else None)


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path
