"""Seeded percentile bootstrap of ranking metrics, by flow or by window, paired between methods.

Every method meets the same resamples of the same flows, so the difference of two methods has an
interval of its own. A resample is one small weight per flow; the loop holds one at a time.

Flows of one window are not independent (one scan is many flows), so resampling single flows makes
intervals too narrow. Windows are the default where there are enough of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.ahead import pooled
from netvigil.errors import ConfigError
from netvigil.evaluation.metrics import FPR_LIMITS
from netvigil.evaluation.ranking import Ranking, Steps, area, average_precision, reach

MIN_WINDOWS = 30
"""Fewer blocks give percentiles that say little: a usual rule of thumb for resampling clusters."""

CACHE_BYTES = 64_000_000
"""Resamples up to this size are drawn once and kept for all methods; larger ones drawn again."""

THREADS = 2
"""Resamples looked at beside each other; each takes 8 bytes a flow, and as much per attack step."""
WORTH_THREADS = 100_000
"""Flows from which a resample takes longer than to hand it to a thread."""

By = Literal["auto", "flow", "window"]
Resampled = Mapping[str, NDArray[np.float64]]
"""Metric name -> float64 [resamples], NaN where one class was drawn; stays inside this package."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval; `used` counts the resamples that had both classes."""

    low: float
    high: float
    used: int


def tpr_name(limit: float) -> str:
    """Return the metric's name.

    Example:
        >>> tpr_name(0.001)
        'tpr_at_fpr_0.1%'
    """
    return f"tpr_at_fpr_{limit * 100:g}%"


class Resampler:
    """Draws the resamples of one set of flows.

    Shapes:
        window: int64 [flows], any number that flows of one window share, or None

    Raises:
        ConfigError: Fewer than one resample; `by="window"` without windows.
    """

    def __init__(
        self,
        flows: int,
        *,
        window: NDArray[np.int64] | None = None,
        resamples: int = 200,
        seed: int = 0,
        by: By = "auto",
    ) -> None:
        if resamples < 1:
            msg = f"A bootstrap of {resamples} resamples says nothing."
            raise ConfigError(msg, where="evaluate.resamples", do="Use 200 or more.")
        if by == "window" and window is None:
            msg = "These flows have no windows to resample."
            raise ConfigError(msg, where="evaluate.bootstrap", do="Use 'flow' or 'auto'.")
        self.flows, self.resamples, self.seed = flows, resamples, seed
        self._block: NDArray[np.int64] | None = None
        self.units, self.by, self.why = flows, "flow", "no windows were given"
        if by == "flow":
            self.why = (
                "asked for; flows of one window are not independent, so intervals are too narrow"
            )
        elif window is not None:
            self._choose(window, forced=by == "window")
        self._cache: list[NDArray[np.uint8]] | None = None

    def weights(self) -> Iterator[NDArray[np.uint8]]:
        """Yield how often each flow was drawn, uint8 [flows], per resample, always the same."""
        if self._cache is not None:
            yield from self._cache
            return
        keep = self.units * self.resamples <= CACHE_BYTES
        drawn = []
        rng = np.random.default_rng(self.seed)
        for _ in range(self.resamples):
            picks = rng.integers(0, self.units, self.units)
            # One of n >= 256 units is drawn 256 times with probability 1/256!, so 8 bits do.
            weight = np.bincount(picks, minlength=self.units).astype(np.uint8)
            if self._block is not None:
                weight = weight[self._block]
            if keep and self._block is None:
                drawn.append(weight)
            yield weight
        if drawn:
            self._cache = drawn

    def figures(self, ranking: Ranking, is_attack: NDArray[np.bool_]) -> Resampled:
        """Return every metric of every resample for one method.

        Shapes:
            is_attack: bool [flows], of the flows of `ranking`
        """
        names = ("auroc", "auprc", *map(tpr_name, FPR_LIMITS))
        values = np.full((len(names), self.resamples), np.nan)
        if not ranking.one_class():
            drawn = _Drawn.of(ranking, is_attack)
            # Another thread draws the next weights, and two look at these: NumPy lets them.
            found = pooled(drawn.metrics, self.weights(), threads=self._threads())
            for column, metrics in enumerate(found):
                values[:, column] = metrics
        return dict(zip(names, values, strict=True))

    def _threads(self) -> int:
        return THREADS if self.flows >= WORTH_THREADS else 0

    def _choose(self, window: NDArray[np.int64], *, forced: bool) -> None:
        windows, block = np.unique(window, return_inverse=True)
        if len(windows) <= MIN_WINDOWS and not forced:
            self.why = f"only {len(windows)} windows, too few to resample; intervals are too narrow"
            return
        self._block, self.units, self.by = block, len(windows), "window"
        self.why = "flows of one window are not independent"


def interval(values: NDArray[np.float64], *, level: float = 0.95) -> Interval | None:
    """Return the percentile interval, or None where over half of the resamples had one class only.

    Example:
        >>> interval(np.arange(101.0), level=0.5)
        Interval(low=25.0, high=75.0, used=101)
    """
    usable = values[np.isfinite(values)]
    if 2 * len(usable) <= len(values):
        return None
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(usable))


class _Drawn(NamedTuple):
    """A ranking as resamples need it.

    Shapes:
        order: int64 [flows], from the highest score down; attack: int64 [attacks], those of them
        that are attacks; step: int64 [attacks], the step of each; begin: int64 [steps], where each
        step begins in `order`
    """

    order: NDArray[np.int64]
    attack: NDArray[np.int64]
    step: NDArray[np.int64]
    begin: NDArray[np.int64]

    @staticmethod
    def of(ranking: Ranking, is_attack: NDArray[np.bool_]) -> _Drawn:
        ptr = ranking.coarse_ptr()
        truth = is_attack[ranking.order]
        step = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))[truth]
        return _Drawn(ranking.order, ranking.order[truth], step, ptr[:-1])

    def metrics(self, weight: NDArray[np.uint8]) -> list[float]:
        """Return every metric of one resample, NaN where it has one class; weight: [flows]."""
        both = np.add.reduceat(weight[self.order], self.begin, dtype=np.int64)
        drawn = np.bincount(self.step, weights=weight[self.attack], minlength=len(both))
        attacks = drawn.astype(np.int64)
        true = np.cumsum(attacks)
        steps = Steps(attacks, true, np.cumsum(both) - true)
        if not steps.true[-1] or not steps.false[-1]:
            return [np.nan] * (2 + len(FPR_LIMITS))
        tpr = (reach(steps, limit) for limit in FPR_LIMITS)
        return [area(steps), average_precision(steps), *tpr]
