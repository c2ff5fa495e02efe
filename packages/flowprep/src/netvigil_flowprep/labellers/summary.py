"""What a labeller did, so that truth which matches nothing never passes silently."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import LabelTable
from netvigil.errors import SourceError


@dataclass(frozen=True)
class LabelSummary:
    """Counts over all calls of one labeller.

    `flows` were asked about, `known` got a label, `attacks` of them are attacks; `truth_rows` is
    how many rows or events the truth has (0 for a labeller that has none of its own),
    `truth_rows_matched` how many of these met at least one flow.
    """

    flows: int
    known: int
    attacks: int
    truth_rows: int = 0
    truth_rows_matched: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def require_matches(self, *, where: str) -> None:
        """Refuse truth that matched no flow at all, which is a wrong file or a wrong clock.

        Raises:
            SourceError: The truth has rows and there were flows, and not one met another.
        """
        if self.truth_rows and self.flows and not self.truth_rows_matched:
            msg = f"None of {self.truth_rows:,} rows of truth matches any of {self.flows:,} flows."
            raise SourceError(
                msg,
                where=where,
                do="Check addresses and clocks: offset_s shifts the truth, tolerance_s widens it.",
            )


class Tally:
    """Counts towards a `LabelSummary`, batch by batch."""

    def __init__(self, truth_rows: int = 0) -> None:
        self._flows = self._known = self._attacks = 0
        self._matched = np.zeros(truth_rows, np.bool_)

    def add(
        self, flows: int, labels: LabelTable, row: NDArray[np.int64] | None = None
    ) -> LabelTable:
        """Count one batch, with the truth row of each flow (-1: none), and hand its labels on."""
        self._flows += flows
        self._known += len(labels)
        self._attacks += int(np.count_nonzero(labels.table["is_attack"].to_numpy()))
        if row is not None:
            self._matched[row[row >= 0]] = True
        return labels

    def summary(self) -> LabelSummary:
        """Return the counts so far."""
        matched = int(np.count_nonzero(self._matched))
        return LabelSummary(self._flows, self._known, self._attacks, len(self._matched), matched)
