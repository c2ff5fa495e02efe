"""Which interval of the same key does each of a million others overlap? Sorted once, then searched.

No loop over flows and none over intervals: the truth is sorted by (key, start) with the running
    maximum of its ends, so the best candidate of a flow is the last interval that starts before the
    flow ends, and one comparison tells whether anything overlaps at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvigil_flowprep.so_far import running_maximum


class IntervalIndex:
    """Intervals with keys, ready to be searched.

    Shapes:
        key: uint64 [intervals], what must be equal; start_us, end_us: int64 [intervals], both
            inclusive
    """

    def __init__(
        self, key: NDArray[np.uint64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]
    ) -> None:
        self._marked = _Marked(key)
        order = np.lexsort((start_us, key))
        self._keys, code = np.unique(key[order], return_inverse=True)
        self._first = np.searchsorted(code, np.arange(len(self._keys)))
        # (key, start) as one sortable number: starts become ranks, so that nothing overflows.
        self._starts = np.unique(start_us)
        self._place = (
            code * (len(self._starts) + 1) + 1 + np.searchsorted(self._starts, start_us[order])
        )
        self._row = order[running_maximum(code, end_us[order])]
        self._end = end_us[self._row]

    def find(
        self, key: NDArray[np.uint64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the row of an interval that each query overlaps, or -1.

        Of several, it is the one that ends last among those that start before the query ends.

        Shapes:
            key, start_us, end_us: [queries]
            returns: int64 [queries]

        Example:
            >>> index = IntervalIndex(np.array([7], np.uint64), np.array([10]), np.array([20]))
            >>> key, start = np.array([7, 7, 8], np.uint64), np.array([20, 21, 9])
            >>> index.find(key, start, end_us=np.array([25, 25, 9]))
            array([ 0, -1, -1])
        """
        found = np.full(len(key), -1, np.int64)
        if not len(self._keys):
            return found
        rows = self._marked.maybe(key)  # few flows share a key with the truth
        asked = key[rows]
        code = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        same = np.flatnonzero(self._keys[code] == asked)
        rows, code = rows[same], code[same]
        before = np.searchsorted(self._starts, end_us[rows], side="right")
        place = code * (len(self._starts) + 1) + before
        last = np.searchsorted(self._place, place, side="right") - 1
        hit = (last >= self._first[code]) & (self._end[last] >= start_us[rows])
        found[rows[hit]] = self._row[last[hit]]
        return found


class _Marked:
    """Which keys may be among some: a look-up each, where a search is as many as their logarithm.

    Keys are marked by their highest bits, 16 places for each, up to 16 MB. Keys are hashes, so few
    others meet a mark by chance; at the worst all do, and are searched.
    """

    def __init__(self, key: NDArray[np.uint64]) -> None:
        bits = min(max((16 * len(key)).bit_length(), 1), 24)
        self._unread = np.uint64(64 - bits)
        self._marks = np.zeros(1 << bits, np.bool_)
        self._marks[key >> self._unread] = True

    def maybe(self, key: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the rows of keys that may be among those marked, increasing, int64 [rows]."""
        place = (key >> self._unread).view(np.int64)  # NumPy indexes by signed numbers only
        return np.flatnonzero(self._marks.take(place))
