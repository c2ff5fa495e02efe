"""When a case fails, and what is only worth a look."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netvigil.bench.pairs import LEAST, Change, Verdict

GROWTH_LOOKS = 3
"""Processes that must agree, by their median, before growth counts."""
STEEP, STEEPER = 1.25, 0.25
"""An exponent is too large above the first, where it exceeds base's by the second."""
HEAVIER, HEAVIER_MB = 1.25, 16.0
"""Peak memory is too large where it exceeds base's by a quarter and by 16 MB."""
PER_FLOW = 0.1
"""Python objects, or steps, per further flow that a hot path may gain: none, but for windows."""
MORE_MODULES, MODULES = 1.1, 10
WORTH_A_WORD = 1.02
NOTHING = (math.nan, math.nan)


@dataclass(frozen=True)
class Facts:
    """What was measured of a case; pairs are (base, head), NaN where nothing was.

    Shapes:
        peaks: MB in each round
        objects: live Python objects per further flow; steps: interpreter steps per further flow
        growth: exponent of time over four sizes
    """

    change: Change
    verdict: Verdict
    floor: float
    p: float
    hot: bool
    peaks: tuple[Sequence[float], Sequence[float]]
    objects: tuple[float, float] = NOTHING
    steps: tuple[float, float] = NOTHING
    growth: tuple[float, float] = NOTHING
    instructions: tuple[float, float] = NOTHING

    @property
    def peak_mb(self) -> tuple[float, float]:
        """The median over rounds."""
        return middle(self.peaks[0]), middle(self.peaks[1])


def reasons(facts: Facts) -> Iterator[str]:
    """Yield why a case fails."""
    found = facts.change
    if facts.verdict == "slower":
        yield (
            f"slower: {found.ratio:.2f}x the time [{found.low:.2f}, {found.high:.2f}] over "
            f"{found.rounds} rounds, floor {1 + facts.floor:.2f}x"
        )
    if heavier(*facts.peaks):
        yield f"heavier: {max(facts.peaks[0]):,.0f} MB before, {min(facts.peaks[1]):,.0f} MB now"
    if grows(*facts.growth):
        base, head = facts.growth
        yield f"grows: time like n^{head:.2f}, before n^{base:.2f}"
    for what, (base, head) in (("objects", facts.objects), ("steps", facts.steps)):
        before = 0.0 if math.isnan(base) else max(base, 0.0)
        if facts.hot and head > before + PER_FLOW:
            yield f"Python {what} per flow: {head:.2f}, before {before:.2f}"
    base, head = facts.instructions
    if head > base * (1 + LEAST):
        yield f"instructions: {head / base:.2f}x"


def remarks(facts: Facts, items: Sequence[int]) -> Iterator[str]:
    """Yield what somebody may want to look at though it does not fail."""
    if facts.verdict == "unsure":
        yield f"unsure: up to {facts.change.high:.2f}x the time"
    if abs(items[0] - items[1]) > 0.01 * max(items):
        yield f"other input: {items[0]:,} items before, {items[1]:,} now"
    base, head = facts.instructions
    if base * WORTH_A_WORD < head <= base * (1 + LEAST):
        yield f"instructions: {head / base:.2f}x"


def heavier(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether every peak of head exceeds every one of base by a quarter and 16 MB."""
    if not base or not head or any(math.isnan(v) for v in (*base, *head)):
        return False
    most, least = max(base), min(head)
    return least > most * HEAVIER and least - most > HEAVIER_MB


def exponent(growth: Sequence[Sequence[float]]) -> float:
    """Return the exponent of time over (items, seconds): the slope of their logarithms.

    Over all sizes, since between any two of them a cache may end.

    Example:
        >>> round(exponent([[1, 3.0], [2, 12.0], [4, 48.0], [8, 192.0]]), 6)
        2.0
    """
    items, seconds = zip(*growth, strict=True)
    if len(set(items)) < 2:
        return math.nan
    return statistics.linear_regression(
        [math.log(value) for value in items], [math.log(value) for value in seconds]
    ).slope


def steep(exponent: float) -> bool:
    """Whether time grows clearly faster than its input."""
    return exponent > STEEP


def grows(base: float, head: float) -> bool:
    """Whether time grows too fast, and faster than it did."""
    return steep(head) and head - base > STEEPER


def counted(objects: float, steps: float) -> bool:
    """Whether there are Python objects or steps for each flow."""
    return objects > PER_FLOW or steps > PER_FLOW


def modules(base: int | None, head: int | None) -> Iterator[str]:
    """Yield a reason where `netvigil --help` imports clearly more than it did."""
    if base and head and head > base * MORE_MODULES + MODULES:
        yield f"netvigil --help imports {head} modules, before {base}"


def middle(values: Sequence[float]) -> float:
    """Return the median of what was measured; NaN of nothing."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan
