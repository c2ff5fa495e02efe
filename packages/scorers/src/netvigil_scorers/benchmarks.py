"""Micro-benchmarks of the score room, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvigil.contracts import EncodedFlows
from netvigil.protocols import Scorer

# 52 features: what the readers give of a UNSW or Westermo flow after one-hot coding.
DIM = 52
# Enough for a model of usual shape, and quick to fit for all of them.
TRAIN_FLOWS = 2_000


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
