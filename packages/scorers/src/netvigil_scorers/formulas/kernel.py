"""`ocsvm` and `nystroem-ocsvm`: the signed distance to the boundary of a one-class machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil_scorers.formulas.formula import GEMM_ROWS

MINIBATCH = 4096  # features of so many flows and 200 landmarks are 6.5 MB
ENOUGH = 100_000  # steps after which the averaged boundary hardly moves any more
DRAWN = 20  # flows drawn for each landmark, of which many may be equal


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
        with _global_generator_kept():
            detector.fit(rows)
        machine = detector.detector_
        return cls(
            support=np.array(machine.support_vectors_, dtype=np.float64, order="C"),
            weights=np.array(machine.dual_coef_[0], dtype=np.float64),
            offset=float(-machine.intercept_[0]),
            kernel=config.kernel,
            degree=config.degree,
            gamma=_coefficient(config.gamma, rows),
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


@dataclass(frozen=True)
class Nystroem(Kernel):
    """The same with landmarks for support vectors, learnt by stochastic gradient descent.

    A machine on Nystroem features is linear in the kernels of the landmarks, so the map to features
    melts into `weights` and a score is one matrix product with the landmarks.
    """

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[Any], config: Any) -> Self:
        """Choose landmarks among distinct flows, then walk through all flows in random order.

        Only one minibatch of features exists at a time.
        """
        from sklearn.kernel_approximation import Nystroem as Features

        rng = np.random.default_rng(detector.random_state)
        gamma = _coefficient(config.gamma, rows)
        landmarks = _landmarks(rows, config.n_components, rng)
        features = Features(gamma=gamma, n_components=len(landmarks), random_state=0)
        features.fit(landmarks)
        with _global_generator_kept():
            for _ in range(config.passes or max(1, ENOUGH // len(rows))):
                order = rng.permutation(len(rows))
                for first in range(0, len(order), MINIBATCH):
                    batch = rows[order[first : first + MINIBATCH]].astype(np.float64)
                    detector.partial_fit(features.transform(batch))
        return cls(
            support=np.array(features.components_, dtype=np.float64, order="C"),
            weights=features.normalization_.T @ detector.coef_.ravel(),
            offset=float(detector.offset_[0]),
            kernel="rbf",
            degree=0,
            gamma=gamma,
            coef0=0.0,
        )


@contextmanager
def _global_generator_kept() -> Iterator[None]:
    """Give the global generator its state back.

    scikit-learn draws a number from it for every machine, which neither libsvm nor SGD ever uses.
    """
    drawn_from = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(drawn_from)  # noqa: NPY002


def _coefficient(gamma: Any, rows: NDArray[Any]) -> float:
    """Return the kernel coefficient that scikit-learn means by this setting."""
    if gamma == "auto":
        return 1.0 / int(rows.shape[1])
    if gamma == "scale":
        variance = float(rows.var(dtype=np.float64))
        return 1.0 / (rows.shape[1] * variance) if variance else 1.0
    return float(gamma)


def _landmarks(rows: NDArray[Any], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return so many distinct flows; a flow that repeats itself has no better chance."""
    most = min(len(rows), DRAWN * count)
    drawn = rows[np.sort(rng.choice(len(rows), most, replace=False))].astype(np.float64)
    distinct = np.unique(drawn, axis=0)
    chosen = rng.choice(len(distinct), min(count, len(distinct)), replace=False)
    return distinct[np.sort(chosen)]
