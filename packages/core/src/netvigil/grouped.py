"""Sums and means of rows by group, for many groups and wide rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Group = NDArray[np.integer[Any]]
BLOCK = 65_536  # rows whose sums are in single precision


def add_rows(
    total: NDArray[np.float64],
    group: Group,
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


class Means(NamedTuple):
    """The mean of each group's rows, 0 of none, and how many they are.

    Shapes:
        x: float32 [groups, columns]; rows: int64 [groups]
    """

    x: NDArray[np.float32]
    rows: NDArray[np.int64]


def group_means(
    sides: Sequence[Group],
    groups: int,
    x: NDArray[np.float32],
    weight: NDArray[np.float64] | None = None,
) -> Means:
    """Average rows by group; with several sides a row counts once for each of its groups.

    Groups whose rows weigh nothing together get their plain mean.

    Shapes:
        sides: int32 or int64 [rows] each, the group of each row, or -1: nowhere
        x: [rows, columns]; weight: float64 [rows], 0 or more, or None for a plain mean

    Example:
        >>> x = np.array([[1.0], [3.0], [8.0]], np.float32)
        >>> group_means([np.array([0, 0, -1])], 2, x).x.ravel()
        array([2., 0.], dtype=float32)
    """
    rows, total = np.zeros(groups, np.int64), np.zeros(groups)
    for group in sides:
        rows += np.bincount(group + 1, minlength=groups + 1)[1:]
        if weight is not None:
            total += np.bincount(group + 1, weight, groups + 1)[1:]
    plain = total <= 0
    one = (1 / np.where(plain, np.maximum(rows, 1), total)).astype(np.float32)
    mean = np.zeros((groups, x.shape[1]))
    for group in sides:
        if not groups:
            break
        share = one.take(group, mode="wrap")  # of -1 it is any number, and goes nowhere
        if weight is not None:
            share *= np.where(plain.take(group, mode="wrap"), 1, weight).astype(np.float32)
        add_rows(mean, group, share, x)
    return Means(mean.astype(np.float32), rows)
