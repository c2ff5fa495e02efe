"""Rival generators without a network: what a conditional GAN must beat to be worth its training.

Each learns train snapshots and makes new ones for given labels, as `Cggm` does. The first two draw
features class by class and links at random, as many as a train snapshot has; `BlockModel` draws
links by the classes they join. Rivals with a network are in the modules `rival_*`.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from netvigil.errors import ContractError, NotFittedError
from netvigil_cggm.generator import Learnt, synthetic
from netvigil_cggm.network import thin
from netvigil_cggm.snapshots import Snapshots

Rows = NDArray[np.float32]


class SnapshotGenerator(Protocol):
    """What makes snapshots of given labels: `Cggm` and its rivals."""

    def fit_snapshots(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn from train snapshots."""
        ...

    def sample(self, label: NDArray[np.int64], *, seed: int) -> Snapshots:
        """Make one snapshot for each row of labels, int64 [snapshots, nodes]."""
        ...


class ByClass:
    """Keeps the train nodes of each class, and draws from them.

    Raises:
        NotFittedError: `sample` before `fit_snapshots`.
        ContractError: A class that no train node has.
    """

    def __init__(self) -> None:
        self.learnt_: Learnt | None = None
        self.rows_: dict[int, Rows] = {}

    def fit_snapshots(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn from train snapshots; `seed` is not used, nothing is drawn."""
        del seed
        self.learnt_ = Learnt.of(snapshots)
        self.rows_ = {
            int(number): snapshots.x[snapshots.label == number] for number in self.learnt_.present
        }
        return self

    def sample(self, label: NDArray[np.int64], *, seed: int) -> Snapshots:
        """Make one snapshot for each row of labels, int64 [snapshots, nodes]."""
        if self.learnt_ is None:
            msg = f"{type(self).__name__} has not been fitted."
            raise NotFittedError(msg)
        if lacking := set(np.unique(label).tolist()) - set(self.rows_):
            names = ", ".join(self.learnt_.classes[number] for number in sorted(lacking))
            msg = f"No train node is of these classes: {names}."
            raise ContractError(msg)
        edges = self.learnt_.draw_edges(len(label), "empirical", seed)
        x, links = self._make(label, edges, np.random.default_rng(seed))
        return synthetic(self.learnt_, x, links, label)

    def _make(
        self, label: NDArray[np.int64], edges: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Rows, NDArray[np.bool_]]:
        """Draw features, and links of equal chance."""
        x = self._features(label, rng)
        return x, largest(rng.random((*label.shape, label.shape[1])), edges)

    def _features(self, label: NDArray[np.int64], rng: np.random.Generator) -> Rows:
        """Draw features class by class, float32 [snapshots, nodes, features]."""
        x = np.empty((*label.shape, next(iter(self.rows_.values())).shape[1]), np.float32)
        for number in np.unique(label).tolist():
            here = label == number
            x[here] = self._draw(self.rows_[number], int(here.sum()), rng)
        return x

    def _draw(self, rows: Rows, many: int, rng: np.random.Generator) -> Rows:
        """Draw that many nodes like those of one class; as they are, unless a subclass differs."""
        return rows[rng.integers(0, len(rows), many)]


class Smote(ByClass):
    """Between a train node and one of its five nearest of the same class (Chawla et al. 2002).

    That of imbalanced-learn refuses classes of five nodes or fewer, and adds to the real nodes,
    which it gives back too: asking it for so many of each class takes more lines than are here.
    """

    neighbours = 5
    most = 1_000  # nodes per class among which neighbours are sought

    def _draw(self, rows: Rows, many: int, rng: np.random.Generator) -> Rows:
        if len(rows) > self.most:
            rows = rows[rng.choice(len(rows), self.most, replace=False)]
        apart = cdist(rows, rows)
        np.fill_diagonal(apart, np.inf)
        near = np.argsort(apart, axis=1)[:, : max(min(self.neighbours, len(rows) - 1), 1)]
        one = rng.integers(0, len(rows), many)
        other = near[one, rng.integers(0, near.shape[1], many)]
        share = rng.random((many, 1))
        return (rows[one] + share * (rows[other] - rows[one])).astype(np.float32)


class Copula(ByClass):
    """Each feature's own distribution, joined by a Gaussian copula, class by class."""

    def _draw(self, rows: Rows, many: int, rng: np.random.Generator) -> Rows:
        from scipy.stats import norm, rankdata

        score = norm.ppf((rankdata(rows, axis=0) - 0.5) / len(rows))
        # A spread of 0 (constant features, one row) leaves a feature independent.
        both = score.T @ score / len(rows)
        spread = np.sqrt(both.diagonal())
        scale = np.where(spread > 1e-9, spread, 1)
        joint = both / np.outer(scale, scale)
        np.fill_diagonal(joint, 1)
        value, vector = np.linalg.eigh(joint)
        root = vector * np.sqrt(np.maximum(value, 0))
        share = ndtr(rng.standard_normal((many, len(value))) @ root.T)
        columns = [np.quantile(rows[:, j], share[:, j]) for j in range(rows.shape[1])]
        return np.stack(columns, axis=1).astype(np.float32)


class BlockModel(ByClass):
    """Real nodes drawn again, and links of a degree-corrected block model (Karrer, Newman 2011).

    A node is drawn with the numbers of links it sent and received; the chance of a link grows with
    these, times how often their classes are linked beyond that. As many as a train snapshot are
    kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.affinity_: NDArray[np.float64] | None = None
        self.degrees_: dict[int, Rows] = {}

    def fit_snapshots(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn features, degrees, and how often classes are linked."""
        super().fit_snapshots(snapshots, seed=seed)
        label, links = snapshots.label, snapshots.links
        sent, received = links.sum(2), links.sum(1)
        both = np.stack([sent, received], axis=-1).astype(np.float32)
        self.degrees_ = {number: both[label == number] for number in self.rows_}
        classes = len(snapshots.classes)
        window, src, dst = np.nonzero(links)
        pair = label[window, src] * classes + label[window, dst]
        seen = np.bincount(pair, minlength=classes**2).reshape(classes, classes)
        out = np.bincount(label.ravel(), sent.ravel(), classes)
        into = np.bincount(label.ravel(), received.ravel(), classes)
        # Half a link more, so that what was never seen stays possible.
        self.affinity_ = (seen + 0.5) / (np.outer(out, into) / max(len(src), 1) + 0.5)
        return self

    def _nodes(
        self, label: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Rows, NDArray[np.float64]]:
        """Draw train nodes of each label with their degrees."""
        x = np.empty((*label.shape, next(iter(self.rows_.values())).shape[1]), np.float32)
        degrees = np.empty((*label.shape, 2))
        for number in np.unique(label).tolist():
            here = label == number
            rows = rng.integers(0, len(self.rows_[number]), int(here.sum()))
            x[here], degrees[here] = self.rows_[number][rows], self.degrees_[number][rows]
        return x, degrees

    def _make(
        self, label: NDArray[np.int64], edges: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Rows, NDArray[np.bool_]]:
        assert self.affinity_ is not None
        x, degrees = self._nodes(label, rng)
        # A tenth of a link, so that any two nodes can be linked.
        rate = (degrees[..., 0] + 0.1)[:, :, None] * (degrees[..., 1] + 0.1)[:, None, :]
        rate *= self.affinity_[label[:, :, None], label[:, None, :]]
        # The first to arrive of exponential clocks: draws without replacement by rate.
        return x, largest(-rng.exponential(size=rate.shape) / rate, edges)


def largest(value: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return exactly the `edges` largest entries of each matrix, off the diagonal."""
    kept: NDArray[np.float64] = thin(torch.from_numpy(value), torch.from_numpy(edges)).numpy()
    return kept > 0
