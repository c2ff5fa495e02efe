"""Whether flow ids are distinct, asked of every table that passes between rooms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPARSE = 8
"""Ids that lie further apart than one in so many are sorted; marking them would touch more."""


def distinct(ids: NDArray[np.int64]) -> int:
    """Return how many different ids there are.

    Ids usually rise, so that is looked at first; else each is marked on a list of all that there
    could be, and where that is too long they are sorted, which still beats hashing ten times over.
    """
    if np.all(ids[1:] > ids[:-1]):  # true of no id and of one as well
        return len(ids)
    low = ids.min()
    span = int(ids.max()) - int(low) + 1
    if span <= SPARSE * len(ids):
        marked = np.zeros(span, np.bool_)
        marked[ids - low] = True
        return int(np.count_nonzero(marked))
    ordered = np.sort(ids)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1
