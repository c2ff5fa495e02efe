"""`evt`: peaks over threshold. A generalised Pareto tail says which cut gives so small a risk.

Pickands-Balkema-de Haan: what exceeds a high level is about generalised Pareto distributed,
whatever the scores are (Siffer et al., KDD 2017, use it for streams). So it reaches risks below one
flow of the calibration range, which no quantile can. The fit is maximum likelihood on the profile
of one parameter (Grimshaw, 1993).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from netvigil.parts import PartConfig
from netvigil.protocols import Calibration, Promise
from netvigil_scorers.thresholds.ruled import Cut, counted, cut_above_which, share_of

# Fewer leave the shape to chance: its standard error is about (1 + shape) / sqrt(excesses).
LEAST_EXCESSES = 30


class EvtConfig(PartConfig):
    """Settings of `evt`."""

    tail: float = Field(
        0.05, gt=0, lt=1, description="Share of calibration flows that count as the tail."
    )
    risk: float = Field(
        1e-3, gt=0, lt=1, description="Probability that a usual flow exceeds the cut."
    )

    @model_validator(mode="after")
    def _risk_in_tail(self) -> EvtConfig:
        if self.risk >= self.tail:
            msg = "risk must be below tail: the tail is where the distribution is fitted"
            raise ValueError(msg)
        return self


class Tail(NamedTuple):
    """A generalised Pareto distribution of excesses."""

    shape: float
    scale: float


def promise(config: EvtConfig) -> Promise:
    """Promise a false positive rate: the risk is that of a usual flow."""
    return Promise("fpr", config.risk)


def choose(config: EvtConfig, calibration: Calibration) -> Cut:
    """Cut where the fitted tail has probability `risk`; a quantile where no tail can be fitted."""
    scores = calibration.score
    level = cut_above_which(scores, share_of(config.tail, len(scores)))
    excess = scores[scores > level] - level
    reason = f"only {len(excess)} scores in it, {LEAST_EXCESSES} needed"
    if len(excess) >= LEAST_EXCESSES:
        tail = fit_tail(excess)
        cut = level + _quantile(tail, config.risk * len(scores) / len(excess)) if tail else math.nan
        if tail and math.isfinite(cut) and cut >= level:
            how = (
                f"Risk {config.risk:.6g} by a generalised Pareto tail (shape {tail.shape:.3g}, "
                f"scale {tail.scale:.3g}) of the {len(excess):,} highest unlabelled calibration "
                f"scores: {counted(scores, cut)}."
            )
            return Cut(cut, how)
        reason = "its scores fit no generalised Pareto distribution"
    cut = cut_above_which(scores, share_of(config.risk, len(scores)))
    how = (
        f"Quantile at risk {config.risk:.6g} of unlabelled calibration scores, as no tail could be "
        f"fitted ({reason}): {counted(scores, cut)}."
    )
    return Cut(cut, how)


def fit_tail(excess: NDArray[np.float64]) -> Tail | None:
    """Fit a generalised Pareto distribution to excesses [flows] > 0; None where there is no best.

    With t = shape / scale the best shape is mean(log(1 + t y)), so the likelihood is a curve over
    t. It is unbounded for shapes below -1; those are left out, as in Grimshaw's algorithm.
    """
    largest, mean = float(excess.max()), float(excess.mean())
    if not (math.isfinite(mean) and mean > 0) or excess.min() == largest:
        return None
    y = excess / mean  # so that t has a known size
    low = -mean / largest
    near = low * (1 - np.geomspace(1e-6, 1, 60)[:-1])
    far = np.geomspace(1e-6, 1e9, 180)  # a few huge excesses make the mean, our unit, huge
    grid = np.concatenate([near, [0.0], far])
    for _ in range(4):  # each pass narrows the grid a hundredfold: to 1e-8 of its cell
        likelihood = np.array([_profile(t, y) for t in grid])
        best = int(np.argmax(likelihood))
        if not np.isfinite(likelihood[best]):
            return None
        grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 200)
    t = float(grid[0] + grid[-1]) / 2
    shape = float(np.log1p(t * y).mean())
    return Tail(shape=shape, scale=mean * (shape / t if abs(t) > 1e-9 else 1.0))


def _profile(t: float, y: NDArray[np.float64]) -> float:
    """Return the log-likelihood per flow at shape / scale = t, with the best shape for it."""
    if abs(t) < 1e-9:
        return -1.0  # the exponential distribution with the mean of y, which is 1
    shape = float(np.log1p(t * y).mean())
    if shape <= -1 or shape / t <= 0:
        return -math.inf
    return -math.log(shape / t) - shape - 1.0


def _quantile(tail: Tail, probability: float) -> float:
    """Return the excess that is exceeded with this probability."""
    if abs(tail.shape) < 1e-9:
        return -tail.scale * math.log(probability)
    try:
        return tail.scale / tail.shape * math.expm1(-tail.shape * math.log(probability))
    except OverflowError:
        return math.inf
