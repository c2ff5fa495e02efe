"""Classes over time, or over rows where a source has no clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_BINS = 96
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
WIDTHS = (
    *(n * p for p in (1_000, 10_000, 100_000) for n in (1, 2, 5)),
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 28, 91, 364, 3_640, 36_400)),
)
"""Widths of a bin that a person can name, microseconds."""


@dataclass(frozen=True)
class Timeline:
    """Flows of each class in each bin.

    Shapes:
        counts: int64 [classes, bins]
        edges: int64 [bins + 1]: microseconds since 1970 with a clock, else row numbers
    """

    clock: bool
    width: int
    edges: NDArray[np.int64]
    counts: NDArray[np.int64]


class TimelineCounter:
    """Counts classes into bins of a known range, batch by batch.

    Example:
        >>> counter = TimelineCounter(0, 9, clock=False, classes=1)
        >>> counter.update(np.arange(10), np.zeros(10, np.int8))
        >>> int(counter.result().counts.sum())
        10
    """

    def __init__(self, first: int, last: int, *, clock: bool, classes: int) -> None:
        self.clock, self.classes = clock, classes
        span = last - first
        self.width = _width(span) if clock else -(-(span + 1) // MOST_BINS)
        self.first = first // self.width * self.width
        self.bins = (last - self.first) // self.width + 1
        self._counts = np.zeros((classes, self.bins), np.int64)

    def update(self, at: NDArray[np.int64], number: NDArray[np.integer]) -> None:
        """Count one batch.

        Shapes:
            at: int64 [flows], start or row
            number: [flows], each flow's class
        """
        place = np.clip((at - self.first) // self.width, 0, self.bins - 1)
        flat = number.astype(np.int64) * self.bins + place
        self._counts += np.bincount(flat, minlength=self._counts.size).reshape(self._counts.shape)

    def result(self) -> Timeline:
        """Return the counts."""
        edges = self.first + self.width * np.arange(self.bins + 1)
        return Timeline(self.clock, self.width, edges, self._counts)


def _width(span: int) -> int:
    if not span:
        return SECOND
    return next((w for w in WIDTHS if span // w < MOST_BINS), span // MOST_BINS + 1)
