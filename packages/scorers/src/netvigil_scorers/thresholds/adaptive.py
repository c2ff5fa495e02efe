"""`adaptive`: flag a share of the traffic, by a cut that moves with the scores of earlier windows.

The memory is a histogram of scores: it begins as that of the calibration range, forgets with every
flow it learns, and has a fixed size whatever the traffic. The cut of a time window is chosen before
its flows are seen. Labels play no part, so an attack could teach the cut to rise: therefore what
lies above the cut is learnt only up to a multiple of the share that is expected there, the lowest
first. A burst, however large, moves the cut like a little drift; a change that puts nearly all
flows above the cut is an alarm and not learnt at all. Somebody who raises scores slowly enough can
still move it, as with any rule that adapts.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from netvigil.errors import BundleError, ContractError, IncompatiblePartsError, NotFittedError
from netvigil.parts import PartConfig
from netvigil.protocols import Calibration, Promise, State
from netvigil_scorers.thresholds.ruled import counted

# Flows expected above the cut before it is judged again: a window of fewer waits for the next.
# Of a Poisson count of ten, one in 300 reaches twice its mean, where learning stops.
LEAST_ABOVE = 10
BODY, TAIL = 500, 1_000  # edges among the calibration scores, and among the highest of them
# Beyond the calibration scores edges widen by 2 % each, to a million times the scores' spread.
STEP, STEPS = 1.02, 700


class AdaptiveConfig(PartConfig):
    """Settings of `adaptive`."""

    keep: float = Field(
        0.05, gt=0, lt=1, description="Share of flows to flag, at most, on traffic as of late."
    )
    window_s: float = Field(
        300.0, gt=0, description="The cut stands still for so many seconds at least."
    )
    half_life: float = Field(
        1.0,
        gt=0,
        description="What was learnt counts half after so many times the flows of calibration.",
    )
    trust: float = Field(
        2.0,
        ge=1,
        description="Of what is learnt, at most so many times `keep` may lie above the cut.",
    )

    @model_validator(mode="after")
    def _some_mistrust(self) -> AdaptiveConfig:
        if self.trust * self.keep >= 1:
            msg = "trust times keep must be below 1: that share of what is learnt may be alerts"
            raise ValueError(msg)
        return self


class Adaptive:
    """A threshold whose cut moves; implements `netvigil.protocols.MovingCut`.

    Shapes:
        edges_: float64 [edges], rising; memory_: float64 [edges + 1], how many flows count between
            them, the last above all

    Raises:
        NotFittedError: If `cut_`, `follow` or `get_state` comes before `fit`.
        ContractError: An empty calibration range, or one with scores that are not finite.
        IncompatiblePartsError: Flows without a clock.

    Example:
        >>> import numpy as np
        >>> calm = Calibration(np.arange(1_000.0), start_us=np.arange(1_000) * 10**6)
        >>> threshold = Adaptive(AdaptiveConfig(keep=0.1)).fit(calm, seed=0)
        >>> later, higher = np.arange(1_000, 9_000) * 10**6, np.arange(8_000) * 7 % 1_000 + 50.0
        >>> cuts = threshold.follow().cuts(later, higher)
        >>> float(cuts[0]), round(float(cuts[-1]), -1)
        (899.0, 950.0)
    """

    def __init__(self, config: AdaptiveConfig) -> None:
        self.config = config
        self.edges_: NDArray[np.float64] = np.empty(0)
        self.memory_: NDArray[np.float64] = np.empty(0)
        self._how = ""

    @property
    def cut_(self) -> float:
        """The first cut: after the calibration range."""
        self._require_fit()
        return float(self.edges_[place_of_cut(self.memory_, self.config.keep)])

    def fit(self, calibration: Calibration, *, seed: int) -> Self:
        """Remember the calibration range; nothing here is random."""
        del seed
        scores = calibration.score
        if not len(scores):
            msg = "Threshold 'adaptive' has no calibration flows to begin with."
            raise ContractError(msg, do="Give the calibration range a larger share.")
        if not np.isfinite(scores).all():
            msg = "Threshold 'adaptive' was given scores that are not finite."
            raise ContractError(msg, do="A scorer must rank every flow; see its settings.")
        _require_clock(calibration.start_us)
        ranked = np.sort(scores)
        self.edges_ = edges_of(ranked, self.config.keep)
        # How many scores lie up to each edge; the last place is for those above all edges.
        up_to = np.searchsorted(ranked, self.edges_, side="right")
        self.memory_ = np.diff(up_to, prepend=0, append=len(ranked)).astype(np.float64)
        settings = self.config
        self._how = (
            f"Begins at the highest {settings.keep:.6g} of unlabelled calibration scores "
            f"({counted(scores, self.cut_)}) and moves with the unlabelled scores of earlier "
            f"windows of {settings.window_s:g} s, {settings.half_life:g} calibration ranges long "
            f"to the half, at most {settings.trust:g} x {settings.keep:.6g} of them alerts."
        )
        return self

    def promise(self) -> Promise | None:
        """Promise a share of flagged flows."""
        return Promise("share", self.config.keep)

    def provenance(self) -> str:
        """Say where the cut begins and by what it moves."""
        self._require_fit()
        return self._how

    def follow(self) -> Follower:
        """Return a follower that begins with the memory of the calibration range."""
        self._require_fit()
        return Follower(self.config, self.edges_, self.memory_)

    def get_state(self) -> State:
        """Return the memory and its provenance."""
        self._require_fit()
        arrays = {"edges": self.edges_, "memory": self.memory_}
        return State(arrays=arrays, values={"provenance": self._how})

    def set_state(self, state: State) -> Self:
        """Take over a memory."""
        edges, memory = state.arrays.get("edges"), state.arrays.get("memory")
        how = state.values.get("provenance")
        if (
            edges is None
            or memory is None
            or not 0 < len(edges) == len(memory) - 1
            or not (np.isfinite(edges).all() and np.isfinite(memory).all())
            or (np.diff(edges) <= 0).any()
            or memory.min() < 0
            or not memory.sum() > 0
            or not isinstance(how, str)
        ):
            msg = "This is not a state of threshold 'adaptive'."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        self.edges_, self.memory_, self._how = edges, memory, how
        return self

    def _require_fit(self) -> None:
        if not len(self.edges_):
            msg = "Threshold 'adaptive' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")


class Follower:
    """The cut on its way; its size does not depend on the traffic."""

    def __init__(
        self,
        config: AdaptiveConfig,
        edges: NDArray[np.float64],
        memory: NDArray[np.float64],
    ) -> None:
        self._config, self._edges, self._memory = config, edges, memory
        self._half_life = config.half_life * memory.sum()
        self._waiting = np.zeros(len(memory))
        self._window: int | None = None
        self._place = place_of_cut(memory, config.keep)

    def cuts(
        self, start_us: NDArray[np.int64] | None, score: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the cut of each of the next flows, in time order, and remember their scores."""
        window = _require_clock(start_us) // max(round(self._config.window_s * 1e6), 1)
        first = np.flatnonzero(np.diff(window, prepend=window[:1] - 1))
        bins = np.searchsorted(self._edges, score)
        out = np.empty(len(score))
        ends = np.append(first[1:], len(score))[: len(first)]
        for begin, end in zip(first, ends, strict=True):
            if self._window is None or window[begin] > self._window:
                self._learn()
                self._window = int(window[begin])
            out[begin:end] = self._edges[self._place]
            self._waiting += np.bincount(bins[begin:end], minlength=len(self._waiting))
        return out

    def _learn(self) -> None:
        """Take the window that has ended into the memory and move the cut."""
        config = self._config
        if self._waiting.sum() * config.keep < LEAST_ABOVE:
            return
        below, above = self._waiting[: self._place + 1], self._waiting[self._place + 1 :]
        most = below.sum() * config.trust * config.keep / (1 - config.trust * config.keep)
        # The lowest of the flows above the cut, up to the share that may lie there.
        taken = np.diff(np.minimum(np.cumsum(above), most), prepend=0.0)
        learnt = np.concatenate([below, taken])
        self._memory = self._memory * 0.5 ** (learnt.sum() / self._half_life) + learnt
        self._place = place_of_cut(self._memory, config.keep)
        self._waiting = np.zeros(len(self._memory))


