"""Transform `standard-scale`: (x - mean) / standard deviation of the train range, clipped.

A few huge values set both, so `robust-scale` is the better choice for raw counters; this one is
what most published pipelines use, often behind a logarithm.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import column, require_fitted
from netvigil_flowprep.transforms.scaling import Scaling


class StandardScaleConfig(PartConfig):
    """Settings of `standard-scale`."""

    clip: float | None = Field(10.0, gt=0, description="bound of |x| after scaling; none: no bound")


class StandardScale:
    """Scales by mean and standard deviation of the train range; see the module."""

    def __init__(self, config: StandardScaleConfig) -> None:
        self.config = config
        self.scaling_: Scaling | None = None

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn means and deviations of the train range; missing values do not count."""
        del seed
        center, scale = [], []
        for number in range(len(features.names)):
            values = column(features.x, number).astype(np.float64)
            if not len(values):
                values = np.zeros(1)
            center.append(float(values.mean()))
            scale.append(float(values.std()))
        self.scaling_ = Scaling.of(features, center, scale)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return scaled features."""
        clip = self.config.clip
        low = None if clip is None else -clip
        return require_fitted("standard-scale", self.scaling_).apply(
            "standard-scale", features, low=low, high=clip
        )

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return features in their own units; what was clipped stays at the bound."""
        return require_fitted("standard-scale", self.scaling_).undo("standard-scale", features)

    def get_state(self) -> State:
        """Return means and deviations."""
        return require_fitted("standard-scale", self.scaling_).to_state()

    def set_state(self, state: State) -> Self:
        """Take over means and deviations."""
        self.scaling_ = Scaling.from_state(state)
        return self
