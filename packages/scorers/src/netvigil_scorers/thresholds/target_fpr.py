"""`target-fpr`: hold a false positive rate on flows to come, set without labels."""

from __future__ import annotations

from pydantic import Field

from netvigil.parts import PartConfig
from netvigil.protocols import Calibration, Promise
from netvigil_scorers.thresholds.ruled import Cut, counted, cut_above_which, share_of


class TargetFprConfig(PartConfig):
    """Settings of `target-fpr`."""

    fpr: float = Field(
        0.01, gt=0, lt=1, description="Highest share of benign flows to flag, in expectation."
    )


def promise(config: TargetFprConfig) -> Promise:
    """Promise a false positive rate."""
    return Promise("fpr", config.fpr)


def choose(config: TargetFprConfig, calibration: Calibration) -> Cut:
    """Cut at the conformal quantile: rank ceil((n + 1) (1 - fpr)) of n calibration scores.

    If a benign flow to come ranks among the calibration flows as any of them does, it lies above
    the cut with a probability of at most `fpr`. Attacks in that range only raise the cut.
    """
    scores = calibration.score
    most = share_of(config.fpr, len(scores) + 1) - 1
    cut = cut_above_which(scores, max(most, 0))
    how = (
        f"A false positive rate of {config.fpr:.6g} on unlabelled calibration scores: "
        f"{counted(scores, cut)}"
    )
    if most < 0:
        how += "; too few flows to promise that rate, so the cut is their highest score"
    return Cut(cut, f"{how}.")
