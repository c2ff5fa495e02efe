"""Micro-benchmarks of AutoGraphAD, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netvigil.bench.limits import Needs
from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import windows_of
from netvigil.torch.cases import Encodes, seen
from netvigil.torch.device import resolve_device, settle
from netvigil.torch.generators import build, generator
from netvigil.torch.stepping import Steps
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.encoder import AutoGraphAD
from netvigil_autographad.learner import Learner
from netvigil_autographad.network import Network

# 52 features: what the readers give of a UNSW or Westermo flow after one-hot coding.
FEATURES = 52
TRAIN_FLOWS = 2_000  # enough for a network to encode with
STEPS = 4


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for one epoch, batches and initial weights included."""

    window_flows: int
    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together."""
        return _windows(flows, self.window_flows, seed), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, seed = prepared
        config = AutoGraphADConfig(epochs=1, validation=0.0, device=self.device)
        AutoGraphAD(config).fit([graphs], seed=seed)
        settle(self.device)
        return len(graphs.flow_id)

    def needs(self, prepared: Any) -> Needs:
        """Count what is read once, thrice the products of `EncodeBenchmark`, and the noise.

        Forward, for the weights and for what they meet; but features need no gradient. Noise is
        drawn for every other flow, and the others have it with the other sign.
        """
        graphs, _ = prepared
        flows, hidden = len(graphs.flow_id), AutoGraphADConfig().hidden
        return Needs(
            moved=seen(graphs),
            operations=3 * _products(flows) - 2.0 * flows * FEATURES * hidden,
            logarithms=_logarithms(flows),
            drawn=flows * hidden / 2,
        )


@dataclass(frozen=True)
class StepBenchmark:
    """Takes steps of training on one batch of all windows, made outside the timer."""

    window_flows: int
    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a network and a batch of about `flows` flows."""
        config, device = AutoGraphADConfig(), resolve_device(self.device)
        network = build(lambda: Network(FEATURES, config), generator(seed, 0), device)
        learner = Learner(network, config, seed=seed)
        batch = learner.batch(_windows(flows, self.window_flows, seed), device)
        return Steps(learner, batch, config, device, seed=seed)

    def run(self, prepared: Any) -> int:
        """Take them."""
        return int(prepared.take(STEPS))


@dataclass(frozen=True)
class EncodeBenchmark(Encodes):
    """Encodes with a network that was trained outside the timer."""

    window_flows: int
    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted encoder and windows of about `flows` flows together."""
        train = _windows(TRAIN_FLOWS, self.window_flows, seed)
        config = AutoGraphADConfig(epochs=1, device=self.device)
        made = AutoGraphAD(config).fit([train], seed=seed)
        return made, _windows(flows, self.window_flows, seed + 1)

    def needs(self, prepared: Any) -> Needs:
        """Count features and ends, three terms of a flow, and what its own values go through.

        What its hosts add is left out: there are fewer of them.
        """
        graphs = prepared[1]
        flows = len(graphs.flow_id)
        return Needs(
            moved=seen(graphs) + 3 * 4 * flows,
            operations=_products(flows),
            logarithms=_logarithms(flows),
        )


def _products(flows: int) -> float:
    """Count two operations for each weight that a flow's own values meet.

    These are those of one layer, mean and log variance, and the decoder, at the default settings.
    """
    hidden = AutoGraphADConfig().hidden
    return 2.0 * flows * (FEATURES * hidden + 2 * hidden**2 + hidden * FEATURES)


def _logarithms(flows: int) -> float:
    """Count the exponential of each log variance, and the logarithm of each link's likelihood."""
    return flows * (AutoGraphADConfig().hidden + 2.0)


def _windows(flows: int, per_window: int, seed: int) -> WindowGraphs:
    nodes = 12 + min(per_window, flows) // 90
    return windows_of(flows, per_window=per_window, seed=seed, nodes=nodes, features=FEATURES)
