"""Micro-benchmarks of the autoencoder and of a classifier, for `netvigil bench`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from netvigil.bench.limits import Needs
from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import labels_of, windows
from netvigil.torch.cases import Classifies, Encodes
from netvigil.torch.device import resolve_device, settle
from netvigil.torch.generators import generator
from netvigil.torch.rows import RowBatch
from netvigil.torch.stepping import Steps
from netvigil_tabular.classifiers.adapter import TrainedClassifier
from netvigil_tabular.classifiers.configs import NetworkConfig
from netvigil_tabular.classifiers.table import CLASSIFIERS
from netvigil_tabular.config import AutoencoderConfig
from netvigil_tabular.encoder import Reconstructor
from netvigil_tabular.learner import AutoencoderLearner

FEATURES = 52  # what the readers give of a flow after one-hot coding
TRAIN_FLOWS = 2_000  # enough for a network to encode with
STEPS = 100
CLASSES = 5  # what `labels_of` names, and benign


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for one epoch; shuffling, initial weights and what is usual included."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together."""
        return _windows(flows, seed), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, seed = prepared
        config = AutoencoderConfig(epochs=1, validation=0.0, device=self.device)
        Reconstructor(config).fit([graphs], seed=seed)
        settle(self.device)
        return len(graphs.flow_id)

    def needs(self, prepared: Any) -> Needs:
        """Count features once, the products thrice, and once more to learn what is usual.

        Thrice: forward, for the weights, and for what they meet, which features need not.
        """
        x = prepared[0].flow_x
        first = 2.0 * x.size * AutoencoderConfig().hidden[0]
        return Needs(moved=x.nbytes, operations=4 * _products(len(x)) - first)


@dataclass(frozen=True)
class StepBenchmark:
    """Takes steps of training on one batch that stays."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a network and a batch of so many flows."""
        config, device = AutoencoderConfig(), resolve_device(self.device)
        learner = AutoencoderLearner(FEATURES, config, device, generator(seed, 0))
        x = torch.randn(flows, FEATURES, generator=generator(seed, 1)).to(device)
        return Steps(learner, RowBatch((x,)), config, device, seed=seed)

    def run(self, prepared: Any) -> int:
        """Take them."""
        return int(prepared.take(STEPS))


@dataclass(frozen=True)
class EncodeBenchmark(Encodes):
    """Encodes with a network that was trained outside the timer."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted encoder and windows of about `flows` flows together."""
        made = Reconstructor(AutoencoderConfig(epochs=1, device=self.device))
        return made.fit([_windows(TRAIN_FLOWS, seed)], seed=seed), _windows(flows, seed + 1)

    def needs(self, prepared: Any) -> Needs:
        """Count features, code and terms of each flow, and the products down and up again."""
        made, graphs = prepared
        flows = len(graphs.flow_id)
        numbers = made.config.bottleneck + len(made.config.terms)
        moved = graphs.flow_x.nbytes + 4 * numbers * flows
        return Needs(moved=moved, operations=_products(flows))


@dataclass(frozen=True)
class TeachBenchmark:
    """Trains the classifier `mlp` for one epoch."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together, with labels."""
        graphs = _windows(flows, seed)
        return graphs, labels_of(graphs), seed

    def run(self, prepared: Any) -> int:
        """Train on them once."""
        graphs, labels, seed = prepared
        _mlp(self.device).fit([graphs], labels, seed=seed)
        settle(self.device)
        return len(graphs.flow_id)

    def needs(self, prepared: Any) -> Needs:
        """Count features once, and the products thrice, but that features need no gradient."""
        x = prepared[0].flow_x
        first = 2.0 * x.size * NetworkConfig().hidden[0]
        return Needs(
            moved=x.nbytes,
            operations=3 * _classified(len(x)) - first,
            logarithms=len(x) * CLASSES,
        )


@dataclass(frozen=True)
class ClassifyBenchmark(Classifies):
    """Classifies with an `mlp` that was trained outside the timer."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted classifier and windows of about `flows` flows together."""
        train = _windows(TRAIN_FLOWS, seed)
        made = _mlp(self.device).fit([train], labels_of(train), seed=seed)
        return made, _windows(flows, seed + 1)

    def needs(self, prepared: Any) -> Needs:
        """Count features, a share of each class, the products, and an exponential for each."""
        x = prepared[1].flow_x
        return Needs(
            moved=x.nbytes + 4 * CLASSES * len(x),
            operations=_classified(len(x)),
            logarithms=len(x) * CLASSES,
        )


def _products(flows: int) -> float:
    """Count two operations for each weight that a flow meets, at the default settings."""
    config = AutoencoderConfig()
    down = (FEATURES, *config.hidden, config.bottleneck)
    return 2.0 * flows * 2 * sum(inputs * outputs for inputs, outputs in pairwise(down))


def _classified(flows: int) -> float:
    """Count the same of the classifier."""
    widths = (FEATURES, *NetworkConfig().hidden, CLASSES)
    return 2.0 * flows * sum(inputs * outputs for inputs, outputs in pairwise(widths))


def _mlp(device: str) -> TrainedClassifier:
    kind = next(kind for kind in CLASSIFIERS if kind.name == "mlp")
    return TrainedClassifier(kind, kind.config.model_validate({"epochs": 1, "device": device}))


def _windows(flows: int, seed: int) -> WindowGraphs:
    # The first window holds one flow and the second none.
    return windows(3, seed=seed, flows=flows, features=FEATURES, schema="flows-only")
