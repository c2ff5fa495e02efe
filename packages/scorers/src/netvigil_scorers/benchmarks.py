"""Micro-benchmarks of the score and threshold rooms, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvigil.bench.limits import Needs
from netvigil.contracts import EncodedFlows
from netvigil.protocols import Calibration, Scorer, Threshold

# 52 features: what the readers give of a UNSW or Westermo flow after one-hot coding.
DIM = 52
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
    """The same, where it is known what a flow costs: `operations` says so of a fitted scorer."""

    made: ScoreBenchmark
    operations: Callable[[Scorer], float]

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return a fitted scorer and `flows` flows for it."""
        return self.made.setup(flows, seed=seed)

    def run(self, prepared: Any) -> int:
        """Score them all."""
        return self.made.run(prepared)

    def needs(self, prepared: Any) -> Needs:
        """Count the features of flows, a score each, and the operations of the formula."""
        scorer, flows = prepared
        moved = flows.embedding.nbytes + 8 * len(flows)
        return Needs(moved=moved, operations=self.operations(scorer) * len(flows))


def of_components(scorer: Scorer) -> float:
    """Count two operations for each number of each principal component kept."""
    return 2.0 * scorer.get_state().arrays["components"].size


def of_features(scorer: Scorer) -> float:
    """Count one sum over features, whose scores are looked up."""
    del scorer
    return float(DIM)


BOUNDED = {"pca": of_components, "hbos": of_features}


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
