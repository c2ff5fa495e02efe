"""The settings of each classifier, under scikit-learn's own names where it has one.

Left out on purpose: `random_state` (it is the run's seed), `n_jobs`, `verbose` and `warm_start`
(they change no answer). This file knows no classifier's code.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from netvigil.parts import PartConfig

Calibration = Literal["none", "sigmoid", "isotonic"]
SOME_ROWS = 500_000
"""Flows that models of linear cost learn from: more of them change a tree less than a seed does."""


class ClassifierConfig(PartConfig):
    """The settings every classifier has, and one line about it."""

    summary: ClassVar[str]

    fit_rows: int | None = Field(
        SOME_ROWS,
        ge=2,
        description="Learn from at most so many flows: a seeded sample that keeps each class's "
        "share, and a few flows of every class; null takes all.",
    )
    calibration: Calibration = Field(
        "none",
        description="Correct the probabilities on flows that were held out of the train part.",
    )
    calibration_by: Literal["latest", "folds"] = Field(
        "latest",
        description="Hold out the latest train flows, or each of several folds in turn.",
    )
    calibration_share: float = Field(
        0.2, gt=0, lt=1, description="Share of the train flows that `latest` holds out."
    )
    calibration_folds: int = Field(5, ge=2, description="Number of folds.")

    def settings(self) -> dict[str, Any]:
        """Return the model's own arguments."""
        shared = {*ClassifierConfig.model_fields, "class_weight"}
        return self.model_dump(exclude=shared)


class Weighted(ClassifierConfig):
    """A classifier that can weigh classes."""

    class_weight: Literal["none", "balanced"] = Field(
        "none", description="`balanced` lets every class count alike, however few flows it has."
    )


class TreeConfig(Weighted):
    """What trees share."""

    criterion: Literal["gini", "entropy", "log_loss"] = Field(
        "gini", description="What a split lowers."
    )
    max_depth: int | None = Field(None, ge=1, description="Deepest tree; null: no limit.")
    min_samples_split: int = Field(2, ge=2, description="Flows that a node needs to be split.")
    min_samples_leaf: int = Field(1, ge=1, description="Flows that a leaf must keep.")
    max_features: int | float | Literal["sqrt", "log2"] | None = Field(
        "sqrt", description="Features looked at for a split: a number, a share, or null for all."
    )
    ccp_alpha: float = Field(0.0, ge=0, description="Cost-complexity pruning.")


class RandomForestConfig(TreeConfig):
    """Settings of `random-forest`."""

    summary: ClassVar[str] = "Trees on bootstrap samples, each split on some of the features."

    n_estimators: int = Field(100, ge=1, description="Number of trees.")
    bootstrap: bool = Field(default=True, description="Give each tree a sample with replacement.")
    max_samples: int | float | None = Field(
        None, description="Size of that sample; null: as many as there are."
    )


class ExtraTreesConfig(TreeConfig):
    """Settings of `extra-trees`."""

    summary: ClassVar[str] = "Trees whose cuts are drawn at random, the best of them taken."

    n_estimators: int = Field(100, ge=1, description="Number of trees.")
    bootstrap: bool = Field(default=False, description="Give each tree a sample of the flows.")


class DecisionTreeConfig(TreeConfig):
    """Settings of `decision-tree`."""

    summary: ClassVar[str] = "One tree."

    max_features: int | float | Literal["sqrt", "log2"] | None = Field(
        None, description="Features looked at for a split: a number, a share, or null for all."
    )


