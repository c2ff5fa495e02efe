"""Sums of rows by group, for many groups and wide rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 65_536  # rows whose sums are in single precision


def add_rows(
    total: NDArray[np.float64],
    group: NDArray[np.integer[Any]],
    share: NDArray[np.float32],
    x: NDArray[np.float32],
) -> None:
    """Add each row, times its share, to the total of its group, in place.

    Block after block; sums within one are in single precision, over blocks in double. Rows of a
    group that lie near each other touch few rows of `total`, which is what makes it fast.

    Shapes:
        total: [groups, columns]; group: int32 or int64 [rows], rows of `total`, or -1: nowhere
        share: [rows]; x: [rows, columns]

    Example:
        >>> total = np.zeros((2, 1))
        >>> x = np.array([[1.0], [2.0], [4.0]], np.float32)
        >>> add_rows(total, np.array([1, 1, -1]), np.ones(3, np.float32), x)
        >>> total.ravel()
        array([0., 3.])
    """
    import scipy.sparse as sp  # late, because listing parts imports what builders import

    for first in range(0, len(group), BLOCK):
        here = np.asarray(group[first : first + BLOCK])
        unsigned = np.uint32 if here.dtype == np.int32 else np.uint64
        low, high = int(here.view(unsigned).min()), int(here.max()) + 1  # -1 is the largest then
        if high == 0:
            continue
        # Each row of this matrix is a row of x; its column is its group, after one for nowhere.
        column = here - here.dtype.type(low - 1)
        np.maximum(column, 0, out=column)
        pointer = np.arange(len(here) + 1, dtype=np.int32)
        parts = (share[first : first + BLOCK], column.astype(np.int32, copy=False), pointer)
        matrix = sp.csr_matrix(parts, shape=(len(here), high - low + 1))
        total[low:high] += (matrix.T @ x[first : first + BLOCK])[1:]
