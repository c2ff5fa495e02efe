"""`dbscan` and `hdbscan` as novelty rules: how far a flow lies beyond its nearest cluster's edge.

scikit-learn clusters the training flows once; a flow to come never changes a cluster. It belongs to
the cluster of the nearest kept flow if it lies within that cluster's edge (score 1), else to none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError
from netvigil_scorers.formulas.formula import GEMM_ROWS
from netvigil_scorers.formulas.neighbours import index_of, search

Find = Callable[[NDArray[np.float32]], tuple[NDArray[np.float64], NDArray[np.int64]]]
"""Takes a block of rows; returns the distance to the nearest kept flow, and which it is."""
TOGETHER = 384  # kept flows in one product: with a block of rows 3.5 MB, which a cache holds
NONE = -1
"""What stands for "in no cluster", as in scikit-learn."""
CORES = 0.95
"""Share of flows that an automatic radius makes cores, so at most 5 % of training is noise."""


@dataclass(frozen=True)
class Clusters:
    """Clusters as the flows that hold them together.

    A score is max(distance to the nearest kept flow, its reach) over the edge of its cluster: up to
    1 inside, above 1 outside. By `cluster-share` a member scores ln(flows fitted on / flows of its
    cluster), and a flow outside ln(flows fitted on) + ln(the score above), which is more.

    Shapes:
        kept: float32 [kept, dim], distinct; cluster: int64 [kept]; reach: float64 [kept], the
            smallest distance at which a flow is reached from it; edge: float64 [clusters] > 0
        size: float64 [clusters], training flows of each; flows: how many were fitted on
    """

    # One shape: of several kept flows at one distance always the same is taken.
    block_rows: ClassVar[int] = GEMM_ROWS
    most_rows: ClassVar[int] = GEMM_ROWS
    n_neighbors: ClassVar[int] = 1
    p: ClassVar[float] = 2.0  # read for minkowski only

    kept: NDArray[np.float32]
    cluster: NDArray[np.int64]
    reach: NDArray[np.float64]
    edge: NDArray[np.float64]
    size: NDArray[np.float64]
    flows: int
    algorithm: str
    leaf_size: int
    metric: str
    by: str
    find: Find = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        find = nearest_by_product(self.kept) if self.metric == "euclidean" else _by_index(self)
        object.__setattr__(self, "find", find)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Search the nearest kept flow of each row and compare with the edge of its cluster."""
        beyond, cluster = self._beyond(rows)
        if self.by == "distance":
            return beyond
        inside = np.log(self.flows / self.size[cluster])
        outside = np.log(self.flows) + np.log(np.maximum(beyond, 1.0))
        return np.where(beyond <= 1.0, inside, outside)

    def assign(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the cluster of each row of a block, -1 outside all of them."""
        beyond, cluster = self._beyond(rows)
        return np.where(beyond <= 1.0, cluster, NONE)

    def _beyond(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        distance, near = self.find(rows)
        cluster = self.cluster[near]
        return np.maximum(distance, self.reach[near]) / self.edge[cluster], cluster


@dataclass(frozen=True)
class Dbscan(Clusters):
    """Keeps the core flows; every edge is `eps`, so a score is the distance to the nearest core."""

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Cluster the distinct flows, each weighing as many as it stands for: the same clusters.

        A border flow, which scikit-learn gives to whichever cluster comes first, belongs to the
        nearest core here.
        """
        distinct, weight = _distinct(rows)
        eps = config.eps
        if eps == "auto":
            eps = _radius(distinct, weight, detector)
            detector.set_params(eps=eps)
        # Weights take their time, and say nothing where no flow repeats another.
        detector.fit(distinct, sample_weight=weight if len(distinct) < len(rows) else None)
        cores, label = detector.core_sample_indices_, detector.labels_
        if not len(cores):
            msg = f"No training flow has {config.min_samples} flows within eps {eps:.6g}."
            raise ContractError(msg, do="Set a larger eps, or 'auto'; or a smaller min_samples.")
        clusters = int(label.max()) + 1
        member = label >= 0
        return cls(
            kept=distinct[cores].astype(np.float32),
            cluster=label[cores].astype(np.int64),
            reach=np.zeros(len(cores)),
            edge=np.full(clusters, float(eps)),
            size=np.bincount(label[member], weights=weight[member]).astype(np.float64),
            flows=len(rows),
            **_settings(config),
        )


@dataclass(frozen=True)
class Hdbscan(Clusters):
    """Keeps the clustered flows; a reach is where a flow joins others, an edge a cluster's largest.

    Flows join at a mutual reachability distance: that between them, or where their neighbours are
    further, that to the `min_samples`-th of them. So a member scores the level at which it joined
    over that of the last to join.
    """

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Cluster the flows; where scikit-learn finds no cluster, all of them are one."""
        label = detector.fit(rows).labels_.astype(np.int64)
        if label.max() < 0:
            label = np.zeros(len(rows), np.int64)
        joined = _joined_at(detector, len(rows))
        clusters = int(label.max()) + 1
        edge = np.zeros(clusters)
        member = label >= 0
        np.maximum.at(edge, label[member], joined[member])
        # A cluster of equal flows has no extent; the smallest one seen anywhere stands in.
        least = joined[joined > 0].min() if joined.any() else 1.0
        _, first = np.unique(rows[member], axis=0, return_index=True)
        kept = np.flatnonzero(member)[np.sort(first)]
        return cls(
            kept=rows[kept].astype(np.float32),
            cluster=label[kept],
            reach=joined[kept],
            edge=np.where(edge > 0, edge, least),
            size=np.bincount(label[member]).astype(np.float64),
            flows=len(rows),
            **_settings(config),
        )


def nearest_by_product(kept: NDArray[np.float32]) -> Find:
    """Return a search of the nearest kept flow by matrix products, exact but for rounding.

    |x - c|^2 is |x|^2, the same for all c, and twice (|c|^2 / 2 - x.c): one product with a column
    more. Around the middle of the kept flows numbers are small, and few digits are lost.
    """
    middle = kept.mean(axis=0, dtype=np.float64)
    centred = kept - middle
    half = np.einsum("ij,ij->i", centred, centred) / 2
    table = np.concatenate([-centred, half[:, None]], axis=1)

    def find(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        x = np.ones((len(rows), table.shape[1]))
        np.subtract(rows, middle, out=x[:, :-1])
        least, near = np.full(len(rows), np.inf), np.zeros(len(rows), np.int64)
        each = np.arange(len(rows))
        for first in range(0, len(table), TOGETHER):
            value = x @ table[first : first + TOGETHER].T
            best = value.argmin(axis=1)
            found = value[each, best]
            better = found < least  # of equally near flows the first
            least[better], near[better] = found[better], first + best[better]
        away = x[:, :-1] - centred[near]
        return np.sqrt(np.einsum("ij,ij->i", away, away)), near

    return find


def _by_index(formula: Clusters) -> Find:
    """Return a search by scikit-learn, which knows other distances."""
    index = index_of(formula)

    def find(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        distance, near = search(index, rows)
        return distance[:, 0], near[:, 0]

    return find


def _settings(config: Any) -> dict[str, Any]:
    plain: dict[str, Any] = config.model_dump(include={"algorithm", "leaf_size", "metric", "by"})
    return plain


def _distinct(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distinct rows in order of appearance, and how many flows each stands for.

    Rows are told apart by a sum of their bits times odd numbers, ten times as fast as sorting them;
    should two rows ever share that sum, they are sorted after all.
    """
    bits = (rows.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0 is 0
    odd = np.random.default_rng(0).integers(2**64, size=bits.shape[1], dtype=np.uint64) | 1
    _, first, place, count = np.unique(
        (bits * odd).sum(axis=1), return_index=True, return_inverse=True, return_counts=True
    )
    if not np.array_equal(rows[first[place]], rows):
        _, first, count = np.unique(rows, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    return rows[first[order]], count[order].astype(np.float64)


def _radius(rows: NDArray[np.float64], weight: NDArray[np.float64], detector: Any) -> float:
    """Return the radius in which a share `CORES` of the flows have `min_samples` flows."""
    needed = detector.min_samples
    found, near = _neighbours(rows, min(needed, len(rows)), detector)
    enough = np.cumsum(weight[near], axis=1) >= needed
    last = np.where(enough.any(axis=1), enough.argmax(axis=1), found.shape[1] - 1)
    reach = found[np.arange(len(rows)), last]
    order = np.argsort(reach, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    radius = float(reach[order][np.searchsorted(share, CORES)])
    if radius:
        return radius
    # Nearly all flows repeat each other: the smallest distance that is one.
    return float(reach[reach > 0].min()) if reach.any() else 1.0


def _joined_at(detector: Any, flows: int) -> NDArray[np.float64]:
    """Return the distance at which each flow first joined another, float64 [flows].

    A private name of scikit-learn's: the clustering knows what a second search would find again.
    """
    tree = detector._single_linkage_tree_
    joined = np.zeros(flows)
    for side in ("left_node", "right_node"):
        leaf = tree[side] < flows
        joined[tree[side][leaf]] = tree["value"][leaf]
    return joined


def _neighbours(
    rows: NDArray[np.float64], count: int, detector: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the distances and numbers of the nearest rows, each row its own first."""
    from sklearn.neighbors import NearestNeighbors

    made = NearestNeighbors(
        n_neighbors=count,
        algorithm=detector.algorithm,
        leaf_size=detector.leaf_size,
        metric=detector.metric,
        n_jobs=1,
    )
    found: tuple[NDArray[Any], NDArray[Any]] = made.fit(rows).kneighbors(rows)
    return found
