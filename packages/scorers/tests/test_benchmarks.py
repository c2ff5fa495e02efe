from __future__ import annotations

import numpy as np

from netvigil_scorers.benchmarks import DIM, ScoreBenchmark, random_flows
from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer


def test_random_flows_repeat_and_have_features_that_never_vary():
    first, second = random_flows(500, seed=3), random_flows(500, seed=3)
    assert np.array_equal(first.embedding, second.embedding)
    assert first.embedding.shape == (500, DIM)
    assert (first.embedding.std(axis=0) == 0).sum() == 5  # a 0/1 feature for habits nobody has


def test_fitting_happens_outside_the_timer():
    fits = []

    def make():
        fits.append(1)
        return PyodScorer(DETECTORS[1], DETECTORS[1].config())

    benchmark = ScoreBenchmark(make)
    prepared = benchmark.setup(50, seed=0)
    assert [benchmark.run(prepared), benchmark.run(prepared)] == [50, 50]
    assert len(fits) == 1
