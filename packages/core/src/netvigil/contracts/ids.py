"""Whether flow ids are distinct, asked of every table that passes between rooms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(ids: NDArray[np.int64]) -> int:
    """Return how many different ids there are.

    Ids usually rise, so that is looked at first; else sorting beats hashing ten times over.
    """
    if np.all(ids[1:] > ids[:-1]):  # true of no id and of one as well
        return len(ids)
    ordered = np.sort(ids)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1
