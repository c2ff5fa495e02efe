"""Transform `l2-row`: each flow's features as a vector of length 1.

On raw counters the byte counts drown everything else; put `log1p` and `robust-scale` before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from netvigil.contracts import FlowFeatures
from netvigil.parts import NoConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import blocks, row_major


class L2Row:
    """Divides each row by its Euclidean length; a row of zeros stays. Learns nothing."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Do nothing: there is nothing to learn."""
        del features, seed
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return rows of length 1, in row-major order."""
        # Rows of one layout are summed in one order, so a row's bits do not depend on its batch.
        x = np.empty(features.x.shape, np.float32)
        row_major(features.x, x)
        for block in blocks(x):
            # float64: the square of a large float32 overflows float32.
            length = np.sqrt(np.square(block, dtype=np.float64).sum(axis=1, keepdims=True))
            length[length == 0] = 1
            np.divide(block, length, out=block, casting="same_kind")
        return replace(features, x=x)

    def get_state(self) -> State:
        """Return nothing learnt."""
        return State()

    def set_state(self, state: State) -> Self:
        """Take over nothing."""
        del state
        return self
