"""`iforest`: the mean depth at which random cuts isolate a flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import BundleError


@dataclass(frozen=True)
class Forest:
    """scikit-learn's trees, walked one after the other over a block that fits the cache.

    scikit-learn adds the depths up in whatever order its threads end; here the order is that of the
    trees, so sums never differ.
    """

    block_rows: ClassVar[int] = 1
    most_rows: ClassVar[int] = 4096  # of 52 features, they fit the cache

    forest: Any
    offset: float
    trees: list[Any] = field(init=False, repr=False, compare=False)
    depths: list[NDArray[np.float64]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        trees = [estimator.tree_ for estimator in self.forest.estimators_]
        for tree in trees:
            _refuse_damaged(tree)
        object.__setattr__(self, "trees", trees)
        object.__setattr__(self, "depths", [_depths(tree) for tree in trees])

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's IForest and keep scikit-learn's forest inside it."""
        del config
        detector.fit(rows)
        return cls(forest=detector.detector_, offset=float(detector.offset_))

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Walk every tree; the result is 2^(-mean depth / expected depth), as PyOD shifts it."""
        total = np.zeros(len(rows))
        dim = rows.shape[1]
        chosen = self.forest.estimators_features_
        for tree, depth, features in zip(self.trees, self.depths, chosen, strict=True):
            seen = rows if len(features) == dim else np.ascontiguousarray(rows[:, features])
            total += depth.take(tree.apply(seen))
        expected = len(self.trees) * _path_length(np.array([self.forest.max_samples_]))[0]
        # A forest of single flows has no depth at all; scikit-learn gives every flow a 1 then.
        mean = total / expected if expected else np.ones(len(rows))
        return np.asarray(np.exp2(-mean) + self.offset)


def _depths(tree: Any) -> NDArray[np.float64]:
    """Return each node's depth plus the expected depth of the flows that end there."""
    return np.asarray(tree.compute_node_depths() - 1.0 + _path_length(tree.n_node_samples))


def _path_length(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean path length of an unsuccessful search among so many flows."""
    n = np.asarray(samples, dtype=np.float64)
    many = np.maximum(n, 3.0)
    length = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(n > 2, length, np.where(n == 2, 1.0, 0.0))


def _refuse_damaged(tree: Any) -> None:
    """Refuse a tree whose nodes point outside it or back: walking it would leave its memory."""
    left, right = tree.children_left, tree.children_right
    node = np.arange(tree.node_count)
    inner = left >= 0
    sound = (
        (right >= 0) == inner,
        ~inner | ((left > node) & (right > node) & (left < len(node)) & (right < len(node))),
        ~inner | ((tree.feature >= 0) & (tree.feature < tree.n_features)),
    )
    if not all(check.all() for check in sound):
        msg = "A tree of this isolation forest points outside itself."
        raise BundleError(msg, do="The file is damaged or was tampered with; fit again.")
