"""Micro-benchmarks of the autoencoder, for `netvigil bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import windows
from netvigil_tabular.config import AutoencoderConfig
from netvigil_tabular.encoder import Reconstructor

FEATURES = 52  # what the readers give of a flow after one-hot coding
TRAIN_FLOWS = 2_000  # enough for a network to encode with


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for one epoch; shuffling, initial weights and what is usual included."""

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together."""
        return _windows(flows, seed), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, seed = prepared
        config = AutoencoderConfig(epochs=1, validation=0.0, device="cpu")
        Reconstructor(config).fit([graphs], seed=seed)
        return len(graphs.flow_id)


@dataclass(frozen=True)
class EncodeBenchmark:
    """Encodes with a network that was trained outside the timer."""

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted encoder and windows of about `flows` flows together."""
        made = Reconstructor(AutoencoderConfig(epochs=1, device="cpu"))
        return made.fit([_windows(TRAIN_FLOWS, seed)], seed=seed), _windows(flows, seed + 1)

    def run(self, prepared: Any) -> int:
        """Encode them once."""
        made, graphs = prepared
        return len(made.encode(graphs))


def _windows(flows: int, seed: int) -> WindowGraphs:
    # The first window holds one flow and the second none.
    return windows(3, seed=seed, flows=flows, features=FEATURES, schema="flows-only")
