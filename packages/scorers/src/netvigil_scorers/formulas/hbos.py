"""`hbos`: minus the sum of log2 densities, one histogram per feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

FEW = 128  # cuts; with twice as many a search takes no longer


@dataclass(frozen=True)
class Hbos:
    """Each feature's value falls between two cuts; the score is minus the sum of what stands there.

    Shapes:
        cuts: float32 [dim, bins + 1], ascending, padded with +inf
        values: float64 [dim, bins + 2], log2 densities: far below, each bin, far above
    """

    block_rows: ClassVar[int] = 1
    most_rows: ClassVar[int] = 8192  # fewer, and comparing them costs less than the call

    cuts: NDArray[np.float32]
    values: NDArray[np.float64]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's HBOS and lay its histograms out as cuts and values."""
        del config
        detector.fit(rows)
        # With a number of bins PyOD keeps arrays [bins, dim], with 'auto' one list per feature.
        fixed = isinstance(detector.hist_, np.ndarray)
        histograms = detector.hist_.T if fixed else detector.hist_
        edges = detector.bin_edges_.T if fixed else detector.bin_edges_
        bins = max(len(histogram) for histogram in histograms)
        cuts = np.full((rows.shape[1], bins + 1), np.inf, dtype=np.float32)
        values = np.zeros((rows.shape[1], bins + 2))
        for feature, (histogram, edge) in enumerate(zip(histograms, edges, strict=True)):
            density = np.log2(histogram + detector.alpha)
            values[feature, : len(density) + 2] = [density.min(), *density, density.min()]
            cuts[feature, : len(density) + 1] = _cuts(
                np.asarray(edge, dtype=np.float64), detector.tol
            )
        return cls(cuts=cuts, values=values)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score a block feature by feature; nothing here depends on the other rows."""
        columns = rows.T.copy()
        if self.cuts.shape[1] <= FEW:
            # A value's bin is how many cuts lie below it; to count them beats to search them.
            places = np.zeros(columns.shape, np.uint8)
            for cuts in self.cuts.T:
                places += columns > cuts[:, None]
        else:
            found = (cuts.searchsorted(c) for cuts, c in zip(self.cuts, columns, strict=True))
            places = np.stack(list(found))
        total = np.zeros(len(rows))
        for place, values in zip(places, self.values, strict=True):
            total += values.take(place)
        return -total


def _cuts(edges: NDArray[np.float64], tol: float) -> NDArray[np.float32]:
    """Return the float32 cuts that part float32 values exactly as these float64 edges do.

    A value just outside, within `tol` bins, counts as the outermost bin, so the outer edges move.
    """
    width = np.diff(edges)
    cuts = edges.copy()
    cuts[0] = np.nextafter(edges[0] - width[0] * tol, -np.inf)  # a value on the tolerance is inside
    cuts[-1] = edges[-1] + width[-1] * tol
    rounded = cuts.astype(np.float32)
    # For a float32 x, x > cut exactly when x > the largest float32 that is not above the cut.
    return np.where(rounded > cuts, np.nextafter(rounded, np.float32(-np.inf)), rounded)
