"""`quantile`: flag a share of the calibration range."""

from __future__ import annotations

from pydantic import Field

from netvigil.parts import PartConfig
from netvigil.protocols import Calibration, Promise
from netvigil_scorers.thresholds.ruled import Cut, counted, cut_above_which, share_of


class QuantileConfig(PartConfig):
    """Settings of `quantile`."""

    keep: float = Field(
        0.05, gt=0, lt=1, description="Share of calibration flows to flag, at most."
    )


def promise(config: QuantileConfig) -> Promise:
    """Promise a share of flagged flows."""
    return Promise("share", config.keep)


def choose(config: QuantileConfig, calibration: Calibration) -> Cut:
    """Cut so that at most `keep` of the calibration flows lie above."""
    scores = calibration.score
    cut = cut_above_which(scores, share_of(config.keep, len(scores)))
    how = f"The highest {config.keep:.6g} of unlabelled calibration scores: {counted(scores, cut)}."
    return Cut(cut, how)
