"""`dbscan` and `hdbscan` as novelty rules: how far a flow lies beyond its nearest cluster's edge.

scikit-learn clusters the training flows once; a flow to come never changes a cluster. It belongs to
the cluster of the nearest kept flow if it lies within that cluster's edge (score 1), else to none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError
from netvigil_scorers.formulas.neighbours import CHUNK, index_of, search

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

    # One shape, see `Density`: of several kept flows at one distance always the same is taken.
    block_rows: ClassVar[int] = 3 * CHUNK
    most_rows: ClassVar[int] = 3 * CHUNK
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
    index: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", index_of(self))

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
        distance, nearest = search(self.index, rows)
        near = nearest[:, 0]
        cluster = self.cluster[near]
        return np.maximum(distance[:, 0], self.reach[near]) / self.edge[cluster], cluster


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
        detector.fit(distinct, sample_weight=weight)
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
    """Keeps the clustered flows; a reach is a core distance, an edge the largest of a cluster.

    So a flow of a cluster scores its own core distance over that of the sparsest member.
    """

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Cluster the flows; where scikit-learn finds no cluster, all of them are one."""
        label = detector.fit(rows).labels_.astype(np.int64)
        if label.max() < 0:
            label = np.zeros(len(rows), np.int64)
        core = _core_distance(rows, detector)
        clusters = int(label.max()) + 1
        edge = np.zeros(clusters)
        member = label >= 0
        np.maximum.at(edge, label[member], core[member])
        # A cluster of equal flows has no extent; the smallest one seen anywhere stands in.
        least = core[core > 0].min() if core.any() else 1.0
        _, first = np.unique(rows[member], axis=0, return_index=True)
        kept = np.flatnonzero(member)[np.sort(first)]
        return cls(
            kept=rows[kept].astype(np.float32),
            cluster=label[kept],
            reach=core[kept],
            edge=np.where(edge > 0, edge, least),
            size=np.bincount(label[member]).astype(np.float64),
            flows=len(rows),
            **_settings(config),
        )


def _settings(config: Any) -> dict[str, Any]:
    plain: dict[str, Any] = config.model_dump(include={"algorithm", "leaf_size", "metric", "by"})
    return plain


def _distinct(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distinct rows in order of appearance, and how many flows each stands for."""
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


def _core_distance(rows: NDArray[np.float64], detector: Any) -> NDArray[np.float64]:
    return np.asarray(_neighbours(rows, detector.min_samples, detector)[0][:, -1])


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
