"""Transform `log1p`: sign(x) * log(1 + |x|), which tames counters over many orders of magnitude."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from netvigil.contracts import FlowFeatures
from netvigil.parts import NoConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import own_copy


class Log1p:
    """Signed logarithm of every feature; learns nothing."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Do nothing: there is nothing to learn."""
        del features, seed
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the signed logarithms; missing values stay missing."""
        x = own_copy(features.x)
        negative = np.signbit(x)
        np.abs(x, out=x)
        np.log1p(x, out=x)
        np.negative(x, out=x, where=negative)
        return replace(features, x=x)

    def get_state(self) -> State:
        """Return nothing learnt."""
        return State()

    def set_state(self, state: State) -> Self:
        """Take over nothing."""
        del state
        return self
