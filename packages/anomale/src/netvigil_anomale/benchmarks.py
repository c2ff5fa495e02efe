"""Micro-benchmarks of Anomal-E, for `netvigil bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netvigil.bench.limits import Needs
from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import windows_of
from netvigil.torch.cases import Encodes, seen
from netvigil.torch.device import resolve_device, settle
from netvigil.torch.generators import generator
from netvigil.torch.stepping import Steps
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.encoder import AnomalE
from netvigil_anomale.learner import InfomaxLearner

# 52 features: what the readers give of a UNSW or Westermo flow after one-hot coding.
FEATURES = 52
WINDOW = 5_000  # flows of a window, and few hosts, so that several flows share a pair
HOSTS = 40
TRAIN_FLOWS = 2_000  # enough for a network to encode with
STEPS = 5


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for one epoch, batches and initial weights included."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together."""
        return _windows(flows, seed), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, seed = prepared
        AnomalE(AnomalEConfig(epochs=1, device=self.device)).fit([graphs], seed=seed)
        settle(self.device)
        return len(graphs.flow_id)

    def needs(self, prepared: Any) -> Needs:
        """Count what is read once, and the products of two graphs, the true and a permuted one.

        A product is that of what each host gathers, forward and for the weights: features need no
        gradient, and logits take none but sums over hosts.
        """
        graphs, _ = prepared
        forward = 2.0 * len(graphs.node_key) * FEATURES * AnomalEConfig().hidden
        return Needs(moved=seen(graphs), operations=2 * 2 * forward)


@dataclass(frozen=True)
class StepBenchmark:
    """Takes steps of training on one batch of all windows, made outside the timer."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a network and a batch of about `flows` flows."""
        config, device = AnomalEConfig(), resolve_device(self.device)
        learner = InfomaxLearner(FEATURES, config, device, generator(seed, 0))
        batch = learner.batch(_windows(flows, seed), device)
        return Steps(learner, batch, config, device, seed=seed)

    def run(self, prepared: Any) -> int:
        """Take them."""
        return int(prepared.take(STEPS))


@dataclass(frozen=True)
class EncodeBenchmark(Encodes):
    """Encodes with a network that was trained outside the timer."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted encoder and windows of about `flows` flows together."""
        made = AnomalE(AnomalEConfig(epochs=1, device=self.device))
        return made.fit([_windows(TRAIN_FLOWS, seed)], seed=seed), _windows(flows, seed + 1)

    def needs(self, prepared: Any) -> Needs:
        """Count features and ends, an embedding for each pair, and the products of each host.

        Hosts meet the weights of what they gather, and those of either end of an edge.
        """
        made, graphs = prepared
        config, shared = made.config, made.encode(graphs)
        weights = FEATURES * config.hidden + 2 * config.hidden * config.embedding
        return Needs(
            moved=seen(graphs) + shared.embedding.nbytes + shared.row.nbytes,
            operations=2.0 * len(graphs.node_key) * weights,
        )


def _windows(flows: int, seed: int) -> WindowGraphs:
    return windows_of(flows, per_window=WINDOW, seed=seed, nodes=HOSTS, features=FEATURES)
