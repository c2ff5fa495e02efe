"""Row accounting while a reader works: rows read, repaired and rejected, and first examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts.flows import EXAMPLES, ReadReport

SHOWN = 60  # characters of a hostile value that an example shows


class Tally:
    """Gathers the accounting of one batch; `report` hands it over and starts again.

    A row may be repaired for several reasons and still counts once; a row that is rejected in the
    end is not counted as repaired. Row numbers are 0-based ordinals of data rows within the file.
    """

    def __init__(self, source_file: str) -> None:
        self.source_file = source_file
        self._clear()

    def _clear(self) -> None:
        self.read = 0
        self._repairs: Counter[str] = Counter()
        self._rejects: Counter[str] = Counter()
        self._repaired_rows: list[NDArray[np.int64]] = []
        self._rejected_rows: list[NDArray[np.int64]] = []
        self._examples: list[str] = []
        self._skipped: list[str] = []

    def repair(
        self, reason: str, rows: Sequence[int] | NDArray[np.int64], *, value: object = None
    ) -> None:
        """Count accepted rows whose value was mended; `value` is the first, for the example."""
        self._note(reason, rows, value, counts=self._repairs, kept=self._repaired_rows)

    def reject(
        self, reason: str, rows: Sequence[int] | NDArray[np.int64], *, value: object = None
    ) -> None:
        """Count rows of the frame that will not become flows."""
        self._note(reason, rows, value, counts=self._rejects, kept=self._rejected_rows)

    def lose(
        self, reason: str, rows: Sequence[int] | NDArray[np.int64], *, value: object = None
    ) -> None:
        """Count rows that never made it into a frame (a broken line): read and rejected at once."""
        self.read += len(rows)
        self.reject(reason, rows, value=value)

    def skip_file(self, name: str, why: str) -> None:
        """Name a file of the source that could not be read (or not to its end), and why."""
        self._skipped.append(f"{escape(name)}: {escape(why, 200)}")

    def report(self) -> ReadReport:
        """Return the accounting since the last call."""
        rejected = _distinct(self._rejected_rows)
        repaired = np.setdiff1d(_distinct(self._repaired_rows), rejected, assume_unique=True)
        report = ReadReport(
            read=self.read,
            repaired=len(repaired),
            rejected=len(rejected),
            repairs=dict(self._repairs),
            rejects=dict(self._rejects),
            examples=tuple(self._examples),
            skipped_files=tuple(self._skipped),
        )
        self._clear()
        return report

    def _note(
        self,
        reason: str,
        rows: Sequence[int] | NDArray[np.int64],
        value: object,
        *,
        counts: Counter[str],
        kept: list[NDArray[np.int64]],
    ) -> None:
        if not len(rows):
            return
        # One example per reason says more than eight of the first one.
        if reason not in counts and len(self._examples) < EXAMPLES:
            shown = "" if value is None else f" ('{escape(str(value))}')"
            self._examples.append(
                f"{escape(self.source_file)}, row {int(rows[0])}: {reason}{shown}"
            )
        counts[reason] += len(rows)
        kept.append(np.asarray(rows, np.int64))


def escape(text: str, length: int = SHOWN) -> str:
    r"""Make text from traffic safe to print: only printable ASCII is left, long text is cut.

    Example:
        >>> print(escape("a\x1b[31mred"))
        a\x1b[31mred
    """
    shown = text[:length].encode("unicode_escape").decode("ascii")
    return shown if len(text) <= length else shown + "..."


def _distinct(rows: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
