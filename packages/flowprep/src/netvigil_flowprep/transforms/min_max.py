"""Transform `min-max`: the train range's smallest value becomes 0, its largest 1."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import column, require_fitted
from netvigil_flowprep.transforms.scaling import Scaling


class MinMaxConfig(PartConfig):
    """Settings of `min-max`."""

    clip: bool = Field(
        default=True, description="keep values beyond the train range at 0 or 1 (else they go past)"
    )


class MinMax:
    """Scales by the extremes of the train range; see the module."""

    def __init__(self, config: MinMaxConfig) -> None:
        self.config = config
        self.scaling_: Scaling | None = None

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn the extremes of the train range; missing values do not count."""
        del seed
        low, high = [], []
        for number in range(len(features.names)):
            values = column(features.x, number)
            low.append(float(values.min()) if len(values) else 0.0)
            high.append(float(values.max()) if len(values) else 0.0)
        spread = np.subtract(high, low).tolist()
        self.scaling_ = Scaling.of(features, low, spread)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return scaled features."""
        low, high = (0.0, 1.0) if self.config.clip else (None, None)
        return require_fitted("min-max", self.scaling_).apply(
            "min-max", features, low=low, high=high
        )

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return features in their own units; what was clipped stays at the bound."""
        return require_fitted("min-max", self.scaling_).undo("min-max", features)

    def get_state(self) -> State:
        """Return the extremes."""
        return require_fitted("min-max", self.scaling_).to_state()

    def set_state(self, state: State) -> Self:
        """Take over the extremes."""
        self.scaling_ = Scaling.from_state(state)
        return self