class BoostingConfig(Weighted):
    """Settings of `hist-gradient-boosting`.

    scikit-learn stops early on a random tenth of the rows where there are many; here every row
    teaches unless `early_stopping` says otherwise.
    """

    summary: ClassVar[str] = "Gradient boosting of trees on binned features."

    learning_rate: float = Field(0.1, gt=0, description="Step of each tree.")
    max_iter: int = Field(200, ge=1, description="Rounds; each has one tree per class.")
    max_leaf_nodes: int | None = Field(31, ge=2, description="Leaves of a tree; null: no limit.")
    max_depth: int | None = Field(None, ge=1, description="Deepest tree; null: no limit.")
    min_samples_leaf: int = Field(20, ge=1, description="Flows that a leaf must keep.")
    # scikit-learn has 0, with which the trees of rare classes take steps without bound: on 22
    # classes of NSL-KDD, ten of them of under ten flows, accuracy was .55, with a penalty .998.
    l2_regularization: float = Field(1.0, ge=0, description="Penalty on leaf values.")
    max_features: float = Field(1.0, gt=0, le=1, description="Share of features for each split.")
    max_bins: int = Field(255, ge=2, le=255, description="Bins of a feature.")
    early_stopping: bool = Field(
        default=False, description="Stop when a random tenth of the rows gains nothing more."
    )


class LogisticConfig(Weighted):
    """Settings of `logistic-regression`."""

    summary: ClassVar[str] = "Linear log-odds; features should be scaled."

    C: float = Field(1.0, gt=0, description="Inverse of the strength of the L2 penalty.")
    max_iter: int = Field(1000, ge=1, description="Most steps of the solver.")
    tol: float = Field(1e-4, gt=0, description="When the solver stops.")


class NeighboursConfig(ClassifierConfig):
    """Settings of `k-nearest-neighbours`, whose cost grows with the train flows it keeps."""

    summary: ClassVar[str] = "Classes of the nearest train flows; features should be scaled."

    fit_rows: int | None = Field(
        50_000,  # every flow is compared with each of them: 50 features take 20 ms per 1,000 flows
        ge=2,
        description="Keep at most so many train flows, a seeded sample; null keeps all.",
    )
    n_neighbors: int = Field(5, ge=1, description="Neighbours that vote.")
    weights: Literal["uniform", "distance"] = Field(
        "uniform", description="Whether nearer ones count more."
    )
    metric: Literal["euclidean", "manhattan", "chebyshev"] = Field(
        "euclidean", description="What near means."
    )


class NaiveBayesConfig(Weighted):
    """Settings of `naive-bayes`."""

    summary: ClassVar[str] = "Independent normal features within each class."

    var_smoothing: float = Field(
        1e-9, ge=0, description="Share of the largest variance added to all."
    )


class NetworkConfig(Weighted):
    """Settings of `mlp`; the defaults are the network of the NSL-KDD notebook."""

    summary: ClassVar[str] = "A feed-forward network trained on cross-entropy."

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (50, 25), min_length=1, description="Widths of the hidden layers."
    )
    norm: Literal["batch", "none"] = Field("batch", description="What follows a linear layer.")
    activation: Literal["relu", "tanh", "selu", "elu"] = Field("relu", description="What then.")
    epochs: int = Field(100, ge=1, description="Passes over the train flows.")
    batch: int = Field(1024, ge=2, description="Flows per step.")
    learning_rate: float = Field(1e-3, gt=0, description="Step size of Adam.")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty of Adam.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")

    def settings(self) -> dict[str, Any]:
        """Return nothing: the network reads this config itself."""
        return {}


class Member(PartConfig):
    """One voter: a classifier's name and its own settings."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


def _member(value: object) -> object:
    """Accept `"random-forest"` or `{name = "random-forest", n_estimators = 50}`."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "options" not in value:
        options = {key: item for key, item in value.items() if key != "name"}
        return {"name": value.get("name", ""), "options": options}
    return value


class VotingConfig(ClassifierConfig):
    """Settings of `voting`."""

    summary: ClassVar[str] = "The mean of other classifiers' probabilities."

    fit_rows: int | None = Field(
        None, ge=2, description="Show the voters at most so many flows; each has its own limit too."
    )
    members: tuple[Annotated[Member, BeforeValidator(_member)], ...] = Field(
        (
            Member(name="random-forest"),
            Member(name="extra-trees"),
            Member(name="hist-gradient-boosting"),
        ),
        min_length=2,
        description="Names of the voters, or tables of a name and its settings.",
    )
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="How much each voter counts; null: all alike."
    )
