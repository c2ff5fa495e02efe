"""Reductions over runs of consecutive rows, without a loop over the runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Segments:
    """Runs of rows, each reduced to one value.

    Shapes:
        first: int64 [segments], the row where each begins; the last ends at `rows`
    """

    def __init__(self, first: NDArray[np.int64], rows: int) -> None:
        self.first, self.rows = first, rows
        self.sizes = np.diff(np.append(first, rows))

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each segment's value at all of its rows, [segments] -> [rows]."""
        return np.repeat(values, self.sizes)

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sums, NaN counting as 0."""
        return np.add.reduceat(_finite(values), self.first)

    def least(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return minima, passing over NaN; NaN where there is nothing else."""
        return np.fmin.reduceat(values, self.first)

    def most(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return maxima, passing over NaN; NaN where there is nothing else."""
        return np.fmax.reduceat(values, self.first)

    def any_value(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which segments have a value that is not NaN."""
        return np.logical_or.reduceat(~np.isnan(values), self.first)

    def known(self, values: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what was found, NaN for segments without a value, [rows], [segments] -> same."""
        lacking = np.isnan(values)
        return np.where(self.any_value(values), found, np.nan) if lacking.any() else found

    def mean(
        self, values: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return weighted means, passing over NaN; weights that are all 0 count as equal."""
        given = np.isfinite(values)
        weights = np.where(given, _finite(weights), 0.0)
        whole = self.total(weights)
        if (whole <= 0).any():
            weightless = self.spread(whole) <= 0
            weights = np.where(weightless & given, 1.0, weights)
            whole = self.total(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: NDArray[np.float64] = self.total(np.where(given, values * weights, 0.0)) / whole
        return mean

    def variance(
        self,
        variances: NDArray[np.float64],
        means: NDArray[np.float64] | None,
        samples: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return pooled sample variances, the same as over all samples together.

        Shapes:
            variances, means, samples: [rows], of each piece; without means they count as equal
        """
        given = np.isfinite(variances)
        samples = np.where(given, _finite(samples), 0.0)
        squares = np.maximum(samples - 1, 0) * _finite(variances)
        if means is not None:
            off = means - self.spread(self.mean(means, samples))
            squares += samples * _finite(off) ** 2
        counted = self.total(samples)
        pooled = self.total(squares) / np.maximum(counted - 1, 1)
        # Without counts there is nothing to pool by.
        countless = counted <= 0
        if countless.any():
            pooled[countless] = self.mean(variances, samples)[countless]
        return pooled


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with NaN as 0 and infinity as the largest number; most have neither."""
    return values if np.isfinite(values).all() else np.nan_to_num(values)
