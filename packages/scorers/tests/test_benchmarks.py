from __future__ import annotations

import numpy as np

from netvigil.bench.limits import Bounded
from netvigil_scorers import plugin
from netvigil_scorers.benchmarks import DIM, ScoreBenchmark, random_flows
from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer

PARTS = {part.name: part for part in plugin.netvigil_benchmarks()}


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


def test_every_detector_and_threshold_that_looks_at_scores_has_a_case():
    thresholds = [part.name for part in plugin.netvigil_thresholds() if part.name != "fixed"]
    assert list(PARTS) == [
        *(f"score-{detector.name}" for detector in DETECTORS),
        *(f"threshold-{name}" for name in thresholds),
    ]


def test_pca_and_hbos_need_twice_as_much_for_twice_the_flows():
    for name, part in PARTS.items():
        case = part.make(part.config())
        assert isinstance(case, Bounded) == (name in {"score-pca", "score-hbos"})
        if isinstance(case, Bounded):
            few, many = (case.needs(case.setup(flows, seed=0)) for flows in (200, 400))
            assert few.moved > 200 * DIM * 4
            assert few.operations >= 200 * DIM
            assert (many.moved, many.operations) == (2 * few.moved, 2 * few.operations)
