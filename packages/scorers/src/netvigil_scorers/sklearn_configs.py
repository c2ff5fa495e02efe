"""The settings of the detectors that come from scikit-learn itself, or rank flows in company.

Names and defaults are those of the class that is fitted, as in `detector_configs`; what is ours
says so. This file knows no detector's code.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from netvigil_scorers.detector_configs import DetectorConfig, McdConfig, Neighbours

By = Literal["distance", "cluster-share"]
BY = (
    "'distance': how far beyond its nearest cluster's edge a flow lies. 'cluster-share': members "
    "of a cluster score by how few train flows it holds, flows outside all clusters above them."
)


class DbscanConfig(DetectorConfig):
    """Settings of `dbscan`: the distance to the nearest core flow, in units of `eps`."""

    summary: ClassVar[str] = "Distance to the nearest core flow of DBSCAN's clusters."

    # scikit-learn holds every pair of neighbours at once: at worst 800 MB for 10,000 flows.
    fit_rows: int | None = Field(
        10_000,
        ge=2,
        description="Cluster at most so many flows, a repeatable sample; null takes all.",
    )
    # scikit-learn's 0.5 suits one scaling of few features: on others no flow is a core.
    eps: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="Radius of a neighbourhood, above 0; 'auto': the radius in which 95 % of the "
        "fitted flows have `min_samples` flows.",
    )
    min_samples: int = Field(
        5, ge=1, description="Flows within eps, itself among them, that make a flow a core."
    )
    metric: Literal["euclidean", "manhattan", "chebyshev"] = Field(
        "euclidean", description="Distance between flows."
    )
    algorithm: Neighbours = Field(
        "auto", description="How neighbours are found; never changes which."
    )
    leaf_size: int = Field(30, ge=1, description="Leaf size of the search trees.")
    by: By = Field("distance", description=BY)

    def settings(self, rows: int) -> dict[str, Any]:
        """Return scikit-learn's arguments; an automatic radius is measured on the flows."""
        settings = super().settings(rows)
        del settings["by"]
        if self.eps == "auto":
            del settings["eps"]
        settings["min_samples"] = min(self.min_samples, rows)
        return settings


class HdbscanConfig(DetectorConfig):
    """Settings of `hdbscan`: how sparse it is around a flow, against its nearest cluster's edge.

    Fewer flows than `min_cluster_size` or `min_samples`: as many as there are. Where no cluster is
    found, all flows count as one.
    """

    summary: ClassVar[str] = "Sparseness around a flow against its nearest HDBSCAN cluster."

    # Time is quadratic: 5 s for 5,000 flows of 52 features, 18 s for 10,000.
    fit_rows: int | None = Field(
        5_000,
        ge=2,
        description="Cluster at most so many flows, a repeatable sample; null takes all.",
    )
    min_cluster_size: int = Field(5, ge=2, description="Fewest flows of a cluster.")
    min_samples: int | None = Field(
        None,
        ge=1,
        description="Flows, itself among them, in whose reach density is measured; null: as "
        "`min_cluster_size`.",
    )
    cluster_selection_epsilon: float = Field(
        0.0, ge=0, description="Clusters closer than this are joined."
    )
    cluster_selection_method: Literal["eom", "leaf"] = Field(
        "eom", description="Most stable clusters ('eom') or the finest ones ('leaf')."
    )
    allow_single_cluster: bool = Field(default=False, description="One cluster is an answer too.")
    metric: Literal["euclidean", "manhattan", "chebyshev"] = Field(
        "euclidean", description="Distance between flows."
    )
    algorithm: Neighbours = Field(
        "auto", description="How neighbours are found; never changes which."
    )
    leaf_size: int = Field(40, ge=1, description="Leaf size of the search trees.")
    by: By = Field("distance", description=BY)

    def settings(self, rows: int) -> dict[str, Any]:
        """Return scikit-learn's arguments, with nothing larger than the number of flows."""
        settings = super().settings(rows) | {"copy": True}
        del settings["by"]
        settings["min_cluster_size"] = max(2, min(self.min_cluster_size, rows))
        settings["min_samples"] = min(self.min_samples or self.min_cluster_size, rows)
        return settings


class EllipticEnvelopeConfig(McdConfig):
    """Settings of `elliptic-envelope`: a robust Mahalanobis distance in which all directions count.

    Where every direction varies in the core of the flows it ranks as `mcd`, which is the same
    estimate. Where one does not (a rare category, a flag), `mcd` as PyOD has it gives no distance
    to it; here its variance over all training flows counts.
    """

    summary: ClassVar[str] = "Robust Mahalanobis distance in which every direction counts."


class NystroemOcsvmConfig(DetectorConfig):
    """Settings of `nystroem-ocsvm`: a one-class support vector machine in linear time.

    Fewer distinct flows than `n_components`: as many landmarks as there are.
    """

    summary: ClassVar[str] = "One-class SVM on Nystroem features, in linear time."

    fit_rows: int | None = Field(
        None,
        ge=1,
        description="Fit on at most so many flows, a repeatable sample; null takes all.",
    )
    n_components: int = Field(
        200, ge=1, description="Landmark flows whose kernels are the features."
    )
    gamma: float | Literal["auto", "scale"] = Field(
        "auto", description="Coefficient of the rbf kernel; 'auto' is one over the features."
    )
    nu: float = Field(0.5, gt=0, le=1, description="Upper bound of the share of training errors.")
    passes: int | None = Field(
        None,
        ge=1,
        description="How often the flows are walked through; null: once, and few flows until "
        "100,000 steps are done.",
    )
    # scikit-learn's False leaves the last step's noise in the boundary.
    average: bool = Field(default=True, description="Average the weights over all steps.")

    def settings(self, rows: int) -> dict[str, Any]:
        """Return scikit-learn's arguments for the machine; landmarks and passes are ours."""
        del rows
        return {"nu": self.nu, "average": self.average}


class CompanyConfig(DetectorConfig):
    """What `ecod` and `copod` have in common: no settings but their limits."""

    # Every batch is ranked among all of them again.
    fit_rows: int | None = Field(
        50_000, ge=2, description="Keep at most so many flows, a repeatable sample; null keeps all."
    )


class EcodConfig(CompanyConfig):
    """Settings of `ecod`: tail probabilities of features among training flows and companions."""

    summary: ClassVar[str] = "Tail probabilities among training flows and batch companions."


class CopodConfig(CompanyConfig):
    """Settings of `copod`: the same by empirical copulas."""

    summary: ClassVar[str] = "Empirical copula of training flows and batch companions."
