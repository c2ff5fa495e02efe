"""Sources of several files: read in turn, ids running on, and what cannot be read is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netvigil.contracts import FlowBatch
from netvigil.contracts.flows import ReadReport
from netvigil.errors import SourceError
from netvigil_flowprep.tally import Tally


@dataclass
class Turn:
    """One file's turn: `first_row` rows came before it; its reader counts its own in `rows`."""

    file: Path
    first_row: int
    rows: int = 0


def in_turn(
    source: Path, files: Sequence[Path], read: Callable[[Turn], Iterator[FlowBatch]]
) -> Iterator[FlowBatch]:
    """Yield the batches of all files; `read` yields at least one for each file it can read.

    Raises:
        SourceError: The source is a file and cannot be read, or a folder without one that can.
    """
    failed = Tally(source.name)

    def batches() -> Iterator[FlowBatch]:
        first_row, found = 0, False
        for file in files:
            turn = Turn(file, first_row)
            try:
                for batch in read(turn):
                    found = True
                    yield batch
            except SourceError as error:
                if file == source:
                    raise
                failed.skip_file(file.name, error.what)
            # Rows of a file that broke off half-way have their ids too.
            first_row += turn.rows
        if not found:
            msg = f"None of the folder's {len(files):,} files can be read."
            reasons = "; ".join(failed.report().skipped_files[:3])
            raise SourceError(msg, where=str(source), do=reasons)

    return closing(batches(), failed.report)


def closing(batches: Iterable[FlowBatch], report: Callable[[], ReadReport]) -> Iterator[FlowBatch]:
    """Yield batches one behind, and add to the last what is only known at the end."""
    held = None
    try:
        for batch in batches:
            if held is not None:
                yield held
            held = batch
    except SourceError:
        if held is not None:  # what was read before the error is not lost by it
            yield held
        raise
    if held is not None:
        yield replace(held, report=held.report + report())


def note(text: str) -> ReadReport:
    """Return a report with a remark (escaped where it quotes a file) and nothing else."""
    return ReadReport(examples=(text,))
