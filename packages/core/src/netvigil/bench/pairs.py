"""What pairs of times say: how much slower, how sure, and beyond which floor it counts.

A round measures base and head one after the other, in the order base head, head base, ... Only
ratios within a round count, so that whatever else the machine does meets both sides alike. Where
two rounds meet, one side runs twice in a row; how far those two differ is what the machine wavers
by with nothing changed (A/A), and costs no run of its own.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEAST = 0.10
"""A smaller change is no regression, however sure: caches and code placement move as much."""
TIMES_NOISE = 3.0
LEVEL = 0.99
FAMILY = 0.05
"""Probability that any of all cases is called slower though none is, after Holm (1979)."""
RESAMPLES = 4_000

Verdict = Literal["slower", "faster", "same", "unsure"]


@dataclass(frozen=True)
class Change:
    """How many times as long head takes as base, over rounds.

    Shapes:
        ratio: median over rounds; low, high: its 99 % bootstrap interval
        p_slower, p_faster: one-sided paired t-test on log ratios
        noise: root mean square of A/A log ratios, NaN with fewer than two rounds
    """

    ratio: float
    low: float
    high: float
    p_slower: float
    p_faster: float
    noise: float
    rounds: int


def change(base: Sequence[float], head: Sequence[float]) -> Change:
    """Compare seconds per item of each round, the first of which ran base before head.

    Example:
        >>> found = change([1.0, 1.01, 0.99, 1.0], [1.3, 1.31, 1.29, 1.3])
        >>> round(found.ratio, 2), found.p_slower < 0.001
        (1.3, True)
    """
    logs = np.log(np.asarray(head, float) / np.asarray(base, float))
    rng = np.random.default_rng(0)
    picks = rng.integers(len(logs), size=(RESAMPLES, len(logs)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.median(logs[picks], axis=1), [tail, 1 - tail])
    slower, faster = _tests(logs)
    return Change(
        ratio=math.exp(statistics.median(logs)),
        low=math.exp(low),
        high=math.exp(high),
        p_slower=slower,
        p_faster=faster,
        noise=same_side_noise(base, head),
        rounds=len(logs),
    )


def _tests(logs: np.ndarray) -> tuple[float, float]:
    if len(logs) < 2:
        return 1.0, 1.0
    spread = float(np.std(logs, ddof=1))
    if spread == 0:
        mean = float(np.mean(logs))
        return float(mean <= 0), float(mean >= 0)
    from scipy.special import stdtr

    t = float(np.mean(logs)) / (spread / math.sqrt(len(logs)))
    return float(stdtr(len(logs) - 1, -t)), float(stdtr(len(logs) - 1, t))


def same_side_noise(base: Sequence[float], head: Sequence[float]) -> float:
    """Return the root mean square of log ratios between neighbouring runs of one side."""
    logs = []
    for number in range(len(base) - 1):
        side = base if number % 2 else head  # base head | head base | base head | ...
        logs.append(math.log(side[number + 1] / side[number]))
    return math.sqrt(statistics.fmean(v * v for v in logs)) if logs else math.nan


def floor_of(noise: float, rounds: int, *, kept: float = 0.0) -> float:
    """Return the least share by which a case must be slower to count.

    It is 10 %, or 3 times what the median over so many rounds of equal sides would waver by. `kept`
    is the noise of a round that an earlier A/A run of the case showed.
    """
    known = max([value for value in (noise, kept) if not math.isnan(value)], default=0.0)
    of_median = known * math.sqrt(math.pi / 2 / rounds)  # of a median of normal values
    return max(LEAST, math.expm1(TIMES_NOISE * of_median))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for their number by Holm's step-down method.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    found: dict[str, float] = {}
    highest = 0.0
    for rank, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, value * (len(p) - rank)))
        found[name] = highest
    return found


def verdict(found: Change, *, floor: float, p_slower: float, p_faster: float) -> Verdict:
    """Return what a change is, its p-values corrected for the number of cases.

    Slower or faster only where the interval excludes 1, the change exceeds the floor, and the
    family's error stays below 5 %. Unsure where the interval reaches beyond the floor without that:
    more rounds would tell.
    """
    limit = 1 + floor
    if found.low > 1 and found.ratio > limit and p_slower < FAMILY:
        return "slower"
    if found.high < 1 and found.ratio < 1 / limit and p_faster < FAMILY:
        return "faster"
    return "unsure" if found.high > limit else "same"


def judged(
    changes: Mapping[str, Change], kept: Mapping[str, float]
) -> dict[str, tuple[Verdict, float, float]]:
    """Return each case's verdict, floor and corrected p-value of being slower."""
    slower = holm({name: found.p_slower for name, found in changes.items()})
    faster = holm({name: found.p_faster for name, found in changes.items()})
    result = {}
    for name, found in changes.items():
        floor = floor_of(found.noise, found.rounds, kept=kept.get(name, 0.0))
        said = verdict(found, floor=floor, p_slower=slower[name], p_faster=faster[name])
        result[name] = said, floor, slower[name]
    return result
