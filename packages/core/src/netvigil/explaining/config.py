"""Settings of core's explainers. Listing parts reads these, so nothing heavy is imported here."""

from __future__ import annotations

from pydantic import Field

from netvigil.parts import PartConfig

FEWEST = 2  # features that `shap` tells apart, however large the window


class PermutationConfig(PartConfig):
    """Settings of `permutation`."""

    rows: int = Field(100, ge=1, description="train flows whose values stand in, at most")
    budget: int = Field(
        2_000_000, ge=1, description="flows scored per flow explained; fewer train flows keep it"
    )


class ShapConfig(PartConfig):
    """Settings of `shap`."""

    features: int = Field(8, ge=FEWEST, le=12, description="features told apart; each doubles time")
    rows: int = Field(25, ge=1, description="train flows whose values stand in, at most")
    budget: int = Field(
        2_000_000, ge=1, description="flows scored per flow explained; fewer features keep it"
    )


class OcclusionConfig(PartConfig):
    """Settings of `occlusion`."""

    pairs: int = Field(12, ge=1, description="pairs of hosts left out in turn, the largest ones")
    flows: int = Field(16, ge=0, description="single flows left out in turn")
    budget: int = Field(
        20_000_000, ge=1, description="flows scored per flow explained; fewer groups keep it"
    )
