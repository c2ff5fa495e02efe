"""Micro-benchmarks of AutoGraphAD, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import windows
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.encoder import AutoGraphAD

# 52 features: what the readers give of a UNSW or Westermo flow after one-hot coding.
FEATURES = 52
TRAIN_FLOWS = 2_000  # enough for a network to encode with


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for one epoch, batches and initial weights included."""

    window_flows: int

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together."""
        return _windows(flows, self.window_flows, seed), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, seed = prepared
        config = AutoGraphADConfig(epochs=1, validation=0.0, device="cpu")
        AutoGraphAD(config).fit([graphs], seed=seed)
        return len(graphs.flow_id)


@dataclass(frozen=True)
class EncodeBenchmark:
    """Encodes with a network that was trained outside the timer."""

    window_flows: int

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted encoder and windows of about `flows` flows together."""
        train = _windows(TRAIN_FLOWS, self.window_flows, seed)
        made = AutoGraphAD(AutoGraphADConfig(epochs=1, device="cpu")).fit([train], seed=seed)
        return made, _windows(flows, self.window_flows, seed + 1)

    def run(self, prepared: Any) -> int:
        """Encode them once."""
        made, graphs = prepared
        return len(made.encode(graphs))


def _windows(flows: int, per_window: int, seed: int) -> WindowGraphs:
    size = min(per_window, flows)
    # The first window holds one flow and the second none.
    count = 2 + max(1, round(flows / size))
    return windows(count, seed=seed, flows=size, nodes=12 + size // 90, features=FEATURES)
