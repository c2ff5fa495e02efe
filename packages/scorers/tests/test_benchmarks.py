from __future__ import annotations

import numpy as np
import pytest

from netvigil.bench.limits import Bounded, Needs
from netvigil_scorers import plugin
from netvigil_scorers.benchmark_needs import BOUNDED, DIM
from netvigil_scorers.benchmarks import ScoreBenchmark, random_flows
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


def needed(name, flows):
    part = PARTS[name]
    case = part.make(part.config())
    return case.needs(case.setup(flows, seed=0))


def test_what_is_searched_or_ranked_among_training_flows_has_no_known_floor():
    open_ended = {name for name, part in PARTS.items() if not isinstance(_made(part), Bounded)}
    searched = {"knn", "lof", "dbscan", "hdbscan", "ecod", "copod"}
    assert open_ended == {*(f"score-{name}" for name in searched), "threshold-evt"}


@pytest.mark.parametrize("name", [*(f"score-{n}" for n in BOUNDED), "threshold-mad"])
def test_twice_the_flows_need_twice_as_much(name):
    case = _made(PARTS[name])
    prepared = case.setup(400, seed=0)
    if name.startswith("score-"):
        scorer, flows = prepared  # fitted once
        asked = [prepared, (scorer, random_flows(2 * len(flows), seed=1))]
    else:
        asked = [prepared, case.setup(800, seed=0)]
    few, many = (vars(case.needs(each)) for each in asked)
    for kind, count in few.items():
        # Flows take different ways through a tree.
        wavers = 0.05 if (name, kind) == ("score-iforest", "lookups") else 0
        assert many[kind] == pytest.approx(2 * count, rel=wavers), kind
    assert few["moved"] > 0


def test_scores_need_what_their_formula_has():
    features = DIM * 4 + 8  # bytes read and written for each flow
    assert needed("score-hbos", 200) == Needs(
        moved=200 * features, lookups=200 * DIM, operations=200 * DIM
    )
    assert needed("score-mcd", 200) == Needs(moved=200 * features, operations=200 * DIM**2)
    case = _made(PARTS["score-ocsvm"])
    scorer, flows = case.setup(200, seed=0)
    vectors = len(scorer.get_state().arrays["support"])
    found = case.needs((scorer, flows))
    assert (found.operations, found.logarithms) == (2 * vectors * DIM * 200, vectors * 200)


def test_a_tree_is_walked_node_by_node():
    case = _made(PARTS["score-iforest"])
    scorer, flows = case.setup(50, seed=0)
    forest = scorer.get_state().estimators["forest"]
    # scikit-learn's path of a flow through a tree holds each node that it meets, leaf included.
    visited = sum(
        tree.decision_path(flows.embedding).nnz - len(flows) for tree in forest.estimators_
    )
    assert case.needs((scorer, flows)).lookups == 2 * visited


def test_cuts_need_scores_once_twice_counted_or_in_order():
    assert needed("threshold-quantile", 100) == Needs(moved=800)
    assert needed("threshold-mad", 100) == Needs(moved=1_600)
    assert needed("threshold-adaptive", 100) == Needs(moved=800, lookups=100)
    assert needed("threshold-best-f1", 100) == Needs(moved=900, sorted=100)


def _made(part):
    return part.make(part.config())
