"""Transform `robust-scale`: (x - median) / (IQR / 1.349), clipped.

The interquartile range of a normal distribution is 1.349 standard deviations, so ordinary columns
get the scale of their standard deviation and outliers do not set it. A column whose IQR is 0 (rare
flags) is divided by its standard deviation.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import column, require_fitted
from netvigil_flowprep.transforms.scaling import Scaling

NORMAL_IQR = 1.349  # standard deviations between the quartiles of a normal distribution


class RobustScaleConfig(PartConfig):
    """Settings of `robust-scale`."""

    clip: float | None = Field(10.0, gt=0, description="bound of |x| after scaling; none: no bound")


class RobustScale:
    """Scales by quartiles of the train range; see the module."""

    def __init__(self, config: RobustScaleConfig) -> None:
        self.config = config
        self.scaling_: Scaling | None = None

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn medians and spreads of the train range; missing values do not count."""
        del seed
        center, scale = [], []
        for number in range(len(features.names)):
            values = np.sort(column(features.x, number)).astype(np.float64)
            if not len(values):
                values = np.zeros(1)
            low, middle, high = (_quantile(values, share) for share in (0.25, 0.5, 0.75))
            center.append(middle)
            scale.append((high - low) / NORMAL_IQR or float(values.std()))
        self.scaling_ = Scaling.of(features, center, scale)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return scaled features."""
        clip = self.config.clip
        low = None if clip is None else -clip
        return require_fitted("robust-scale", self.scaling_).apply(
            "robust-scale", features, low=low, high=clip
        )

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return features in their own units; what was clipped stays at the bound."""
        return require_fitted("robust-scale", self.scaling_).undo("robust-scale", features)

    def get_state(self) -> State:
        """Return medians and spreads."""
        return require_fitted("robust-scale", self.scaling_).to_state()

    def set_state(self, state: State) -> Self:
        """Take over medians and spreads."""
        self.scaling_ = Scaling.from_state(state)
        return self


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Return a quantile of sorted values, linear between neighbours as NumPy's default is."""
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return float(values[below] + (place - below) * (values[above] - values[below]))
