"""`GraphSgan` (Ding et al. 2018, arXiv 1809.00130): a node classifier taught with few labels.

A generator makes fake nodes where real ones are rare, between classes; a classifier that must tell
them from real nodes, most of them without a label, bends its borders there. It makes no snapshots,
so it stands among the node classifiers and is taught by real snapshots.

| paper | here |
|---|---|
| neighbour fusion | `fused`: a node's features beside the mean of its neighbours' |
| classifier and generator | `Classifier`, `Faker` |
| losses of the classifier | `supervised`, `unsupervised`, entropy, `pull_away` |
| losses of the generator | feature matching and `pull_away` |

Differences from the paper: it mixes features of neighbours into a node's own and adds an embedding
of the graph (LINE). Here there are many small graphs and new ones to classify, so there is no
embedding, and own and neighbours' features stand side by side. Labelled nodes are drawn at random,
but one of each class at least, and not as many of each. Networks are smaller, and batch
normalisation has weights of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, elu, linear, softplus

from netvigil.errors import ConfigError
from netvigil.protocols import Watch
from netvigil.torch.device import resolve_device, threads_for
from netvigil.torch.generators import build, generator
from netvigil_cggm.classifiers import graph, scaled_as_taught
from netvigil_cggm.generator import Scale
from netvigil_cggm.snapshots import Snapshots
from netvigil_cggm.steps import Norm, descend, normal, play


@dataclass(frozen=True)
class GraphSganSettings:
    """How `GraphSgan` learns; a batch is of nodes.

    labelled: share of train nodes whose class is told
    pull_weight: of the generator; in the classifier's loss that term has a weight of 1

    Raises:
        ConfigError: A share of labels that is none.
    """

    steps: int = 400
    batch: int = 128
    hidden: int = 64
    noise: int = 32
    labelled: float = 0.1
    unlabelled_weight: float = 0.5
    entropy_weight: float = 1.0
    pull_weight: float = 1.0
    learning_rate: float = 3e-3
    input_noise: float = 0.05
    hidden_noise: float = 0.5
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0 < self.labelled <= 1:
            msg = f"A share of {self.labelled} of the labels cannot be told."
            raise ConfigError(msg, where="labelled", do="Take a share above 0, up to 1.")


def fused(x: NDArray[np.float32], links: NDArray[np.bool_]) -> Tensor:
    """Join features with the mean of neighbours, either direction; 0 where there are none.

    Shapes:
        x: [snapshots, nodes, features], within [0, 1]; links: [snapshots, nodes, nodes]
        returns: float32 [snapshots * nodes, 2 * features], within [-1, 1]
    """
    own = 2 * torch.tensor(x) - 1
    near = graph(torch.tensor(links, dtype=torch.float32), "sage") @ own
    return torch.cat([own, near], 2).flatten(0, 1)


class WeightNorm(nn.Module):
    """A linear map whose rows have lengths of their own (Salimans, Kingma 2016)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.way = nn.Parameter(torch.zeros(after, before))
        self.length = nn.Parameter(torch.zeros(after))
        self.bias = nn.Parameter(torch.zeros(after))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw directions; lengths of 1."""
        self.way.normal_(0, 1 / math.sqrt(self.way.shape[1]), generator=rng)
        self.length.fill_(1.0)
        self.bias.fill_(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map [rows, before] to [rows, after]."""
        scale = self.length / self.way.norm(dim=1).clamp(min=1e-12)
        return linear(x, self.way * scale[:, None], self.bias)


class Classifier(nn.Module):
    """Rows to logits of the classes; that of a fake is always 0."""

    def __init__(self, features: int, classes: int, settings: GraphSganSettings) -> None:
        super().__init__()
        wide = settings.hidden
        self.layers = nn.ModuleList(WeightNorm(before, wide) for before in (features, wide, wide))
        self.last = WeightNorm(wide, classes)
        self._settings = settings

    def embed(self, x: Tensor, dice: torch.Generator | None) -> Tensor:
        """Return the last hidden layer, [rows, hidden]; with `dice`, noise is added on the way."""
        s = self._settings
        h = x if dice is None else x + s.input_noise * normal(tuple(x.shape), dice)
        for number, layer in enumerate(self.layers):
            if number and dice is not None:
                h = h + s.hidden_noise * normal(tuple(h.shape), dice)
            h = elu(layer(h))
        return h

    def forward(self, x: Tensor, dice: torch.Generator | None = None) -> Tensor:
        """Classify rows, [rows, classes]."""
        logits: Tensor = self.last(self.embed(x, dice))
        return logits


class Faker(nn.Module):
    """Noise to rows within [-1, 1]."""

    def __init__(self, features: int, settings: GraphSganSettings) -> None:
        super().__init__()
        wide = settings.hidden
        self.first, self.norm = nn.Linear(settings.noise, wide, bias=False), Norm(wide)
        self.second, self.renorm = nn.Linear(wide, wide, bias=False), Norm(wide)
        self.last = WeightNorm(wide, features)

    def forward(self, noise: Tensor) -> Tensor:
        """Make rows, [rows, features]."""
        h = elu(self.norm(self.first(noise)))
        made: Tensor = self.last(elu(self.renorm(self.second(h)))).tanh()
        return made


