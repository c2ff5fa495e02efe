"""From a path to a sorted `FlowStore`: detect the dialect, read, sort; or open a store.

Two sources, one to learn from and one to be tested on, become one store: the ids of the second
count on from those of the first, so that every flow keeps one of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from netvigil import parts
from netvigil.config import Choice
from netvigil.contracts import FlowBatch, FlowInfo, FlowTable, ReadReport
from netvigil.detect import detect
from netvigil.errors import NetvigilError, SourceError
from netvigil.phases import Phases
from netvigil.pipeline import Chosen, choose
from netvigil.plugins import Plugins
from netvigil.store import FlowStore

READ_ROWS = (
    262_144  # flows per batch of a reader; about 80 MB with 50 features and the text they came from
)


@dataclass(frozen=True)
class Reading:
    """Which reader takes a source, and why."""

    reader: Chosen
    reason: str


def choose_reader(
    source: Path,
    plugins: Plugins,
    *,
    name: str = "auto",
    options: Mapping[str, Any] | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> Reading:
    """Pick a reader by name, or ask each in turn whether the source is in its dialect.

    `fitted` is the name and config of the reader a bundle was fitted with: if that is the one, it
    gets the same settings again, because a timeout decides what a flow is.

    Raises:
        SourceError: No such source, or nobody knows its dialect.
    """
    require_source(source)
    reason = "named by flows.reader"
    if name == "auto":
        found = detect(source, [r.part for r in plugins.of(parts.FlowReader)])
        name, reason = found.name, found.reason
    if fitted is not None and fitted["name"] == name:
        options = {**fitted["config"], **(options or {})}
    choice = Choice(name=name, options=dict(options or {}))
    chosen = choose(plugins, parts.FlowReader, choice, section="flows", base=source.parent)
    return Reading(chosen, reason)


def require_source(source: Path) -> None:
    """Raise `SourceError` where there is nothing at a path."""
    if not source.exists():
        msg = "There is no such source."
        do = "Check the path; in an experiment file it is relative to the file's folder."
        raise SourceError(msg, where=str(source), do=do)


def open_source(source: Path, reading: Reading, target: Path, phases: Phases) -> FlowStore:
    """Read a source into a store at `target`; a source that is a store is used where it lies."""
    if is_store(source):
        return FlowStore.open(source)
    with phases.phase("read") as advance:
        return FlowStore.write(read_batches(source, reading.reader), target, progress=advance)


@dataclass
class SourceRows:
    """One source within a store: its accounting, and the ids from `first_id` up to `end_id`."""

    source: Path
    first_id: int = 0
    end_id: int = 0
    flows: int = 0
    report: ReadReport = field(default_factory=ReadReport)


def open_sources(
    sources: Sequence[Path], reading: Reading, target: Path, phases: Phases
) -> tuple[FlowStore, tuple[SourceRows, ...]]:
    """Read sources of one dialect into one store; a single one is opened as `open_source` does.

    Raises:
        SourceError: A later source is read as something else, or has other columns than the first.
    """
    if len(sources) == 1:
        store = open_source(sources[0], reading, target, phases)
        whole = SourceRows(sources[0], end_id=2**63 - 1, flows=len(store), report=store.report)
        return store, (whole,)
    rows = tuple(SourceRows(source) for source in sources)
    with phases.phase("read") as advance:
        store = FlowStore.write(_joined(rows, reading), target, progress=advance)
    return store, rows


def _joined(rows: Sequence[SourceRows], reading: Reading) -> Iterator[FlowBatch]:
    """Yield the batches of several sources, ids counted on, and note what was whose."""
    like: tuple[FlowInfo, list[str]] | None = None
    end = 0
    for own in rows:
        own.first_id = own.end_id = end
        for batch in _batches_of(own.source, reading):
            table, shift = batch.flows.table, pa.scalar(own.first_id, pa.int64())
            like = like or (batch.flows.info, table.column_names)
            _require_alike(batch.flows, like, own.source)
            ids = pc.add(table["flow_id"], shift)
            table = table.set_column(table.column_names.index("flow_id"), "flow_id", ids)
            inline = batch.inline
            if inline is not None:
                place = inline.column_names.index("flow_id")
                inline = inline.set_column(place, "flow_id", pc.add(inline["flow_id"], shift))
            if len(ids):
                own.end_id = max(own.end_id, int(np.max(ids.to_numpy())) + 1)
            own.flows += len(ids)
            own.report += batch.report
            flows = FlowTable.trusted(table.select(like[1]), batch.flows.info)
            yield FlowBatch(flows, batch.report, inline)
        if not own.flows:
            msg = "The source holds no flow."
            raise SourceError(msg, where=str(own.source), do="Check the file and its format.")
        end = own.end_id


def _batches_of(source: Path, reading: Reading) -> Iterator[FlowBatch]:
    if not is_store(source):
        yield from read_batches(source, reading.reader)
        return
    store = FlowStore.open(source)
    report, inline = store.report, store.inline()
    for flows in store.batches():
        yield FlowBatch(flows, report, inline)
        report, inline = ReadReport(), None


def _require_alike(flows: FlowTable, like: tuple[FlowInfo, list[str]], source: Path) -> None:
    """Refuse a test source that the models could not be asked about."""
    info, columns = like
    if flows.info != info:
        msg = f"The test source is read as '{flows.info.format}', the source as '{info.format}'."
        do = "Both must be in one dialect, with bytes counted alike; convert one of them."
        raise SourceError(msg, where=f"{source}: {flows.info} against {info}", do=do)
    differ = sorted(set(flows.table.column_names) ^ set(columns))
    if differ:
        msg = f"The test source has other columns than the source: {', '.join(differ)}."
        raise SourceError(msg, where=str(source), do="Bring both to the same columns.")


def read_batches(source: Path, reader: Chosen) -> Iterator[FlowBatch]:
    """Yield a reader's batches; what the operating system says then names the source."""
    try:
        yield from reader.make().read(source, batch_rows=READ_ROWS)
    except OSError as error:
        msg = f"The source cannot be read as '{reader.name}'."
        raise SourceError(msg, where=f"{source}: {error.strerror or error}") from error


def is_store(source: Path) -> bool:
    """Say whether a path is a Parquet file that netvigil wrote."""
    if not source.is_file() or source.suffix != ".parquet":
        return False
    try:
        FlowStore.open(source)
    except NetvigilError:
        return False
    return True


def digest(source: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files."""
    if source.is_file():
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(source)}\0{digest(path)}\n".encode())
    return whole.hexdigest()
