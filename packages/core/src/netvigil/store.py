"""`FlowStore`: flows on disk in time order, written from any reader with bounded memory.

One Parquet file holds the flows, a sidecar `<name>.inline.parquet` the source's own label text.
Batches are written as they come; if they did not come in time order, a second pass sorts them
bucket by bucket, so that memory depends on the bucket and not on the capture. Writing is atomic: a
file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil.ahead import ahead
from netvigil.contracts import FlowBatch, FlowInfo, FlowTable, ReadReport
from netvigil.errors import ContractError, SourceError

ROW_GROUP = 131_072  # flows; about 25 MB of 50 features, so a few groups fit in any budget
BUCKET = 1_048_576  # flows sorted in memory at once
INLINE = pa.schema([("flow_id", pa.int64()), ("label", pa.string()), ("attack", pa.string())])
Progress = Callable[[int], None]


@dataclass(frozen=True)
class FlowStore:
    """Flows in a Parquet file, sorted by start (by row where there is no clock).

    `report` is the row accounting of the read that made it, kept in the file's metadata.
    """

    path: Path
    info: FlowInfo
    report: ReadReport
    rows: int
    schema: pa.Schema = field(repr=False)

    def __len__(self) -> int:
        return self.rows

    @staticmethod
    def open(path: Path) -> FlowStore:
        """Open a store that netvigil wrote; refuses any other file with the reason."""
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            msg = "This is not a readable Parquet file."
            raise SourceError(msg, where=f"{path}: {error}") from error
        with file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            metadata = file.metadata.metadata or {}
        try:
            info = FlowInfo.from_metadata(metadata)
            FlowTable(schema.empty_table(), info)  # the columns are what a flow table has
            raw: dict[str, Any] = json.loads(metadata.get(b"netvigil.report", b"{}"))
            report: dict[str, Any] = {
                key: tuple(v) if isinstance(v, list) else v for key, v in raw.items()
            }
            return FlowStore(path, info, ReadReport(**report), rows, schema)
        except (ContractError, TypeError, ValueError, AttributeError) as error:
            msg = "This Parquet file holds no flows that netvigil wrote."
            do = "Convert the source with `netvigil data convert` first."
            raise SourceError(msg, where=f"{path}: {error}", do=do) from error

    def batches(
        self, *, columns: list[str] | None = None, rows: int = ROW_GROUP
    ) -> Iterator[FlowTable]:
        """Yield all flows in time order, at most `rows` at a time."""
        for _, flows in self.select(None, columns=columns, rows=rows):
            yield flows

    def select(
        self,
        keep: NDArray[np.bool_] | None,
        *,
        columns: list[str] | None = None,
        rows: int = ROW_GROUP,
    ) -> Iterator[tuple[int, FlowTable]]:
        """Yield the kept flows in time order, each batch with the row of its first kept flow.

        Shapes:
            keep: bool [flows of the store], or None for all; parts of the file without one are not
                read
        """
        text = _text_columns(self.schema)
        # To buffer a row group first helps where the network is between; here it is one copy more.
        with pq.ParquetFile(self.path, read_dictionary=text, pre_buffer=False) as file:
            for group, offset, size in _groups(file):
                if keep is not None and not keep[offset : offset + size].any():
                    continue
                first = offset
                for batch in file.iter_batches(rows, row_groups=[group], columns=columns):
                    flows = FlowTable.trusted(pa.Table.from_batches([batch]), self.info)
                    mask = None if keep is None else keep[first : first + len(flows)]
                    if mask is None or mask.all():
                        yield first, flows
                    elif mask.any():
                        yield first + int(np.argmax(mask)), flows.take(mask)
                    first += batch.num_rows

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one whole column; 8 bytes per flow for times and ids, so use it for those only."""
        return pq.read_table(self.path, columns=[name])[name]

    def inline(self) -> pa.Table | None:
        """Return the source's own label text, or None where it has none."""
        sidecar = inline_path(self.path)
        if not sidecar.exists():
            return None
        return pq.read_table(sidecar, read_dictionary=["label", "attack"])

    def digest(self) -> str:
        """Return the SHA-256 of the flow file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @staticmethod
    def write(
        batches: Iterable[FlowBatch], path: Path, *, progress: Progress | None = None
    ) -> FlowStore:
        """Write a reader's batches to `path`, sorted, with the sidecar; a failure leaves nothing.

        Raises:
            SourceError: The source holds no flow at all; says how many rows were rejected and why.
            ContractError: Batches whose columns or `FlowInfo` differ.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch,
            ExitStack() as stack,
        ):
            folder = Path(scratch)
            spool = _spool(batches, folder, progress, stack)
            final = spool.path if spool.sorted else _sort(spool, folder, stack)
            if spool.inline is not None:
                spool.inline.replace(inline_path(path))
            else:
                inline_path(path).unlink(missing_ok=True)
            final.replace(path)
        return FlowStore.open(path)


