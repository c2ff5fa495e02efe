"""Node classifiers of two layers, GCN and GraphSAGE, on dense batches; and how well they do.

What they are for is one question: does a classifier that learnt from synthetic snapshots do better
on real ones than one that learnt from real ones? So the cheap rivals of a generator, class weights
and random oversampling of nodes, stand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from netvigil.errors import ContractError, NotFittedError, TrainingError
from netvigil.torch.device import resolve_device, threads_for
from netvigil.torch.generators import build, generator
from netvigil_cggm.generator import Scale
from netvigil_cggm.network import normalised
from netvigil_cggm.snapshots import Snapshots

Model = Literal["gcn", "sage"]
Balance = Literal["none", "weights", "oversample"]


@dataclass(frozen=True)
class Settings:
    """How node classifiers learn; the paper gives none of it."""

    model: Model = "gcn"
    balance: Balance = "none"
    hidden: int = 64
    steps: int = 400
    batch: int = 16
    learning_rate: float = 0.01
    dropout: float = 0.5
    device: str = "cpu"


class Network(nn.Module):
    """Two layers, each of a node's neighbours and, for SAGE, of itself with weights of its own."""

    def __init__(self, features: int, classes: int, settings: Settings) -> None:
        super().__init__()
        times = 2 if settings.model == "sage" else 1
        self.settings = settings
        self.first = nn.Linear(times * features, settings.hidden)
        self.second = nn.Linear(times * settings.hidden, classes)

    def forward(self, x: Tensor, links: Tensor, rng: torch.Generator | None) -> Tensor:
        """Classify nodes; with `rng`, hidden values are dropped as in training.

        Shapes:
            x: [snapshots, nodes, features]; links: [snapshots, nodes, nodes], see `graph`
            returns: logits [snapshots, nodes, classes]
        """
        h = self.first(self._mixed(x, links)).relu()
        if rng is not None:
            kept = 1 - self.settings.dropout
            h = h * (torch.rand(h.shape, generator=rng, device=h.device) < kept) / kept
        logits: Tensor = self.second(self._mixed(h, links))
        return logits

    def _mixed(self, x: Tensor, links: Tensor) -> Tensor:
        near = links @ x
        return torch.cat([x, near], -1) if self.settings.model == "sage" else near


def graph(links: Tensor, model: Model) -> Tensor:
    """Return the links as a model takes them: normalised with loops, or the mean of neighbours."""
    if model == "gcn":
        return normalised(links)
    both = torch.maximum(links, links.transpose(1, 2))
    return both / both.sum(-1, keepdim=True).clamp(min=1)


class Quality(NamedTuple):
    """How right a classifier is; all but accuracy are means over the classes that occur."""

    accuracy: float
    recall: float
    precision: float
    f1: float


class NodeClassifier:
    """Learns the classes of nodes from snapshots.

    Raises:
        NotFittedError: `predict` before `fit`.
        ContractError: Other features than in training.
        TrainingError: A loss that is not finite.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.network_: Network | None = None
        self.scale_: Scale | None = None
        self.feature_names_: tuple[str, ...] = ()

    def fit(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn from all nodes of these snapshots, or from as many of each class."""
        s, device = self.settings, resolve_device(self.settings.device)
        scale, classes = Scale.of(snapshots.x), len(snapshots.classes)
        x = torch.tensor(scale.into(snapshots.x), device=device)
        label = torch.tensor(snapshots.label, device=device)
        links = graph(torch.tensor(snapshots.links, dtype=torch.float32, device=device), s.model)
        network = build(lambda: Network(x.shape[2], classes, s), generator(seed, 0), device).train()
        dice = generator(seed, 1, device=device)
        weight = torch.tensor(class_weights(snapshots.balance()), device=device)
        optimizer = torch.optim.Adam(network.parameters(), lr=s.learning_rate)
        size = min(s.batch, len(x))
        with threads_for(size * snapshots.nodes, device):
            for step in range(s.steps):
                rows = torch.randint(len(x), (size,), generator=dice, device=device)
                logits = network(x[rows], links[rows], dice).flatten(0, 1)
                loss = _loss(logits, label[rows].flatten(), weight, s.balance, dice)
                if not bool(loss.detach().isfinite()):
                    msg = f"A node classifier's loss is not finite in step {step + 1}."
                    raise TrainingError(msg, where=f"seed {seed}", do="Lower the learning rate.")
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
        self.network_, self.scale_ = network.eval(), scale
        self.feature_names_ = snapshots.feature_names
        return self

    def predict(self, snapshots: Snapshots) -> NDArray[np.int64]:
        """Return the class of each node, int64 [snapshots, nodes]."""
        scaled = scaled_as_taught(snapshots, self.scale_, self.feature_names_)
        assert self.network_ is not None
        device = next(self.network_.parameters()).device
        x = torch.tensor(scaled, device=device)
        links = torch.tensor(snapshots.links, dtype=torch.float32, device=device)
        with torch.no_grad():
            logits = self.network_(x, graph(links, self.settings.model), None)
        return np.asarray(logits.argmax(-1).cpu().numpy(), np.int64)


def scaled_as_taught(
    snapshots: Snapshots, scale: Scale | None, feature_names: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return features in the range of training, [snapshots, nodes, features].

    Raises:
        NotFittedError: There is no scale yet.
        ContractError: Other features than in training.
    """
    if scale is None:
        msg = "This node classifier has not been fitted."
        raise NotFittedError(msg)
    if snapshots.feature_names != feature_names:
        msg = "These snapshots have other features than in training."
        raise ContractError(msg)
    return scale.into(snapshots.x)


def quality(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], where: NDArray[np.bool_] | None = None
) -> Quality:
    """Judge predictions, of any one shape, at the nodes `where`.

    Example:
        >>> quality(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
        Quality(accuracy=0.75, recall=0.75, precision=0.8333333333333333, f1=0.7333333333333334)
    """
    if where is not None:
        truth, predicted = truth[where], predicted[where]
    truth, predicted = truth.ravel(), predicted.ravel()
    classes = np.unique(truth)
    size = int(max(truth.max(), predicted.max())) + 1
    table = np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)
    right = table.diagonal()[classes].astype(np.float64)
    recall = right / table.sum(1)[classes]
    precision = right / np.maximum(table.sum(0)[classes], 1)
    f1 = 2 * right / (table.sum(0) + table.sum(1))[classes]
    means = (float(values.mean()) for values in (recall, precision, f1))
    return Quality(float((truth == predicted).mean()), *means)


def class_weights(balance: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return weights under which each class that occurs counts alike, their mean over nodes 1."""
    present = balance > 0
    weight = balance.sum() / (present.sum() * np.maximum(balance, 1))
    return np.where(present, weight, 0).astype(np.float32)


def _loss(
    logits: Tensor, label: Tensor, weight: Tensor, balance: Balance, dice: torch.Generator
) -> Tensor:
    if balance == "oversample":
        # As many nodes again, drawn so that every class is as frequent.
        rows = torch.multinomial(weight[label], len(label), replacement=True, generator=dice)
        logits, label = logits[rows], label[rows]
    return cross_entropy(logits, label, weight if balance == "weights" else None)
