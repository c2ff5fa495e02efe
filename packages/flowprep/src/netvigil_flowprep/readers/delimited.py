"""The engine of all delimited and Parquet readers: a `Dialect` goes in, `FlowBatch`es come out.

Files of a folder, in the order of their names, are one source: rows are numbered over all of them,
and a file that cannot be read, or is of another dialect, is named in `ReadReport.skipped_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from netvigil.ahead import ahead
from netvigil.contracts import FlowBatch
from netvigil.errors import SourceError
from netvigil.parts import PartConfig
from netvigil.protocols import SourceHead
from netvigil_flowprep.blocks import TextFile, clean_head
from netvigil_flowprep.canonical import to_batch
from netvigil_flowprep.readers.dialect import Dialect
from netvigil_flowprep.readers.parquet import is_parquet, parquet_frames, parquet_plan
from netvigil_flowprep.readers.parsing import parse
from netvigil_flowprep.readers.plan import Outputs, Plan, text_plan
from netvigil_flowprep.tally import Tally, escape

SMALLEST_BLOCK = 4_096
LARGEST_BLOCK = 48 << 20  # with the frames made of it, about ten times as much memory
SNIFFED_FILES = 16  # files of a folder that may decide its dialect


class Delimited:
    """Reads flow records of one dialect; implements `netvigil.protocols.FlowReader`."""

    def __init__(self, dialect: Dialect, config: PartConfig) -> None:
        self.dialect, self.config = dialect, config

    def sniff(self, head: SourceHead) -> str | None:
        """Say why the source is of this dialect, or None.

        Raises:
            SourceError: The header is of this dialect, but the rows below it are not.
        """
        if head.names:
            for name in head.names[:SNIFFED_FILES]:
                try:
                    plan = self._plan(head.path / name)
                except SourceError:
                    continue
                return f"{name}: {plan.why}"
            return None
        self._refuse_binary(head.head, head.path)
        if is_parquet(head.head):
            found = parquet_plan(head.path, self.dialect, self.config)
        else:
            lines = clean_head(head.head, head.path)
            found = text_plan(lines, head.path, self.dialect, self.config)
        return found.why if found else None

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield the source's flows, about `batch_rows` at a time.

        Raises:
            SourceError: No file of the source is of this dialect, or none holds a row.
        """
        plans, skipped = self._plans(source)
        outputs = Outputs.union(plans)
        first_row = 0
        for plan in plans:
            rows = 0
            for frame, counted, tally in ahead(self._frames(plan, batch_rows)):
                for name, why in skipped:
                    tally.skip_file(name, why)
                skipped = []
                rows += counted
                yield to_batch(
                    outputs.take(frame, plan, tally),
                    plan.info,
                    source_file=plan.path.name,
                    first_row=first_row,
                    tally=tally,
                )
            first_row += rows
        if not first_row:
            msg = "The source holds a header and no flows."
            raise SourceError(msg, where=str(source), do="Check the export.")

    def _plans(self, source: Path) -> tuple[list[Plan], list[tuple[str, str]]]:
        if not source.is_dir():
            return [self._plan(source)], []
        plans: list[Plan] = []
        skipped: list[tuple[str, str]] = []
        for path in sorted(p for p in source.iterdir() if p.is_file()):
            try:
                plan = self._plan(path)
            except SourceError as error:
                skipped.append((path.name, f"{error.what} {error.where}"))
                continue
            if plans and plan.info != plans[0].info:
                skipped.append((path.name, f"{plan.info} is not {plans[0].info}."))
                continue
            plans.append(plan)
        if not plans:
            msg = f"No file of the folder is '{self.dialect.name}'."
            first = "; ".join(f"{name}: {why}" for name, why in skipped[:3])
            raise SourceError(
                msg, where=f"{source}: {first}", do="Check the folder and the format."
            )
        return plans, skipped

    def _refuse_binary(self, first: bytes, path: Path) -> None:
        for magic, advice in self.dialect.magic.items():
            if first.startswith(magic):
                msg = f"The source is a binary '{self.dialect.name}' file, not text."
                raise SourceError(msg, where=str(path), do=advice)

    def _plan(self, path: Path) -> Plan:
        first = _first_bytes(path)
        self._refuse_binary(first, path)
        if is_parquet(first):
            plan: Plan | None = parquet_plan(path, self.dialect, self.config)
            seen = "its columns"
        else:
            head = TextFile(path).head()
            plan = text_plan(head, path, self.dialect, self.config)
            seen = head.split(b"\n", 1)[0].decode("utf-8", "replace")
        if plan is None:
            msg = f"The source is not '{self.dialect.name}': it should have {self.dialect.why}."
            raise SourceError(msg, where=f"{path}: {escape(seen, 200)}", do="Check the format.")
        return plan

    def _frames(self, plan: Plan, batch_rows: int) -> Iterator[_Piece]:
        if plan.is_parquet:
            for frame in parquet_frames(plan, batch_rows):
                yield _Piece(frame, frame.height, Tally(plan.path.name))
            return
        size = min(max(int(batch_rows * plan.line_bytes), SMALLEST_BLOCK), LARGEST_BLOCK)
        file = TextFile(plan.path)
        row = 0
        for block in file.blocks(
            size,
            skip_lines=plan.skip_lines,
            backslash_quotes=plan.dialect.backslash_quotes,
            stop_at=plan.dialect.stop_at,
        ):
            tally = Tally(plan.path.name)
            frame, counted = parse(block, plan.layout, row, tally)
            row += counted
            yield _Piece(frame, counted, tally)
        if file.damage:
            tally = Tally(plan.path.name)
            tally.skip_file(plan.path.name, f"{file.damage}; read up to there")
            yield _Piece(plan.layout.empty(), 0, tally)


class _Piece(NamedTuple):
    """A raw frame with `row`, how many data rows of the file it stands for, and its accounting."""

    frame: pl.DataFrame
    counted: int
    tally: Tally


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""  # whoever reads the file will say why
