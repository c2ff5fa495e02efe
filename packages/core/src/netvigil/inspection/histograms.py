"""Distributions of numeric features by what a flow is: scales chosen from a sample, counts of all.

On a logarithmic scale zeros and negative values have no place, so they have bins of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvigil.inspection.columns import Column

BINS = 36
"""Bars that can still be told apart in a small picture."""
SPREAD = 100.0
"""A scale is logarithmic where the largest value is this many times the lower quartile of the
positive ones: on a linear one, a quarter of the flows would share the first hundredth."""
FEW_NEGATIVE = 0.05
"""Share of negative values up to which they fit in one bin, as codes for "not known" do."""


@dataclass(frozen=True)
class Scale:
    """Where the bins of a feature lie.

    Shapes:
        edges: float64 [bins + 1], rising; positive where `log`
    """

    edges: NDArray[np.float64]
    log: bool

    @property
    def bins(self) -> int:
        """Number of bins between the edges."""
        return len(self.edges) - 1


@dataclass(frozen=True)
class Histogram:
    """Counts of one feature.

    Shapes:
        counts: int64 [sides, bins]
        zero, negative: int64 [sides]; all 0 on a linear scale
    """

    name: str
    scale: Scale
    counts: NDArray[np.int64]
    zero: NDArray[np.int64]
    negative: NDArray[np.int64]

    @property
    def totals(self) -> NDArray[np.int64]:
        """Known values of each side, int64 [sides]."""
        total: NDArray[np.int64] = self.counts.sum(axis=1) + self.zero + self.negative
        return total

    def distance(self, one: int, other: int) -> float | None:
        """Return how far two sides lie apart: Kolmogorov and Smirnov's distance over the bins.

        It is 0 for equal shares in every bin, 1 where no bin overlaps; None where a side is empty.
        """
        totals = self.totals
        if not totals[one] or not totals[other]:
            return None
        whole = np.column_stack([self.negative, self.zero, self.counts])
        shares = whole.cumsum(axis=1) / np.maximum(totals, 1)[:, None]
        return float(np.abs(shares[one] - shares[other]).max())


def choose_scale(column: Column, sample: NDArray[np.float64]) -> Scale | None:
    """Choose the bins of a feature; None where there is nothing to see in it.

    Shapes:
        sample: float64 [any], known values
    """
    if column.low is None or column.high is None or column.low == column.high:
        return None
    low, high = float(column.low), float(column.high)
    positive = sample[sample > 0]
    negative = float((sample < 0).mean()) if len(sample) else 0.0
    if len(positive) and negative <= FEW_NEGATIVE:
        least = float(np.quantile(positive, 0.25))
        if high / least >= SPREAD:
            # A value below all of the sample may come; what lies below the edges joins the first.
            return _logarithmic(float(positive.min()), high, whole=column.whole)
    if column.whole:
        step = max(-(-(high - low + 1) // BINS), 1.0)
        return Scale(np.arange(low - 0.5, high + 0.5 + step, step), log=False)
    return Scale(np.linspace(low, high, BINS + 1), log=False)


def _logarithmic(low: float, high: float, *, whole: bool) -> Scale:
    edges = np.geomspace(low, high, BINS + 1)
    if whole:
        # Every small number has a bin of its own, or bins between numbers would stay empty.
        edges = np.unique(np.append(np.floor(edges), np.floor(high) + 1)) - 0.5
    return Scale(edges, log=True)


class HistogramCounter:
    """Counts one feature's values into its bins, batch by batch."""

    def __init__(self, name: str, scale: Scale, sides: int) -> None:
        self.name, self.scale, self.sides = name, scale, sides
        self._counts = np.zeros((sides, scale.bins + 2), np.int64)

    def update(self, values: NDArray[np.floating], side: NDArray[np.integer]) -> None:
        """Count one batch.

        Shapes:
            values: [flows], NaN where missing
            side: [flows], 0 to sides - 1
        """
        known = ~np.isnan(values)
        if not known.all():
            values, side = values[known], side[known]
        bins = self.scale.bins
        place = np.searchsorted(self.scale.edges, values, side="right") - 1
        place = np.clip(place, 0, bins - 1) + 2
        if self.scale.log:
            place = np.where(values > 0, place, (values == 0).astype(np.int64))
        flat = side.astype(np.int64) * (bins + 2) + place
        counted = np.bincount(flat, minlength=self._counts.size)
        self._counts += counted.reshape(self._counts.shape)

    def result(self) -> Histogram:
        """Return the counts."""
        counts = self._counts
        return Histogram(self.name, self.scale, counts[:, 2:], counts[:, 1], counts[:, 0])
