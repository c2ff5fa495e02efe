"""`cblof`: the distance to the own cluster's centre, or from a small cluster to a large one's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil_scorers.formulas.formula import GEMM_ROWS
from netvigil_scorers.formulas.threads import few_openmp_threads


@dataclass(frozen=True)
class Cblof:
    """Distances to the centres of k-means.

    Shapes:
        centres: float64 [clusters, dim]; large: bool [clusters]; factor: float64 [clusters], what a
            score is multiplied by (the cluster's size with `use_weights`, else one)
    """

    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS

    centres: NDArray[np.float64]
    large: NDArray[np.bool_]
    factor: NDArray[np.float64]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's CBLOF; it raises where no cluster is small, and then all count as large."""
        try:
            with few_openmp_threads():
                detector.fit(rows)
        except ValueError:
            if not hasattr(detector, "cluster_centers_"):
                raise
        centres = np.array(detector.cluster_centers_, dtype=np.float64, order="C")
        sizes = np.bincount(detector.cluster_labels_, minlength=len(centres))
        large = sizes > 0
        if hasattr(detector, "large_cluster_labels_"):
            large = np.isin(np.arange(len(centres)), detector.large_cluster_labels_)
        factor = sizes.astype(np.float64) if config.use_weights else np.ones(len(centres))
        return cls(centres=centres, large=large, factor=factor)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Find centres by one matrix product, then the exact distance to the one that counts."""
        x = rows.astype(np.float64)
        # |x|^2 is the same for all centres, so it may stay out of the comparison. [clusters, rows]
        nearness = self.centres @ x.T
        nearness *= -2.0
        nearness += np.einsum("ij,ij->i", self.centres, self.centres)[:, None]
        own = nearness.argmin(axis=0)
        nearness[~self.large] = np.inf
        target = np.where(self.large[own], own, nearness.argmin(axis=0))
        x -= self.centres[target]
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", x, x)) * self.factor[own])
