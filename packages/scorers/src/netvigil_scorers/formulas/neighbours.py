"""`knn` and `lof`: distances to the training flows, which these detectors keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

# What scikit-learn's brute-force search multiplies at a time, and the rows of a block. Whole tiles,
# see `GEMM_ROWS`: at its own 256, one in a hundred flows got other bits as one of the last four.
CHUNK = 2 * 192


class Searched(Protocol):
    """A formula that searches among the flows it keeps, float32 [kept, dim]."""

    @property
    def kept(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def n_neighbors(self) -> int: ...  # noqa: D102
    @property
    def algorithm(self) -> str: ...  # noqa: D102
    @property
    def leaf_size(self) -> int: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def p(self) -> float: ...  # noqa: D102


def index_of(formula: Searched) -> Any:
    """Build scikit-learn's search structure; equal flows make an equal one, so no bundle has it."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(
        n_neighbors=formula.n_neighbors,
        algorithm=formula.algorithm,
        leaf_size=formula.leaf_size,
        metric=formula.metric,
        p=formula.p,
        n_jobs=1,
    ).fit(formula.kept.astype(np.float64))


def search(index: Any, rows: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return distances and rows of the neighbours, each [rows, n_neighbors]."""
    import sklearn

    with sklearn.config_context(pairwise_dist_chunk_size=CHUNK):
        distance, neighbour = index.kneighbors(rows.astype(np.float64))
    return distance, neighbour


def _settings(config: Any, n_neighbors: int) -> dict[str, Any]:
    plain = config.model_dump(include={"algorithm", "leaf_size", "metric", "p"})
    return {"n_neighbors": int(n_neighbors), **plain}


@dataclass(frozen=True)
class Distance:
    """The distance to the k nearest training flows, summed up by `method`.

    Shapes:
        kept: float32 [training flows, dim]
    """

    block_rows: ClassVar[int] = CHUNK
    most_rows: ClassVar[int] = CHUNK
    searches: ClassVar[bool] = True

    kept: NDArray[np.float32]
    n_neighbors: int
    algorithm: str
    leaf_size: int
    metric: str
    p: float
    method: str
    index: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", index_of(self))

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's KNN and keep the flows."""
        detector.fit(rows)
        kept = rows.astype(np.float32)
        return cls(kept=kept, **_settings(config, detector.n_neighbors), method=config.method)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Search the neighbours of a block."""
        distance, _ = search(self.index, rows)
        if self.method == "largest":
            return np.asarray(distance[:, -1])
        middle = np.mean if self.method == "mean" else np.median
        return np.asarray(middle(distance, axis=1))


@dataclass(frozen=True)
class Density:
    """The local outlier factor: the neighbours' mean density over the flow's own.

    Shapes:
        kept: float32 [training flows, dim]; reach, density: float64 [training flows], each training
            flow's distance to its k-th neighbour and its local reachability density
    """

    # One shape: which of several neighbours at the same distance is taken depends on it.
    block_rows: ClassVar[int] = CHUNK
    most_rows: ClassVar[int] = CHUNK
    searches: ClassVar[bool] = True

    kept: NDArray[np.float32]
    reach: NDArray[np.float64]
    density: NDArray[np.float64]
    n_neighbors: int
    algorithm: str
    leaf_size: int
    metric: str
    p: float
    index: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", index_of(self))

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit PyOD's LOF and keep the flows with their densities."""
        detector.fit(rows)
        fitted = detector.detector_
        k = fitted.n_neighbors_
        # Private names of scikit-learn; the test against `decision_function` guards them.
        return cls(
            kept=rows.astype(np.float32),
            reach=np.array(fitted._distances_fit_X_[:, k - 1]),
            density=np.array(fitted._lrd),
            **_settings(config, k),
        )

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compare densities; 1e-10 is scikit-learn's guard where all neighbours are duplicates."""
        distance, neighbour = search(self.index, rows)
        reachable = np.maximum(distance, self.reach[neighbour])
        own = 1.0 / (reachable.mean(axis=1) + 1e-10)
        return np.asarray((self.density[neighbour] / own[:, None]).mean(axis=1))
