"""`ocsvm`: the signed distance to the boundary of a one-class support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil_scorers.formulas.formula import GEMM_ROWS


@dataclass(frozen=True)
class Kernel:
    """Offset minus the weighted sum of kernels between a flow and the support vectors.

    Shapes:
        support: float64 [vectors, dim]; weights: float64 [vectors]
    """

    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS

    support: NDArray[np.float64]
    weights: NDArray[np.float64]
    offset: float
    kernel: str
    degree: int
    gamma: float
    coef0: float

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's OCSVM and read its support vectors."""
        # scikit-learn draws a number from the global generator here, which libsvm never uses.
        drawn_from = np.random.get_state()  # noqa: NPY002
        try:
            detector.fit(rows)
        finally:
            np.random.set_state(drawn_from)  # noqa: NPY002
        machine = detector.detector_
        gamma = config.gamma
        if gamma == "auto":
            gamma = 1.0 / rows.shape[1]
        elif gamma == "scale":
            variance = rows.var()
            gamma = 1.0 / (rows.shape[1] * variance) if variance else 1.0
        return cls(
            support=np.array(machine.support_vectors_, dtype=np.float64, order="C"),
            weights=np.array(machine.dual_coef_[0], dtype=np.float64),
            offset=float(-machine.intercept_[0]),
            kernel=config.kernel,
            degree=config.degree,
            gamma=float(gamma),
            coef0=config.coef0,
        )

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score a block by one matrix product with all support vectors."""
        x = rows.astype(np.float64)
        value = self.support @ x.T  # [vectors, rows]
        if self.kernel == "rbf":
            value *= -2.0
            value += np.einsum("ij,ij->i", x, x)
            value += np.einsum("ij,ij->i", self.support, self.support)[:, None]
            np.exp(
                np.multiply(np.maximum(value, 0.0, out=value), -self.gamma, out=value), out=value
            )
        elif self.kernel != "linear":
            value = value * self.gamma + self.coef0
            value = value**self.degree if self.kernel == "poly" else np.tanh(value)
        value *= self.weights[:, None]
        return np.asarray(self.offset - value.sum(axis=0))
