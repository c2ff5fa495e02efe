"""What is the largest so far, within groups of consecutive rows, without a loop over the groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def running_maximum(group: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of the largest value so far within each group, int64 [rows].

    `group` numbers the groups 0, 1, 2, ... and never decreases.

    Example:
        >>> running_maximum(np.array([0, 0, 0, 1]), np.array([5, 9, 7, 1]))
        array([0, 1, 1, 3])
    """
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    # A rank below the row count leaves room for the group in the same int64.
    best = np.maximum.accumulate(group * len(values) + rank) - group * len(values)
    return order[best]


def largest_so_far(group: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the largest value so far within each group, int64 [rows]; `group` never decreases.

    Each pass looks twice as far back, so there are as many as the largest group has bits.

    Example:
        >>> largest_so_far(np.array([0, 0, 0, 1]), np.array([5, 9, 7, 1]))
        array([5, 9, 9, 1])
    """
    largest, back = values.copy(), 1
    while back < len(group):
        same = np.flatnonzero(group[back:] == group[:-back])
        if not len(same):
            break
        largest[same + back] = np.maximum(largest[same + back], largest[same])
        back *= 2
    return largest
