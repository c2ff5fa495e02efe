"""Spearman's rank correlation of features on a sample, in an order in which blocks show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 30
"""Flows in which both features must be known: below, one flow more changes the coefficient."""
MOST = 60
"""Features in the picture: as many names as can be read."""
PAIRS, WEAKEST = 30, 0.3
"""Pairs in the table, and the |rho| from which a pair is worth a line: a tenth of the variance of
ranks."""


@dataclass(frozen=True)
class Pair:
    """Two features and their coefficient, over the sampled flows that have both."""

    one: str
    other: str
    rho: float
    flows: int


@dataclass(frozen=True)
class Correlation:
    """Coefficients of features.

    Shapes:
        rho: float64 [features, features], symmetric, in the order of `names`; NaN where undefined
    """

    names: tuple[str, ...]
    rho: NDArray[np.float64]
    pairs: tuple[Pair, ...]
    features: int
    sampled: int


def correlate(x: NDArray[np.float64], names: Sequence[str]) -> Correlation:
    """Correlate the columns of a sample that vary.

    A feature is ranked among its own known values, ties in the middle; a pair counts the flows that
    have both.

    Shapes:
        x: float64 [flows, features], NaN where missing
    """
    varying = [i for i in range(x.shape[1]) if _varies(x[:, i])]
    chosen = [names[i] for i in varying]
    ranks = np.empty((len(x), len(varying)))
    for place, column in enumerate(varying):
        ranks[:, place] = rank(x[:, column])
    rho, both = _pearson(ranks)
    pairs = _strongest(rho, both, chosen)
    kept = _most_correlated(rho)
    inner = rho[np.ix_(kept, kept)]
    order = blocks(inner)
    return Correlation(
        names=tuple(chosen[kept[i]] for i in order),
        rho=inner[np.ix_(order, order)],
        pairs=pairs,
        features=len(varying),
        sampled=len(x),
    )


def rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, ties in the middle, NaN where there is no value.

    Example:
        >>> rank(np.array([30.0, 10.0, np.nan, 10.0]))
        array([3. , 1.5, nan, 1.5])
    """
    ranks = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks[known] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def blocks(rho: NDArray[np.float64]) -> list[int]:
    """Return an order in which features that move together are neighbours.

    Average linkage over the distance 1 - |rho|, its leaves in the order that puts near ones side by
    side (Bar-Joseph et al. 2001).
    """
    if len(rho) < 3:
        return list(range(len(rho)))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    away = 1 - np.abs(np.nan_to_num(rho))
    np.fill_diagonal(away, 0)
    tree = linkage(squareform(away, checks=False), "average", optimal_ordering=True)
    order: list[int] = leaves_list(tree).tolist()
    return order


def _varies(values: NDArray[np.float64]) -> bool:
    known = values[~np.isnan(values)]
    return len(known) >= FEWEST and bool(known.min() < known.max())


def _pearson(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return coefficients and counts over the rows where both columns are known."""
    known = ~np.isnan(x)
    mask = known.astype(np.float64)
    # Around a mean near zero the differences of large sums keep their digits.
    filled = np.where(known, x - np.nanmean(x, axis=0) if x.size else x, 0.0)
    both = mask.T @ mask
    with np.errstate(divide="ignore", invalid="ignore"):
        one = filled.T @ mask  # sum of the row's feature where the column's is known
        square = (filled**2).T @ mask
        spread = square - one**2 / both
        covariance = filled.T @ filled - one * one.T / both
        rho = covariance / np.sqrt(spread * spread.T)
    still = spread <= 1e-9 * np.maximum(square, 1)
    rho[(both < FEWEST) | still | still.T] = np.nan
    rho = np.clip(rho, -1, 1)
    np.fill_diagonal(rho, 1.0)
    return rho, both.astype(np.int64)


def _strongest(
    rho: NDArray[np.float64], both: NDArray[np.int64], names: Sequence[str]
) -> tuple[Pair, ...]:
    rows, columns = np.triu_indices(len(names), 1)
    strength = np.nan_to_num(np.abs(rho[rows, columns]))
    order = np.argsort(-strength, kind="stable")[:PAIRS]
    return tuple(
        Pair(names[i], names[j], float(rho[i, j]), int(both[i, j]))
        for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True)
        if abs(rho[i, j]) >= WEAKEST  # an undefined one is not
    )


def _most_correlated(rho: NDArray[np.float64]) -> list[int]:
    if len(rho) <= MOST:
        return list(range(len(rho)))
    strength = np.nan_to_num(np.abs(rho - np.eye(len(rho)))).max(axis=1)
    return sorted(np.argsort(-strength, kind="stable")[:MOST].tolist())