def let_go(writer: pq.ParquetWriter) -> None:
    """Close a writer that a failure left open, quietly: the first error is the one that counts."""
    if writer.is_open:
        with suppress(OSError, pa.ArrowException):
            writer.close()
        writer.is_open = False  # or its finaliser would complain about the full disk once more


def inline_path(path: Path) -> Path:
    """Return where the label text of a flow file lies: `w.parquet` -> `w.inline.parquet`."""
    return path.with_name(f"{path.stem}.inline.parquet")


@dataclass
class _Spool:
    """What the first pass found: where it wrote, the row groups' time ranges, the accounting."""

    path: Path
    inline: Path | None
    info: FlowInfo
    report: ReadReport
    ranges: list[tuple[int, int]]
    sorted: bool


class _Writer:
    """A Parquet writer that gathers batches into row groups and notes each group's time range."""

    def __init__(self, path: Path, schema: pa.Schema, info: FlowInfo, stack: ExitStack) -> None:
        self.info, self.schema = info, schema
        self.ranges: list[tuple[int, int]] = []
        self._pending: list[pa.Table] = []
        self._waiting = 0
        text = [name for name in schema.names if pa.types.is_dictionary(schema.field(name).type)]
        self._file = pq.ParquetWriter(
            path, schema, compression="lz4", use_dictionary=text, write_statistics=False
        )
        stack.callback(let_go, self._file)

    def add(self, table: pa.Table, *, in_order: bool = True) -> None:
        """Take flows; where some came out of order before any was written, a bucket of them waits.

        It has to be in memory to be sorted anyhow.
        """
        self._pending.append(table)
        self._waiting += table.num_rows
        if self._waiting >= (ROW_GROUP if in_order or self.ranges else BUCKET):
            self._flush()

    def sort_waiting(self) -> bool:
        """Write all flows sorted by start, where none is written yet; see `add_sorted`."""
        if self.ranges:
            return False
        table = pa.concat_tables(self._pending)
        self._pending, self._waiting = [], 0
        self.add_sorted(table)
        return True

    def add_sorted(self, table: pa.Table) -> None:
        """Sort flows by start and take them; equal starts keep their order.

        A row group at a time: a copy of all would be memory that was never touched before.
        """
        order = np.argsort(table["start"].cast(pa.int64()).to_numpy(), kind="stable")
        for first in range(0, len(order), ROW_GROUP):
            self.add(table.take(pa.array(order[first : first + ROW_GROUP])))

    def close(self, report: ReadReport) -> None:
        self._flush()
        metadata = {b"netvigil.report": json.dumps(report.to_json()).encode()}
        self._file.add_key_value_metadata(metadata | self.info.to_metadata())
        self._file.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._pending)
        self._pending, self._waiting = [], 0
        for first in range(0, table.num_rows, ROW_GROUP):
            group = table.slice(first, ROW_GROUP)
            self._file.write_table(group, row_group_size=ROW_GROUP)
            if self.info.time_basis == "clock":
                start = group["start"].cast(pa.int64()).to_numpy()
                self.ranges.append((int(start.min()), int(start.max())))


