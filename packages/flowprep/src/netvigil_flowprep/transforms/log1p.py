"""Transform `log1p`: sign(x) * log(1 + |x|), which tames counters over many orders of magnitude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import (
    blocks,
    column,
    own_copy,
    require_columns,
    require_fitted,
)


class Log1pConfig(PartConfig):
    """Settings of `log1p`."""

    min_skew: float | None = Field(
        None, ge=0, description="act only on columns of a larger skewness in the train range"
    )


class Log1p:
    """Signed logarithm of every feature, or of those that the train range skews; see the module."""

    def __init__(self, config: Log1pConfig) -> None:
        self.config = config
        self.names_: tuple[str, ...] | None = None
        self.chosen_ = np.empty(0, np.int64)

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Find the skewed columns where a limit is set; else there is nothing to learn."""
        del seed
        self.names_ = features.names
        limit = self.config.min_skew
        if limit is not None:
            columns = (column(features.x, number) for number in range(len(features.names)))
            skewed = [number for number, values in enumerate(columns) if skewness(values) > limit]
            self.chosen_ = np.array(skewed, np.int64)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the signed logarithms; missing values stay missing.

        Raises:
            NotFittedError, ContractError: With a limit: unfitted, or other columns than fitted on.
        """
        return self._applied(features, _logarithm)

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return features in their own units.

        Raises:
            NotFittedError, ContractError: As `transform`.
        """
        return self._applied(features, _exponential)

    def _applied(
        self, features: FlowFeatures, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> FlowFeatures:
        x = own_copy(features.x)
        if self.config.min_skew is None:
            return replace(features, x=change(x))
        require_columns("log1p", require_fitted("log1p", self.names_), features)
        x[:, self.chosen_] = change(x[:, self.chosen_])
        return replace(features, x=x)

    def get_state(self) -> State:
        """Return the skewed columns; nothing where no limit is set."""
        if self.config.min_skew is None:
            return State()
        names = require_fitted("log1p", self.names_)
        return State(arrays={"chosen": self.chosen_}, values={"names": list(names)})

    def set_state(self, state: State) -> Self:
        """Take over the skewed columns, if any."""
        if self.config.min_skew is not None:
            self.names_ = tuple(state.values["names"])
            self.chosen_ = np.asarray(state.arrays["chosen"], np.int64)
        return self


def skewness(values: NDArray[np.float32]) -> float:
    """Return the third standardised moment of a column, 0 where it does not vary.

    Example:
        >>> skewness(np.array([0, 0, 0, 4], np.float32)) > 1
        True
    """
    if not len(values):
        return 0.0
    away = values.astype(np.float64) - values.mean(dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = float(np.mean(away**2))
        third = float(np.mean(away**3))
    return third / variance**1.5 if 0 < variance < np.inf and np.isfinite(third) else 0.0


def _logarithm(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the signed logarithm in place, and return it; right to 4 units in the last place.

    log(1 + x) = log u + (x - (u - 1)) / u, where u is 1 + x as float32 holds it: the second term
    is what that rounding lost. NumPy has `log` for many numbers at once, and `log1p` for one at a
    time only: a third of the time.
    """
    with np.errstate(invalid="ignore"):
        for block in blocks(x):
            lost = np.abs(block)
            found = lost + np.float32(1)
            lost -= found - np.float32(1)
            lost /= found
            np.fmax(lost, np.float32(-1), out=lost)  # of infinity: nothing, and not inf - inf
            np.log(found, out=found)
            found += lost
            np.copysign(found, block, out=block)
    return x


def _exponential(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo `_logarithm`; what float32 cannot hold becomes its largest value."""
    most = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        return np.copysign(np.minimum(np.expm1(np.abs(x)), most), x)
