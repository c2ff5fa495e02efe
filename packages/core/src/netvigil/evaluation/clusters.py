"""How well clusters agree with classes: the adjusted Rand index, as a figure of comparison only.

It asks of every pair of flows whether both partitions keep it together or both part it, less what
chance would give. Nothing is chosen by it. Beware of what is compared: an alert rule against attack
and benign is two parts against two; DBSCAN's many clusters against two classes can only be low, as
each class is many kinds of traffic (.179 was published for over 140 clusters on NSL-KDD).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError


def adjusted_rand(clusters: NDArray[np.generic], classes: NDArray[np.generic]) -> float:
    """Return the adjusted Rand index (Hubert and Arabie, 1985) of two partitions of the same flows.

    1 where they are the same, about 0 where they have nothing to do with each other, below 0 where
    less. Any value is a name of a part: -1, which stands for flows in no cluster, is one of them.

    Shapes:
        clusters, classes: [flows]

    Raises:
        ContractError: Partitions of other lengths.

    Example:
        >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 2]))
        0.5714285714285714
    """
    if clusters.shape != classes.shape or clusters.ndim != 1:
        msg = f"Clusters of the shape {clusters.shape}, classes of {classes.shape}."
        raise ContractError(msg, do="Give each flow one cluster and one class.")
    _, left = np.unique(clusters, return_inverse=True)
    kinds, right = np.unique(classes, return_inverse=True)
    _, cells = np.unique(left.astype(np.int64) * len(kinds) + right, return_counts=True)
    return rand_of(cells.tolist(), np.bincount(left).tolist(), np.bincount(right).tolist())


def rand_of(cells: list[int], rows: list[int], columns: list[int]) -> float:
    """Return the index of a contingency table: the sizes of its cells, its rows and its columns.

    Integers of Python, as products of pairs of a million flows overflow 64 bits. Partitions that
    both keep all flows together, or part them all, are the same: 1.
    """
    together, left, right = (_pairs(sizes) for sizes in (cells, rows, columns))
    whole = _pairs([sum(rows)])
    if left == right == together:
        return 1.0
    # (index - expected) / (mean of both - expected), all of it times 2 * whole.
    chance = left * right
    return 2 * (together * whole - chance) / ((left + right) * whole - 2 * chance)


def _pairs(sizes: list[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)
