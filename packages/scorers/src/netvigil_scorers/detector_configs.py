"""The settings of each detector, under PyOD's own names.

Defaults are PyOD's unless a trap says otherwise, beside it. Left out on purpose: `contamination`
(a cut is a threshold's business), `random_state` (it is the run's seed), `n_jobs`, `verbose` and
`copy` (they never change a score), and objects such as metrics or clustering estimators (an
experiment file holds plain values). This file knows no detector's code.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from netvigil.parts import PartConfig

# Half a million rows estimate means, histograms and covariances far better than traffic stays the
# same, and bound the float64 copies that PyOD's `fit` makes (208 MB each at 52 features).
LINEAR_ROWS = 500_000
# Flows that share encodings are few distinct rows, repeated: 100,000 of them have their mix to a
# third of a percent, and what a fit repeats is no longer what training costs.
SHARED_ROWS = 100_000
Metric = Literal["minkowski", "euclidean", "manhattan", "chebyshev"]
Neighbours = Literal["auto", "ball_tree", "kd_tree", "brute"]


class DetectorConfig(PartConfig):
    """The settings every detector has, and one line about it."""

    summary: ClassVar[str]

    fit_rows: int | None = Field(
        LINEAR_ROWS,
        ge=1,
        description="Fit on at most so many flows, a repeatable sample; null takes all.",
    )
    shared_rows: int | None = Field(
        SHARED_ROWS,
        ge=2,
        description="Where flows share encodings, fit on at most so many of them; null: no limit "
        "but fit_rows.",
    )

    def most_rows(self, *, shared: bool) -> int | None:
        """Return how many flows are fitted on at most; `shared`: they share encodings."""
        limits = (self.fit_rows, self.shared_rows if shared else None)
        return min((limit for limit in limits if limit is not None), default=None)

    def settings(self, rows: int) -> dict[str, Any]:
        """Return the detector's own arguments for a fit on `rows` flows."""
        del rows
        return self.model_dump(exclude={"fit_rows", "shared_rows"})


class PcaConfig(DetectorConfig):
    """Settings of `pca`: the weighted distance to the selected components."""

    summary: ClassVar[str] = "Weighted distance to the principal components."

    # PyOD's default keeps every component; those without variance get an infinite weight then, and
    # on one-hot features every score was +inf. A share drops them.
    n_components: float | int | None = Field(
        0.98,
        gt=0,
        description="A share of the variance (below 1), a number of components, or null for all.",
    )
    n_selected_components: int | None = Field(
        None, ge=1, description="Use only so many of the last components; null uses all."
    )
    whiten: bool = Field(
        default=False, description="Kept for published settings; the score ignores it."
    )
    svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"] = Field(
        "auto", description="How components are found."
    )
    tol: float = Field(0.0, ge=0, description="Tolerance of the arpack solver.")
    iterated_power: int | Literal["auto"] = Field(
        "auto", description="Power iterations of `randomized`."
    )
    weighted: bool = Field(
        default=True, description="Divide each distance by its share of the variance."
    )
    standardization: bool = Field(
        default=True, description="Scale features to unit variance first."
    )

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments; a whole number given as 3.0 means three components."""
        settings = super().settings(rows)
        if self.n_components is not None and self.n_components >= 1:
            settings["n_components"] = int(self.n_components)
        return settings


class HbosConfig(DetectorConfig):
    """Settings of `hbos`: the sum of log densities of one histogram per feature."""

    summary: ClassVar[str] = "Sum of log densities, one histogram per feature."

    n_bins: int | Literal["auto"] = Field(
        10, description="Bins of each histogram, at least 2, or 'auto'."
    )
    alpha: float = Field(
        0.1, gt=0, lt=1, description="Added to each density, so that no logarithm is infinite."
    )
    tol: float = Field(
        0.5, gt=0, lt=1, description="How far outside (in bins) still counts as the last bin."
    )

    @model_validator(mode="after")
    def _two_bins(self) -> HbosConfig:
        if self.n_bins != "auto" and self.n_bins < 2:
            msg = "n_bins must be at least 2, or 'auto'"
            raise ValueError(msg)
        return self


class CblofConfig(DetectorConfig):
    """Settings of `cblof`: the distance to the centre of the nearest large cluster.

    Fewer flows than `n_clusters`: as many clusters as flows. Where no cluster is small (PyOD raises
    an error then, and always with one cluster), all count as large.
    """

    summary: ClassVar[str] = "Distance to the centre of the nearest large cluster."

    n_clusters: int = Field(8, ge=1, description="Clusters of k-means.")
    alpha: float = Field(
        0.9, gt=0, lt=1, description="Share of flows that the large clusters hold together."
    )
    beta: float = Field(
        5.0, gt=1, description="Ratio of sizes that parts large from small clusters."
    )
    use_weights: bool = Field(
        default=False, description="Multiply scores by the size of the cluster."
    )

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments, with no more clusters than flows."""
        return super().settings(rows) | {"n_clusters": min(self.n_clusters, rows)}