def unsupervised(real: Tensor, fake: Tensor) -> Tensor:
    """Return how wrongly real rows are taken for fakes and fakes for real ones.

    Both are logits of classes, [rows, classes]; that of a fake is 0, so a row is real by the chance
    Z / (Z + 1), with Z the sum of exponentials.
    """
    one, two = real.logsumexp(1), fake.logsumexp(1)
    return (softplus(-one).mean() + softplus(two).mean()) / 2


def entropy(logits: Tensor) -> Tensor:
    """Return how undecided a classifier is, the mean over rows."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()


def pull_away(h: Tensor) -> Tensor:
    """Return the mean squared cosine between different rows of [rows, dim].

    Example:
        >>> pull_away(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
        tensor(0.3333)
    """
    way = h / h.norm(dim=1, keepdim=True).clamp(min=1e-12)
    cosine = (way @ way.T).square()
    pairs = max(len(h) * (len(h) - 1), 1)
    mean: Tensor = (cosine.sum() - cosine.diagonal().sum()) / pairs
    return mean


def told(label: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Draw the rows whose label is told: a share of all, and one of each class at least."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(label))
    _, first = np.unique(label[order], return_index=True)
    most = max(round(share * len(label)), 1)
    return np.union1d(order[first], order[:most])


class GraphSgan:
    """The classifier; `fit` reads the labels of a share of the nodes alone.

    Raises:
        ConfigError: A device that is not there.
        NotFittedError: `predict` before `fit`.
        ContractError: Snapshots with other features than in training.
        TrainingError: A loss that is not finite.
    """

    def __init__(self, settings: GraphSganSettings | None = None) -> None:
        self.settings = settings or GraphSganSettings()
        self.network_: Classifier | None = None
        self.scale_: Scale | None = None
        self.feature_names_: tuple[str, ...] = ()
        self._device = resolve_device(self.settings.device)
        self._watch = Watch()

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`."""
        self._watch = watch

    def fit(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn from all nodes of these snapshots, and from the labels of some."""
        scale = Scale.of(snapshots.x)
        x = fused(scale.into(snapshots.x), snapshots.links).to(self._device)
        label = snapshots.label.ravel()
        rows = told(label, self.settings.labelled, seed)
        known = torch.tensor(label[rows], device=self._device)
        game = Taught(
            x[torch.tensor(rows, device=self._device)],
            known,
            x,
            len(snapshots.classes),
            self.settings,
            seed=seed,
        )
        with threads_for(self.settings.batch, self._device):
            play(game.step, self.settings.steps, name="graphsgan", seed=seed, watch=self._watch)
        self.network_, self.scale_ = game.classifier.eval(), scale
        self.feature_names_ = snapshots.feature_names
        return self

    def predict(self, snapshots: Snapshots) -> NDArray[np.int64]:
        """Return the class of each node, int64 [snapshots, nodes]."""
        scaled = scaled_as_taught(snapshots, self.scale_, self.feature_names_)
        assert self.network_ is not None
        x = fused(scaled, snapshots.links).to(self._device)
        with torch.no_grad():
            found = self.network_(x).argmax(1).cpu().numpy()
        return np.asarray(found, np.int64).reshape(snapshots.label.shape)


class Taught:
    """Classifier against generator; `step` moves both."""

    def __init__(
        self,
        labelled: Tensor,
        label: Tensor,
        x: Tensor,
        classes: int,
        settings: GraphSganSettings,
        *,
        seed: int,
    ) -> None:
        s, rng = settings, generator(seed, 0)
        self.classifier = build(lambda: Classifier(x.shape[1], classes, s), rng, x.device)
        self.faker = build(lambda: Faker(x.shape[1], s), rng, x.device)
        self._labelled, self._label, self._x, self._settings = labelled, label, x, s
        self._dice = generator(seed, 1, device=x.device)
        self._move_classifier, self._move_faker = (
            torch.optim.Adam(part.parameters(), lr=s.learning_rate, betas=(0.5, 0.999))
            for part in (self.classifier, self.faker)
        )

    def step(self) -> dict[str, float]:
        """Teach the classifier once, then the generator."""
        return self._teach_classifier() | self._teach_faker()

    def _some(self, many: int) -> Tensor:
        dice = self._dice
        return torch.randint(many, (self._settings.batch,), generator=dice, device=dice.device)

    def _fakes(self) -> Tensor:
        made: Tensor = self.faker(normal((self._settings.batch, self._settings.noise), self._dice))
        return made

    def _teach_classifier(self) -> dict[str, float]:
        s, rows = self._settings, self._some(len(self._label))
        supervised = cross_entropy(
            self.classifier(self._labelled[rows], self._dice), self._label[rows]
        )
        h = self.classifier.embed(self._x[self._some(len(self._x))], self._dice)
        logits = self.classifier.last(h)
        with torch.no_grad():
            fakes = self._fakes()
        apart = unsupervised(logits, self.classifier(fakes, self._dice))
        loss = supervised + s.unlabelled_weight * apart
        descend(loss + s.entropy_weight * entropy(logits) + pull_away(h), self._move_classifier)
        return {"supervised": float(supervised.detach()), "unsupervised": float(apart.detach())}

    def _teach_faker(self) -> dict[str, float]:
        with torch.no_grad():
            real = self.classifier.embed(self._x[self._some(len(self._x))], self._dice)
        made = self.classifier.embed(self._fakes(), self._dice)
        matching = (real.mean(0) - made.mean(0)).abs().mean()
        descend(matching + self._settings.pull_weight * pull_away(made), self._move_faker)
        return {"matching": float(matching.detach())}
