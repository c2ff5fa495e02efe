"""Transform `quantile-scale`: each value's rank among the train range's, as 0 to 1 or as a normal.

The train range is remembered by evenly spaced quantiles, and a value is placed between its
neighbours in a straight line. Where many train flows share one value, it gets the middle of the
ranks that they take up, so that a column of few distinct values is spread by their frequency.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from statistics import NormalDist
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import column, own_copy, require_columns, require_fitted

FARTHEST = 3.09
"""Deviations from a normal's middle, at most: a thousandth of it lies beyond, on either side."""
STEPS = 4097  # 0.0015 deviations each: a straight line between them errs by less than float32 shows


class QuantileScaleConfig(PartConfig):
    """Settings of `quantile-scale`."""

    to: Literal["uniform", "normal"] = Field(
        "uniform", description="ranks from 0 to 1, or the standard normal's values at those ranks"
    )
    quantiles: int = Field(
        1000, ge=2, le=100_000, description="how finely the train range is remembered, a column"
    )


class QuantileScale:
    """Replaces values by their ranks in the train range; see the module.

    Values beyond the train range get the rank of its end.
    """

    def __init__(self, config: QuantileScaleConfig) -> None:
        self.config = config
        self.names_: tuple[str, ...] | None = None
        self.quantiles_ = np.empty((0, 0), np.float32)

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn the quantiles of the train range; missing values do not count.

        Raises:
            ContractError: A value that is infinite.
        """
        del seed
        shares = np.linspace(0, 1, self.config.quantiles)
        learnt = np.zeros((len(features.names), len(shares)), np.float32)
        for number in range(len(features.names)):
            values = column(features.x, number)
            if not np.isfinite(values).all():
                msg = "The train range holds infinity."
                raise ContractError(msg, do="Put `clean` first among features.transforms.")
            if len(values):
                # What is remembered has to rise, also where rounding to float32 would not.
                found = np.quantile(values.astype(np.float64), shares).astype(np.float32)
                learnt[number] = np.maximum.accumulate(found)
        self.names_, self.quantiles_ = features.names, learnt
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return ranks; missing values stay missing.

        Raises:
            ContractError: Other columns than those fitted on.
        """
        part = "quantile-scale"
        require_columns(part, require_fitted(part, self.names_), features)
        x = own_copy(features.x)
        for number, known in enumerate(self.quantiles_):
            x[:, number] = self._ranks(x[:, number], known)
        return replace(features, x=x)

    def get_state(self) -> State:
        """Return the quantiles."""
        names = require_fitted("quantile-scale", self.names_)
        return State(arrays={"quantiles": self.quantiles_}, values={"names": list(names)})

    def set_state(self, state: State) -> Self:
        """Take over the quantiles."""
        self.names_ = tuple(state.values["names"])
        self.quantiles_ = np.asarray(state.arrays["quantiles"], np.float32)
        return self

    def _ranks(self, x: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float64]:
        """Place values among rising quantiles.

        Shapes:
            x: float32 [flows]; known: float32 [quantiles]
        """
        values, last = x.astype(np.float64), len(known) - 1
        at = known.astype(np.float64)
        low = np.searchsorted(at, values, side="left")
        high = np.searchsorted(at, values, side="right")
        # Between two quantiles: a straight line. On one or several: the middle of their ranks.
        below, above = np.clip(low - 1, 0, last), np.clip(low, 0, last)
        gap = np.where(at[above] > at[below], at[above] - at[below], 1.0)
        between = below + np.clip(values - at[below], 0, None) / gap
        between = np.where(values > at[-1], last, np.where(values < at[0], 0, between))
        rank = np.where(high > low, (low + high - 1) / 2, between) / last
        rank[np.isnan(values)] = np.nan
        if self.config.to == "uniform":
            return rank
        normal: NDArray[np.float64] = np.interp(rank, *_normal())
        return normal


@lru_cache(maxsize=1)
def _normal() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ranks of the standard normal and the values at them, float64 [steps] each."""
    values = np.linspace(-FARTHEST, FARTHEST, STEPS)
    normal = NormalDist()
    return np.array([normal.cdf(value) for value in values.tolist()]), values
