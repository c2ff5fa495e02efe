"""Empirical tail probabilities: how often held-out flows score at least as high."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_P = 1e-300  # so that logarithms stay finite
EXCESS_FROM = 0.95  # the share of held-out scores below the tail that is continued


@dataclass(frozen=True)
class Tail:
    """What is usual for one score, from held-out flows.

    A score's tail probability is (1 + number of held-out scores at least as high) / (held out + 1),
    a conformal p-value. Above the highest one that would be the same for every score, so from there
    on it falls exponentially, at the rate of the mean excess over the 95 % quantile (the maximum
    likelihood of an exponential tail): what is far outside stays ranked.

    Shapes:
        scores: float64 [held out], rising; excess: the mean excess, 0 where there is no tail
    """

    scores: NDArray[np.float64]
    excess: float

    @staticmethod
    def of(scores: NDArray[np.floating]) -> Tail:
        """Learn from the scores of held-out flows, at least one.

        Example:
            >>> Tail.of(np.array([1.0, 2.0, 3.0])).probability(np.array([0.0, 2.0, 2.5]))
            array([1.  , 0.75, 0.5 ])
        """
        ordered = np.sort(scores.astype(np.float64))
        start = ordered[int(EXCESS_FROM * (len(ordered) - 1))]
        above = ordered[ordered > start] - start
        return Tail(ordered, float(above.mean()) if len(above) else 0.0)

    def probability(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each score's tail probability, float64 [flows] in (0, 1]."""
        held, values = self.scores, scores.astype(np.float64)
        as_high = len(held) - np.searchsorted(held, values, side="left")
        p = (1.0 + as_high) / (len(held) + 1.0)
        if self.excess > 0:
            with np.errstate(over="ignore"):  # a tiny excess: infinitely far out
                p *= np.exp(-np.maximum(values - held[-1], 0.0) / self.excess)
        return np.asarray(np.maximum(p, LEAST_P))
