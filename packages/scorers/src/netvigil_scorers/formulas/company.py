"""`ecod` and `copod`: ranks among the training flows *and* the companions. Transductive."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Company:
    """The training flows; PyOD ranks each batch together with them, all of it at once.

    Shapes:
        kept: float32 [training flows, dim]
    """

    block_rows: ClassVar[int] = 1
    most_rows: ClassVar[int] = sys.maxsize  # a batch is never parted: companions are the point

    kept: NDArray[np.float32]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Keep the flows; what PyOD's `fit` adds to them is a cut, which nobody here asks for."""
        del detector, config
        return cls(kept=rows.astype(np.float32))

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Ask PyOD, which adds the batch to its training flows before it ranks them."""
        detector = self._detector()
        detector.X_train = self.kept.astype(np.float64)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            # The skewness of a constant feature is rounding; its tail probabilities are all one.
            score = detector.decision_function(rows.astype(np.float64))
        return np.asarray(score, dtype=np.float64)

    def _detector(self) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Ecod(Company):
    """`ecod`: the sum of log tail probabilities, each on the side of its feature's skewness."""

    def _detector(self) -> Any:
        from pyod.models.ecod import ECOD

        return ECOD()


@dataclass(frozen=True)
class Copod(Company):
    """`copod`: the same sum by empirical copulas."""

    def _detector(self) -> Any:
        from pyod.models.copod import COPOD

        return COPOD()