class IForestConfig(DetectorConfig):
    """Settings of `iforest`: how few random cuts isolate a flow."""

    summary: ClassVar[str] = "How few random cuts isolate a flow."

    # 100 trees of 256 flows see at most 25,600 flows, and PyOD's `fit` scores all it gets, twice.
    fit_rows: int | None = Field(
        100_000,
        ge=1,
        description="Fit on at most so many flows, a repeatable sample; null takes all.",
    )
    n_estimators: int = Field(100, ge=1, description="Trees.")
    max_samples: int | float | Literal["auto"] = Field(
        "auto", description="Flows per tree: a number, a share (0 to 1], or 'auto' for 256."
    )
    max_features: float | int = Field(
        1.0, gt=0, description="Features per tree: a share (0 to 1] or a number."
    )
    bootstrap: bool = Field(default=False, description="Draw the flows of a tree with replacement.")

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments, with no more samples per tree than flows."""
        settings = super().settings(rows)
        if isinstance(self.max_samples, int):
            settings["max_samples"] = min(self.max_samples, rows)
        return settings


class NeighbourConfig(DetectorConfig):
    """Settings that `knn` and `lof` share. With too few flows, all others are neighbours."""

    # Cost of a score grows with the flows kept: about 12,000 flows/s at 20,000 kept.
    fit_rows: int | None = Field(
        50_000, ge=2, description="Keep at most so many flows, a repeatable sample; null keeps all."
    )
    n_neighbors: int = Field(5, ge=1, description="Neighbours that count.")
    algorithm: Neighbours = Field(
        "auto", description="How neighbours are found; never changes which."
    )
    leaf_size: int = Field(30, ge=1, description="Leaf size of the search trees.")
    metric: Metric = Field("minkowski", description="Distance between flows.")
    p: float = Field(2, ge=1, description="Power of the minkowski distance.")

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments, with fewer neighbours than flows."""
        return super().settings(rows) | {"n_neighbors": max(1, min(self.n_neighbors, rows - 1))}


class KnnConfig(NeighbourConfig):
    """Settings of `knn`: the distance to the k-th nearest training flow."""

    summary: ClassVar[str] = "Distance to the k-th nearest training flow."

    # PyOD warns that it is deprecated to name anything but these two.
    algorithm: Literal["auto", "ball_tree"] = Field(
        "auto", description="How neighbours are found; never changes which."
    )
    method: Literal["largest", "mean", "median"] = Field(
        "largest", description="Which of the k distances is the score."
    )


class LofConfig(NeighbourConfig):
    """Settings of `lof`: the density around the neighbours against that around the flow."""

    summary: ClassVar[str] = "Local outlier factor against the training flows."

    n_neighbors: int = Field(20, ge=1, description="Neighbours that count.")

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments; only the novelty form scores flows it has not seen."""
        return super().settings(rows) | {"novelty": True}


class OcsvmConfig(DetectorConfig):
    """Settings of `ocsvm`: the distance to the boundary of a one-class support vector machine."""

    summary: ClassVar[str] = "Distance to the boundary of a one-class support vector machine."

    # Fitting costs time and memory quadratic in the flows, and half of them (`nu`) become support
    # vectors that every score visits.
    fit_rows: int | None = Field(
        10_000,
        ge=1,
        description="Fit on at most so many flows, a repeatable sample; null takes all.",
    )
    kernel: Literal["rbf", "linear", "poly", "sigmoid"] = Field("rbf", description="The kernel.")
    degree: int = Field(3, ge=1, description="Degree of the poly kernel.")
    gamma: float | Literal["auto", "scale"] = Field(
        "auto", description="Kernel coefficient; 'auto' is one over the number of features."
    )
    coef0: float = Field(0.0, description="Constant of the poly and sigmoid kernels.")
    tol: float = Field(1e-3, gt=0, description="When the solver stops.")
    nu: float = Field(0.5, gt=0, le=1, description="Upper bound of the share of training errors.")
    shrinking: bool = Field(default=True, description="Use the shrinking heuristic.")
    cache_size: float = Field(200, gt=0, description="Kernel cache in MB.")
    max_iter: int = Field(-1, ge=-1, description="Solver iterations; -1 sets no limit.")


class McdConfig(DetectorConfig):
    """Settings of `mcd`: the Mahalanobis distance of a robust covariance (minimum determinant)."""

    summary: ClassVar[str] = "Mahalanobis distance of a robust covariance."

    # By far the slowest fit of all: some 6,000 flows/s at 52 features.
    fit_rows: int | None = Field(
        50_000,
        ge=2,
        description="Fit on at most so many flows, a repeatable sample; null takes all.",
    )
    assume_centered: bool = Field(default=False, description="Take the location to be zero.")
    support_fraction: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of flows in the raw estimate; null means just over half.",
    )
    # PyOD inverts a singular covariance by its pseudo-inverse, which gives *no* distance to just
    # the directions in which training flows never vary.
    ridge: float = Field(
        1e-6,
        ge=0,
        description="Variance of directions in which none varies, as a share of the mean variance.",
    )

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments; the ridge is ours."""
        settings = super().settings(rows)
        del settings["ridge"]
        return settings


class GmmConfig(DetectorConfig):
    """Settings of `gmm`: minus the log-likelihood of a mixture of Gaussians.

    Fewer flows than `n_components`: as many components as flows.
    """

    summary: ClassVar[str] = "Minus the log-likelihood of a mixture of Gaussians."

    n_components: int = Field(1, ge=1, description="Gaussians.")
    covariance_type: Literal["full", "tied", "diag", "spherical"] = Field(
        "full", description="Their shape."
    )
    tol: float = Field(1e-3, gt=0, description="When expectation-maximisation stops.")
    reg_covar: float = Field(
        1e-6, gt=0, description="Added to variances; a constant feature needs it."
    )
    max_iter: int = Field(100, ge=1, description="Most iterations.")
    n_init: int = Field(1, ge=1, description="Starts; the best one is kept.")
    init_params: Literal["kmeans", "k-means++", "random", "random_from_data"] = Field(
        "kmeans", description="How each start is chosen."
    )

    def settings(self, rows: int) -> dict[str, Any]:
        """Return PyOD's arguments, with no more components than flows."""
        return super().settings(rows) | {"n_components": min(self.n_components, rows)}
