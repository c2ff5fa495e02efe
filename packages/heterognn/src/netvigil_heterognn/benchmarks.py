"""Micro-benchmarks of the graph classifier, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from netvigil.bench.limits import Needs
from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import labels_of, windows_of
from netvigil.torch.cases import Classifies, seen
from netvigil.torch.device import settle
from netvigil_heterognn.classifier import HeteroFlowGNN
from netvigil_heterognn.config import HeteroFlowGNNConfig

FEATURES = 18  # the article's
WINDOW = 1_024  # flows of a window, the article's
TRAIN_FLOWS = 2_000  # enough for a network to classify with
CLASSES = 5  # what `labels_of` names, and benign


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for one epoch, batches and initial weights included."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together, with labels."""
        graphs = _windows(flows, seed)
        return graphs, labels_of(graphs), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, labels, seed = prepared
        config = HeteroFlowGNNConfig(epochs=1, validation=0.0, device=self.device)
        HeteroFlowGNN(config).fit([graphs], labels, seed=seed)
        settle(self.device)
        return len(graphs.flow_id)

    def needs(self, prepared: Any) -> Needs:
        """Count what is read once, and the products thrice, but that features need no gradient."""
        graphs = prepared[0]
        flows = len(graphs.flow_id)
        first = 2.0 * flows * FEATURES * HeteroFlowGNNConfig().hidden
        return Needs(
            moved=seen(graphs),
            operations=3 * _products(flows) - first,
            logarithms=flows * CLASSES,
        )


@dataclass(frozen=True)
class ClassifyBenchmark(Classifies):
    """Classifies with a network that was trained outside the timer."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted classifier and windows of about `flows` flows together."""
        train = _windows(TRAIN_FLOWS, seed)
        made = HeteroFlowGNN(HeteroFlowGNNConfig(epochs=1, device=self.device))
        return made.fit([train], labels_of(train), seed=seed), _windows(flows, seed + 1)

    def needs(self, prepared: Any) -> Needs:
        """Count features and ends, a share of each class, and what a flow's own values go through.

        What its hosts add is left out: there are fewer of them.
        """
        graphs = prepared[1]
        flows = len(graphs.flow_id)
        return Needs(
            moved=seen(graphs) + 4 * CLASSES * flows,
            operations=_products(flows),
            logarithms=flows * CLASSES,
        )


def _products(flows: int) -> float:
    """Count two operations for each weight that a flow's own values meet, at the defaults."""
    config = HeteroFlowGNNConfig()
    widths = (FEATURES, *[config.hidden] * config.layers, CLASSES)
    return 2.0 * flows * sum(inputs * outputs for inputs, outputs in pairwise(widths))


def _windows(flows: int, seed: int) -> WindowGraphs:
    return windows_of(flows, per_window=WINDOW, seed=seed, nodes=40, features=FEATURES)
