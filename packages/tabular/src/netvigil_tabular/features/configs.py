"""The settings of each feature transform. This file knows no transform's code."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from netvigil.parts import PartConfig


class FeatureConfig(PartConfig):
    """What every feature transform has."""

    summary: ClassVar[str]

    fit_rows: int | None = Field(
        100_000,
        ge=2,
        description="Learn from at most so many train flows, a seeded sample; null takes all.",
    )


class TopConfig(FeatureConfig):
    """What keeps a number of features."""

    keep: int = Field(50, ge=1, description="Features to keep; all of them where there are fewer.")


class ForestImportanceConfig(TopConfig):
    """Settings of `forest-importance`."""

    summary: ClassVar[str] = "Keep the features that a random forest on the labels uses most."

    n_estimators: int = Field(100, ge=1, description="Number of trees.")
    max_depth: int | None = Field(None, ge=1, description="Deepest tree; null: no limit.")


class EliminationConfig(TopConfig):
    """Settings of `recursive-elimination`."""

    summary: ClassVar[str] = (
        "Drop the feature that a model on the labels uses least, again and again."
    )

    fit_rows: int | None = Field(
        20_000,  # a model is fitted once per step
        ge=2,
        description="Learn from at most so many train flows, a seeded sample; null takes all.",
    )
    model: Literal["random-forest", "decision-tree", "logistic-regression"] = Field(
        "random-forest", description="The model whose weights or importances decide."
    )
    n_estimators: int = Field(30, ge=1, description="Trees, where the model is a forest.")
    step: int | float = Field(
        1, gt=0, description="Features dropped at once: a number, or a share below 1."
    )


class MutualInformationConfig(TopConfig):
    """Settings of `mutual-information`."""

    summary: ClassVar[str] = "Keep the features that say most about the label, each by itself."

    fit_rows: int | None = Field(
        20_000,  # neighbours are searched for in every feature
        ge=2,
        description="Learn from at most so many train flows, a seeded sample; null takes all.",
    )
    n_neighbors: int = Field(3, ge=1, description="Neighbours of the estimate.")


class PcaFeaturesConfig(FeatureConfig):
    """Settings of `pca-features`."""

    summary: ClassVar[str] = "Principal components in place of the features; reads no labels."

    fit_rows: int | None = Field(
        500_000,
        ge=2,
        description="Learn from at most so many train flows, a seeded sample; null takes all.",
    )
    components: int | float = Field(
        50, gt=0, description="Number of components, or below 1 the share of variance to keep."
    )


class CorrelationFilterConfig(FeatureConfig):
    """Settings of `correlation-filter`."""

    summary: ClassVar[str] = "Drop features that a kept one tells already; reads no labels."

    fit_rows: int | None = Field(
        500_000,
        ge=2,
        description="Learn from at most so many train flows, a seeded sample; null takes all.",
    )
    limit: float = Field(
        0.95, gt=0, le=1, description="Largest absolute correlation that two kept features have."
    )
