"""Encoder `raw`: flow features as they are, so that detectors run without any graph or training."""

from __future__ import annotations

from typing import Self

import numpy as np

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream
from netvigil.parts import NoConfig
from netvigil.protocols import State


class Raw:
    """Hands `flow_x` on as the embedding, without copying; learns nothing."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Do nothing: there is nothing to learn."""
        del windows, seed
        return self

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Encode each flow by its features.

        Shapes:
            returns: embedding float32 [flows, features]
        """
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=np.repeat(windows.window_start, np.diff(windows.flow_ptr)),
            embedding=windows.flow_x,
        )

    def get_state(self) -> State:
        """Return nothing learnt."""
        return State()

    def set_state(self, state: State) -> Self:
        """Take over nothing."""
        del state
        return self
