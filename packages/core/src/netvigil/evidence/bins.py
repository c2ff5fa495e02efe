"""The test part cut into bins of time: what a timeline shows, and what a click on it opens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST, MOST = 8, 400
"""Bins: below the first a timeline is no line, above the second nobody can hit one with a finger.
"""
SLICES = 120


@dataclass(frozen=True)
class Bins:
    """Consecutive bins of flows that come in order.

    Shapes:
        of_flow: int32 [flows], rising; start, end: int64 [bins], microseconds or row numbers, each
            bin up to but without its end
        words: what a bin is
    """

    of_flow: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    words: str

    def __len__(self) -> int:
        return len(self.start)


def cut(when: NDArray[np.int64], windows: NDArray[np.int64] | None, *, clock: bool) -> Bins:
    """Cut flows into the run's own windows, or into equal slices where those are too few or many.

    Shapes:
        when: int64 [flows], starts in microseconds (rising), or row numbers where there is no clock
        windows: int64 [flows], rising, anything that tells the run's windows apart, or None
    """
    if not len(when):  # there may be no calibration part
        none = np.empty(0, np.int64)
        return Bins(none.astype(np.int32), none, none, "no bins")
    if windows is not None:
        first = np.flatnonzero(np.diff(windows, prepend=windows[0] - 1))
        if FEWEST <= len(first) <= MOST:
            sizes = np.diff(np.append(first, len(when)))
            place = np.repeat(np.arange(len(first), dtype=np.int32), sizes)
            # Windows may count rows while `when` is time, so their flows say where they lie.
            return Bins(place, when[first], when[first + sizes - 1] + 1, "windows of the run")
    begin, last = int(when[0]), int(when[-1]) + 1
    slices = min(SLICES, max(1, last - begin))
    edges = begin + (np.arange(slices + 1) * (last - begin)) // slices
    of_flow = np.searchsorted(edges, when, side="right") - 1
    unit = "time" if clock else "rows"
    words = f"{slices} equal slices of {unit}"
    return Bins(of_flow.astype(np.int32), edges[:-1], edges[1:], words)
