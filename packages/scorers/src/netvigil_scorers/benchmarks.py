"""Micro-benchmarks of the score and threshold rooms, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netvigil.bench.limits import Needs
from netvigil.contracts import EncodedFlows
from netvigil.protocols import Calibration, Scorer, Threshold
from netvigil_scorers.benchmark_needs import DIM

# Enough for a model of usual shape, and quick to fit for all of them.
TRAIN_FLOWS = 2_000
HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class ScoreBenchmark:
    """Scores random flows with a scorer that was fitted outside the timer."""

    make_scorer: Callable[[], Scorer]

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted scorer and `flows` flows for it."""
        scorer = self.make_scorer().fit(random_flows(TRAIN_FLOWS, seed=seed), seed=seed)
        return scorer, random_flows(flows, seed=seed + 1)

    def run(self, prepared: Any) -> int:
        """Score them all."""
        scorer, flows = prepared
        return len(scorer.score(flows))


@dataclass(frozen=True)
class BoundedScoreBenchmark:
    """The same, where it is known what scoring flows costs: `work` says so, features aside."""

    made: ScoreBenchmark
    work: Callable[[Scorer, EncodedFlows], Needs]

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted scorer and `flows` flows for it."""
        return self.made.setup(flows, seed=seed)

    def run(self, prepared: Any) -> int:
        """Score them all."""
        return self.made.run(prepared)

    def needs(self, prepared: Any) -> Needs:
        """Count the features of flows, a score each, and the work of the formula."""
        scorer, flows = prepared
        return replace(self.work(scorer, flows), moved=flows.embedding.nbytes + 8 * len(flows))


@dataclass(frozen=True)
class ThresholdBenchmark:
    """Sets a cut on an hour of random scores, of which 4 % are attacks and higher."""

    make_threshold: Callable[[], Threshold]

    def setup(self, flows: int, *, seed: int) -> Calibration:
        """Draw the scores."""
        rng = np.random.default_rng(seed)
        attack = rng.random(flows) < 0.04
        return Calibration(
            rng.normal(size=flows) + 1.5 * attack,
            start_us=np.arange(flows) * HOUR_US // flows,
            duration_s=HOUR_US / 1e6,
            is_attack=attack,
            known=np.ones_like(attack),
        )

    def run(self, prepared: Calibration) -> int:
        """Set the cut."""
        self.make_threshold().fit(prepared, seed=0)
        return len(prepared.score)


@dataclass(frozen=True)
class BoundedThresholdBenchmark:
    """The same, where it is known what finding the cut costs: `work` says so of the scores."""

    made: ThresholdBenchmark
    work: Callable[[Calibration], Needs]

    def setup(self, flows: int, *, seed: int) -> Calibration:
        """Draw the scores."""
        return self.made.setup(flows, seed=seed)

    def run(self, prepared: Calibration) -> int:
        """Set the cut."""
        return self.made.run(prepared)

    def needs(self, prepared: Calibration) -> Needs:
        """Count the work of the rule."""
        return self.work(prepared)


def random_flows(flows: int, *, seed: int) -> EncodedFlows:
    """Return an encoding of random flows: three habits, and some features that say only which."""
    rng = np.random.default_rng(seed)
    # Of unequal size: PyOD's CBLOF refuses clusters that are all equally large.
    habit = rng.choice(3, size=flows, p=[0.7, 0.25, 0.05])
    x = rng.normal(size=(flows, DIM)).astype(np.float32) + habit[:, None].astype(np.float32)
    x[:, :8] = habit[:, None] == np.arange(8)
    return EncodedFlows(
        flow_id=np.arange(flows), window_start=np.zeros(flows, dtype=np.int64), embedding=x
    )