def edges_of(ranked: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """Return where the memory tells rising scores apart, float64 [edges], rising.

    These are calibration scores themselves, so that a cut parts no equal ones, densest where the
    cut lies; and, beyond them, steps that widen, for scores nobody has seen yet.
    """
    flows = len(ranked)
    body = np.linspace(0, flows - 1, min(flows, BODY)).astype(np.int64)
    highest = max(flows - math.ceil(4 * keep * flows) - 2, 0)
    tail = np.linspace(highest, flows - 1, min(flows - highest, TAIL)).astype(np.int64)
    steps = STEP ** np.arange(1, STEPS) - 1.0
    middle, low, high = ranked[flows // 2], ranked[0], ranked[-1]
    with np.errstate(over="ignore"):
        up = high + (_unit(high - middle, high)) * steps
        down = low - (_unit(middle - low, low)) * steps
    most = np.finfo(np.float64).max
    return np.unique(np.clip(np.concatenate([down, ranked[body], ranked[tail], up]), -most, most))


def place_of_cut(memory: NDArray[np.float64], keep: float) -> int:
    """Return the number of the lowest edge above which no more than a share `keep` lies."""
    above = memory[::-1].cumsum()[::-1][1:]
    # Sums of halved counts round; an exact share must not fail by a bit.
    fits = above <= keep * memory.sum() * (1 + 1e-12)
    return int(fits.argmax()) if fits.any() else len(fits) - 1


def _unit(spread: float, end: float) -> float:
    """Return the size of the first steps beyond the scores; equal scores have no spread."""
    return float(spread) or abs(float(end)) or 1.0


def _require_clock(start_us: NDArray[np.int64] | None) -> NDArray[np.int64]:
    if start_us is None:
        msg = "Threshold 'adaptive' needs a source with a clock."
        do = "Use 'quantile', whose cut stands still."
        where = "This source gives flows in row order, without times."
        raise IncompatiblePartsError(msg, where=where, do=do)
    return start_us
