"""Counts of 64-bit keys over a stream. Memory grows with distinct keys, never with the flows."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]

MERGE_AT = 1 << 18
"""Distinct keys of single batches wait in a list until there are this many, or as many as are
merged already; so n batches cost n log n and not n squared, and the list stays small."""


class _Run(NamedTuple):
    keys: Keys
    counts: Counts


class KeyCounts:
    """How often each key was seen.

    Example:
        >>> counts = KeyCounts()
        >>> counts.add(np.array([7, 9, 7], np.uint64)).of(np.array([7, 8], np.uint64))
        array([2, 0])
        >>> keys = np.array([8, 7], np.uint64)
        >>> counts.add(keys, np.array([3, 1])).of(keys)
        array([3, 3])
    """

    def __init__(self) -> None:
        self._merged = _Run(np.empty(0, np.uint64), np.empty(0, np.int64))
        self._waiting: list[_Run] = []
        self._size = 0

    @staticmethod
    def restored(keys: Keys, counts: Counts) -> KeyCounts:
        """Make counts of what `keys` and `counts` returned."""
        made = KeyCounts()
        made._merged = _Run(keys, counts)
        return made

    def add(self, keys: Keys, times: Counts | None = None) -> Self:
        """Count one batch, each key once or so many times.

        Shapes:
            keys: uint64 [any]; times: int64, of the same length
        """
        if times is None:
            run = _Run(*np.unique(keys, return_counts=True))
        else:
            distinct, place = np.unique(keys, return_inverse=True)
            run = _Run(distinct, np.bincount(place, times, len(distinct)).astype(np.int64))
        self._waiting.append(run)
        self._size += len(run.keys)
        if self._size >= max(MERGE_AT, len(self._merged.keys)):
            self._merge()
        return self

    def of(self, keys: Keys) -> Counts:
        """Return how often each of these keys was added, int64 [keys]; 0 for a key never seen."""
        self._merge()
        known = self._merged
        if not len(known.keys) or not len(keys):
            return np.zeros(len(keys), np.int64)
        # A look-up of sorted keys walks through memory once; unsorted ones would jump about.
        distinct, place = np.unique(keys, return_inverse=True)
        row = np.minimum(np.searchsorted(known.keys, distinct), len(known.keys) - 1)
        counts = np.where(known.keys[row] == distinct, known.counts[row], 0)
        return counts[place]

    @property
    def keys(self) -> Keys:
        """The distinct keys, uint64 [distinct], rising."""
        self._merge()
        return self._merged.keys

    @property
    def counts(self) -> Counts:
        """How often each of `keys` was seen, int64 [distinct]."""
        self._merge()
        return self._merged.counts

    def _merge(self) -> None:
        if not self._waiting:
            return
        runs = [self._merged, *self._waiting]
        self._waiting, self._size = [], 0
        keys = np.concatenate([run.keys for run in runs])
        counts = np.concatenate([run.counts for run in runs])
        order = np.argsort(keys)
        keys, counts = keys[order], counts[order]
        if len(keys):
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            self._merged = _Run(keys[first], np.add.reduceat(counts, first))
