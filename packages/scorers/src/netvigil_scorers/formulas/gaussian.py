"""`mcd`, `elliptic-envelope` and `gmm`: distances and likelihoods under Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil_scorers.formulas.formula import GEMM_ROWS
from netvigil_scorers.formulas.threads import few_openmp_threads


@dataclass(frozen=True)
class Mahalanobis:
    """The squared Mahalanobis distance to the robust centre.

    Shapes:
        location: float64 [dim]; precision: float64 [dim, dim]
    """

    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS

    location: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's MCD; directions in which no training flow varies get a small variance.

        Only those. Most training flows differ in directions in which the core of half the flows
        does not; a ridge there would flag every usual flow outside the core.
        """
        detector.fit(rows)
        precision = np.array(detector.detector_.get_precision(), dtype=np.float64, order="C")
        total = np.atleast_2d(np.cov(rows, rowvar=False))
        variance, directions = np.linalg.eigh(total)
        still = directions[:, variance <= _rank_tolerance(variance)]
        if config.ridge:
            spread = np.trace(total) / len(total) or 1.0
            precision += still @ still.T / (config.ridge * spread)
        return cls(location=np.array(detector.location_), precision=precision)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score a block by one matrix product."""
        away = (rows - self.location).T
        return np.asarray(((self.precision.T @ away) * away).sum(axis=0))


@dataclass(frozen=True)
class Envelope(Mahalanobis):
    """The same in which directions without variance in the core count, by their whole variance."""

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit scikit-learn's EllipticEnvelope and complete its singular covariance.

        The core is the half of the flows with the smallest determinant. A direction in which it
        does not vary gets the variance of all training flows, or the ridge where that is less.
        """
        detector.fit(rows)
        core = np.asarray(detector.covariance_, dtype=np.float64)
        variance, directions = np.linalg.eigh(core)
        still = directions[:, variance <= _rank_tolerance(variance)]
        precision = np.array(detector.get_precision(), dtype=np.float64, order="C")
        if still.shape[1] and config.ridge:
            total = np.atleast_2d(np.cov(rows, rowvar=False))
            spread, axes = np.linalg.eigh(still.T @ total @ still)
            least = config.ridge * (np.trace(total) / len(total) or 1.0)
            axes = still @ axes
            precision += axes @ (axes / np.maximum(spread, least)).T
        return cls(location=np.array(detector.location_), precision=precision)


def _rank_tolerance(variance: NDArray[np.float64]) -> float:
    """Return the usual tolerance of a rank: a smaller variance, of these [dim], is rounding."""
    return float(variance[-1] * len(variance) * np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Mixture:
    """Minus the log-likelihood of a mixture of Gaussians.

    Shapes:
        means: float64 [components, dim]; roots: float64 [components, dim, dim], Cholesky factors of
            the precisions; constants: float64 [components], all that does not depend on the flow
    """

    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS

    means: NDArray[np.float64]
    roots: NDArray[np.float64]
    constants: NDArray[np.float64]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's GMM and write every covariance type as full factors."""
        with few_openmp_threads():  # k-means finds the first means
            detector.fit(rows)
        dim = rows.shape[1]
        roots = np.asarray(detector.precisions_cholesky_)
        components = len(detector.means_)
        if config.covariance_type == "tied":
            roots = np.broadcast_to(roots, (components, dim, dim))
        elif config.covariance_type != "full":
            roots = np.reshape(roots, (components, -1, 1)) * np.eye(dim)
        volume = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        constants = np.log(detector.weights_) + volume - 0.5 * dim * np.log(2 * np.pi)
        return cls(
            means=np.array(detector.means_), roots=np.array(roots, order="C"), constants=constants
        )

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score a block component by component."""
        total = np.full(len(rows), -np.inf)
        for mean, root, constant in zip(self.means, self.roots, self.constants, strict=True):
            away = root.T @ (rows - mean).T  # [dim, rows]
            total = np.logaddexp(total, constant - 0.5 * np.square(away).sum(axis=0))
        return -total
