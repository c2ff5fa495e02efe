"""From a path to a sorted `FlowStore`: detect the dialect, read, sort; or open a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netvigil import parts
from netvigil.config import Choice
from netvigil.contracts import FlowBatch
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
