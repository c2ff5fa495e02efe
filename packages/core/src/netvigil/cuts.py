"""The cut of each flow: one number for all of them, or one that moves along with the flows.

Most thresholds stand still. One that is a `MovingCut` is followed through the flows in time order;
both are used in one way here, so that nobody else needs to know which it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError
from netvigil.protocols import MovingCut, Threshold

Cuts = float | NDArray[np.float64]
"""One cut for all flows, or float64 [flows]."""
Follow = Callable[[NDArray[np.int64] | None, NDArray[np.float64]], Cuts]
"""Takes the start times (None without a clock) and scores of the next flows in time order."""


def follow(threshold: Threshold) -> Follow:
    """Return what gives the next flows their cuts, beginning where calibration ended.

    Raises (when called):
        ContractError: A moving cut that is not one finite number per flow.
    """
    if not isinstance(threshold, MovingCut):
        return lambda *_: threshold.cut_
    follower = threshold.follow()

    def moving(start_us: NDArray[np.int64] | None, score: NDArray[np.float64]) -> Cuts:
        cuts = np.asarray(follower.cuts(start_us, score), dtype=np.float64)
        if cuts.shape != score.shape or not np.isfinite(cuts).all():
            msg = f"A moving cut gave {cuts.shape} cuts for {len(score):,} flows, or infinite ones."
            raise ContractError(msg, do="`cuts` returns one finite cut for each flow.")
        return cuts

    return moving


def cut_range(cuts: Cuts) -> tuple[float, float] | None:
    """Return the lowest and the highest of cuts that move; None of one that stands still."""
    if isinstance(cuts, float | int) or not len(cuts):
        return None
    return float(cuts.min()), float(cuts.max())


def at(cuts: Cuts, rows: NDArray[np.int64] | slice) -> Cuts:
    """Return the cuts of some of the flows."""
    return cuts[rows] if isinstance(cuts, np.ndarray) else cuts
