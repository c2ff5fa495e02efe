"""What a threshold promised and what came of it on the test range, with an interval.

Intervals are of independent flows: Wilson's for shares, the exact one of a Poisson count for alerts
a day. Traffic comes in bursts, so true ones are wider; a promise that even these miss is broken.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from netvigil.evaluation.results import PromiseUse, Realised, Spread

LEVEL = 0.95
Z = 1.959963984540054  # of a normal distribution, .975 lie below
DAY_S = 86_400.0
ON = {
    "share": "all test flows, known or not",
    "fpr": "test flows known to be benign",
    "alerts-per-day": "all test flows, known or not",
}
"""What each kind of promise is measured on."""


class Range(NamedTuple):
    """An interval."""

    low: float
    high: float


def realised(
    promise: PromiseUse | None, flagged: Sequence[int], *, flows: int, seconds: float | None
) -> Realised | None:
    """Measure a promise; None where a threshold makes none.

    `flagged` counts the alerts of each seed among the `flows` that `ON` names; `seconds` is how
    long these flows last. The interval is that of the mean count over seeds.
    """
    if promise is None or not flagged:
        return None
    daily = promise.kind == "alerts-per-day"
    unit = (seconds or 0.0) / DAY_S if daily else float(flows)
    if not unit:
        reason = (
            "the flows have no clock, or all start at once"
            if daily
            else f"there are no {ON[promise.kind]}"
        )
        rate = Spread(mean=None, per_seed=(None,) * len(flagged), reason=reason)
    else:
        mean = math.fsum(flagged) / len(flagged)
        span = poisson(mean) if daily else wilson(mean, flows)
        scale = unit if daily else 1.0
        rate = Spread(
            mean=mean / unit,
            sd=statistics.stdev(count / unit for count in flagged) if len(flagged) > 1 else None,
            per_seed=tuple(count / unit for count in flagged),
            low=span.low / scale,
            high=span.high / scale,
        )
    return Realised(promise=promise, on=ON[promise.kind], flows=flows, seconds=seconds, rate=rate)


def wilson(count: float, flows: int) -> Range:
    """Return Wilson's 95 % interval of a share, from 0 to 1; `count` may be a mean of counts.

    Example:
        >>> low, high = wilson(5, 100)
        >>> round(low, 4), round(high, 4)
        (0.0215, 0.1118)
    """
    share, weight = count / flows, Z * Z / flows
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * share * (1 - share) + weight * weight / 4) / (1 + weight)
    # At none and at all of the flows rounding would step over the end.
    low = 0.0 if count == 0 else max(0.0, centre - half)
    high = 1.0 if count == flows else min(1.0, centre + half)
    return Range(low, high)


def poisson(count: float) -> Range:
    """Return the exact 95 % interval of the mean of a Poisson count (Garwood, 1936).

    Example:
        >>> low, high = poisson(3)
        >>> round(low, 3), round(high, 3)
        (0.619, 8.767)
    """
    from scipy.special import gammaincinv

    tail = (1 - LEVEL) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return Range(low, float(gammaincinv(count + 1, 1 - tail)))


def promise_words(found: Realised) -> str:
    """Say in one sentence what was promised and what came of it."""
    kind, value, rate = found.promise.kind, found.promise.value, found.rate
    promised = {
        "share": f"{value:.4g} of the flows flagged, at most",
        "fpr": f"{value:.4g} of benign flows flagged, at most",
        "alerts-per-day": f"{value:,.6g} alerts a day, at most",
    }[kind]
    if rate.mean is None or rate.low is None or rate.high is None:
        return f"{promised}; not measured: {rate.reason}"
    form = ",.4g" if kind == "alerts-per-day" else ".4f"
    verdict = "; MORE THAN PROMISED" if rate.low > value else ""
    return (
        f"{promised}; realised {rate.mean:{form}} (95 % interval {rate.low:{form}} to "
        f"{rate.high:{form}}) on {found.flows:,} flows: {found.on}{verdict}"
    )