def _spool(
    batches: Iterable[FlowBatch], folder: Path, progress: Progress | None, stack: ExitStack
) -> _Spool:
    """Write batches as they come; note whether they came in time order and with increasing ids.

    The next batch is read meanwhile: a reader that waits for another process waits for nobody here.
    """
    writer: _Writer | None = None
    labels: pq.ParquetWriter | None = None
    report = ReadReport()
    in_order, last_start, rising, last_id = True, -(2**63), True, -1
    for batch in ahead(iter(batches)):
        report += batch.report
        flows = batch.flows
        if len(flows) == 0:
            continue
        if writer is None:
            schema = flows.table.schema.remove_metadata()
            writer = _Writer(folder / "flows", schema, flows.info, stack)
        if flows.info.time_basis == "clock":
            start = flows.start_us
            in_order &= bool(start[0] >= last_start)
            last_start = max(last_start, int(start[-1]))
        writer.add(_same_columns(flows, writer), in_order=in_order)
        ids = flows.flow_id
        rising &= int(ids.min()) > last_id
        last_id = max(last_id, int(ids.max()))
        if batch.inline is not None:
            if labels is None:
                labels = pq.ParquetWriter(folder / "inline", INLINE, compression="lz4")
                stack.callback(let_go, labels)
            labels.write_table(_inline_columns(batch.inline))
        if progress:
            progress(len(flows))
    if labels is not None:
        labels.close()
    if writer is None:
        raise _nothing(report)
    # A source that waits whole needs no second pass.
    in_order = in_order or writer.sort_waiting()
    writer.close(report)
    if not rising:
        _require_unique(folder / "flows")
    inline = folder / "inline" if labels is not None else None
    return _Spool(folder / "flows", inline, writer.info, report, writer.ranges, in_order)


def _sort(spool: _Spool, folder: Path, stack: ExitStack) -> Path:
    """Sort a spooled file by start, one bucket of time at a time; equal starts keep their order."""
    with pq.ParquetFile(spool.path) as file:
        text = _text_columns(file.schema_arrow)
        start = file.read(columns=["start"])["start"].cast(pa.int64()).to_numpy()
        cuts = np.unique(np.sort(start)[::BUCKET])
    edges = [*cuts.tolist(), 2**63 - 1]
    target = folder / "sorted"
    with pq.ParquetFile(spool.path, read_dictionary=text) as file:
        writer = _Writer(target, file.schema_arrow.remove_metadata(), spool.info, stack)
        for low, high in pairwise(edges):
            pieces = []
            for group, (first, last) in enumerate(spool.ranges):
                if first < high and last >= low:
                    whole = low <= first and last < high
                    table = file.read_row_group(group)
                    pieces.append(table if whole else _between(table, low, high))
            writer.add_sorted(pa.concat_tables(pieces))
        writer.close(spool.report)
    return target


def _between(table: pa.Table, low: int, high: int) -> pa.Table:
    """Return the flows that start between two times, the second of them excluded."""
    start = table["start"].cast(pa.int64()).to_numpy()
    return table.filter(pa.array((start >= low) & (start < high)))


def _require_unique(path: Path) -> None:
    """Refuse ids that come twice; asked only where ids did not rise all the way."""
    ids = pq.read_table(path, columns=["flow_id"])["flow_id"].to_numpy()
    if len(np.unique(ids)) != len(ids):
        msg = "A reader gave one flow_id to two flows."
        raise ContractError(msg, do="flow_id counts the source's rows from 0 over all batches.")


def _same_columns(flows: FlowTable, writer: _Writer) -> pa.Table:
    table = flows.table.replace_schema_metadata(None)
    if flows.info != writer.info or table.schema != writer.schema:
        theirs, ours = set(table.schema.names), set(writer.schema.names)
        differ = ", ".join(sorted(theirs ^ ours)) or "their types or their order"
        msg = f"Batches of one source disagree about their columns: {differ}."
        raise ContractError(msg, where=f"{writer.info} against {flows.info}")
    return table


def _inline_columns(inline: pa.Table) -> pa.Table:
    arrays = [
        inline[f.name].cast(f.type)
        if f.name in inline.column_names
        else pa.nulls(inline.num_rows, f.type)
        for f in INLINE
    ]
    return pa.table(arrays, schema=INLINE)


def _groups(file: pq.ParquetFile) -> Iterator[tuple[int, int, int]]:
    offset = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        yield group, offset, size
        offset += size


def _text_columns(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if pa.types.is_dictionary(f.type)]


def _nothing(report: ReadReport) -> SourceError:
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in report.rejects.items())
    read = f"{report.read:,} rows read, {report.rejected:,} rejected"
    return SourceError(
        "The source holds no flow.",
        where=f"{read}: {reasons}" if reasons else read,
        do="Check the file and its format: `netvigil data inspect SOURCE`.",
    )
