"""`pca`: the weighted distances of a standardised flow to the principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError
from netvigil_scorers.formulas.formula import GEMM_ROWS


@dataclass(frozen=True)
class Pca:
    """Sum over components j of |z - c_j| / w_j, with z the standardised flow.

    Shapes:
        mean, scale: float64 [dim]; components: float64 [kept, dim]; weights: float64 [kept]
    """

    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    components: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's PCA; components without variance would weigh infinitely and are left out."""
        del config
        if not any((rows[i : i + 1024] != rows[0]).any() for i in range(0, len(rows), 1024)):
            msg = "All training flows are the same, so they have no principal component."
            raise ContractError(msg, do="Train on more traffic, or use knn.")
        detector.fit(rows)
        weights = np.asarray(detector.selected_w_components_, dtype=np.float64)
        # The usual rank tolerance: a smaller share of the variance is rounding, not a direction.
        kept = weights > detector.w_components_.max() * rows.shape[1] * np.finfo(np.float64).eps
        if not kept.any():
            msg = "None of the selected components has any variance."
            raise ContractError(msg, do="Set n_components to a share below 1, or select more.")
        dim = rows.shape[1]
        scaler = getattr(detector, "scaler_", None)
        return cls(
            mean=np.zeros(dim) if scaler is None else np.array(scaler.mean_),
            scale=np.ones(dim) if scaler is None else np.array(scaler.scale_),
            components=np.array(detector.selected_components_[kept], dtype=np.float64, order="C"),
            weights=weights[kept],
        )

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score a block by one matrix product: |z - c|^2 = |z|^2 - 2 z.c + |c|^2."""
        z = (rows - self.mean) / self.scale
        distance = self.components @ z.T  # [kept, rows]
        distance *= -2.0
        distance += np.einsum("ij,ij->i", z, z)
        distance += np.einsum("ij,ij->i", self.components, self.components)[:, None]
        np.sqrt(np.maximum(distance, 0.0, out=distance), out=distance)
        distance /= self.weights[:, None]
        return np.asarray(distance.sum(axis=0))
