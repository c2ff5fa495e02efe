"""`mad`: so many robust standard deviations above the median."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from netvigil.parts import PartConfig
from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.ruled import Cut, counted

# Of a normal distribution: standard deviation over median, and over mean, absolute deviation.
PER_MEDIAN_DEVIATION = 1.4826022185056018
PER_MEAN_DEVIATION = 1.2533141373155001


class MadConfig(PartConfig):
    """Settings of `mad`."""

    # 3.5 is the customary cut for outliers by median deviation (Iglewicz and Hoaglin, 1993).
    factor: float = Field(3.5, gt=0, description="Robust standard deviations above the median.")


def choose(config: MadConfig, calibration: Calibration) -> Cut:
    """Cut at median + factor * 1.4826 * MAD.

    Where over half of the scores are equal the MAD is zero and the mean deviation stands in for it.
    """
    scores = calibration.score
    median = float(np.median(scores))
    deviation = np.abs(scores - median)
    spread, by = PER_MEDIAN_DEVIATION * float(np.median(deviation)), "median"
    if not spread:
        spread, by = (
            PER_MEAN_DEVIATION * float(deviation.mean()),
            "mean (over half of the scores are equal)",
        )
    cut = median + config.factor * spread
    return Cut(
        cut,
        f"{config.factor:.6g} robust deviations by the {by} absolute deviation above the median of "
        f"unlabelled calibration scores: {counted(scores, cut)}.",
    )
