from __future__ import annotations

import importlib
import inspect
import tracemalloc
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import EncodedFlows
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import State
from netvigil_scorers import formulas
from netvigil_scorers.benchmarks import random_flows
from netvigil_scorers.detector_configs import DetectorConfig
from netvigil_scorers.pyod_adapter import DETECTORS, Detector, PyodScorer

BY_NAME = {detector.name: detector for detector in DETECTORS}
FEW = 450  # from 501 flows on, a robust covariance starts 500 times instead of 30
every_detector = pytest.mark.parametrize("name", BY_NAME)
# By itself it takes 100,000 steps however few the flows: a second for each fit.
QUICK: dict[str, dict[str, Any]] = {"nystroem-ocsvm": {"passes": 5}}
alone = pytest.mark.parametrize("name", [d.name for d in DETECTORS if not d.transductive])


def make(name: str, **given: Any) -> PyodScorer:
    return PyodScorer(BY_NAME[name], BY_NAME[name].config(**QUICK.get(name, {}) | given))


def pyod_itself(name: str, rows: int, **given: Any) -> Any:
    detector = BY_NAME[name]
    module, _, kind = detector.source.partition(":")
    built = getattr(importlib.import_module(module), kind)
    arguments = detector.config(**given).settings(rows)
    if "random_state" in inspect.signature(built).parameters:
        arguments["random_state"] = 0
    return built(**arguments)


def score(scorer: PyodScorer, encoded: EncodedFlows) -> Any:
    return scorer.score(encoded).score


@alone
def test_a_planted_outlier_scores_higher(name, flows):
    scorer = make(name).fit(flows(), seed=0)
    usual = flows(100, seed=1).embedding
    odd = np.array(usual)
    odd[:, 2:] += 30 * np.where(np.arange(4) % 2, -1, 1)
    assert score(scorer, flows(odd)).min() > score(scorer, flows(usual)).max()


@every_detector
def test_scores_are_finite_float64_in_the_order_of_the_flows(name, flows):
    encoded = flows(50, seed=2)
    table = make(name).fit(flows(), seed=0).score(encoded)
    assert table.score.dtype == np.float64
    assert np.array_equal(table.flow_id, encoded.flow_id)
    assert np.array_equal(table.window_start, encoded.window_start)


SETTINGS = [
    ("pca", {}),
    ("pca", {"n_components": 3, "weighted": False, "standardization": False}),
    ("pca", {"n_components": 0.9, "n_selected_components": 1, "whiten": True}),
    ("hbos", {}),
    ("hbos", {"n_bins": "auto", "tol": 0.1}),
    ("hbos", {"n_bins": 14, "alpha": 0.05}),
    ("cblof", {}),
    ("cblof", {"n_clusters": 4, "use_weights": True}),
    ("iforest", {}),
    ("iforest", {"max_features": 0.5, "bootstrap": True, "max_samples": 0.3}),
    ("knn", {}),
    ("knn", {"method": "mean", "metric": "manhattan"}),
    ("knn", {"method": "median", "algorithm": "ball_tree"}),
    ("lof", {}),
    ("lof", {"n_neighbors": 7, "p": 3}),
    ("ocsvm", {}),
    ("ocsvm", {"kernel": "poly", "coef0": 1.0, "gamma": 0.1}),
    ("ocsvm", {"kernel": "sigmoid", "gamma": "scale"}),
    ("ocsvm", {"kernel": "linear"}),
    ("mcd", {"ridge": 0}),
    ("mcd", {"support_fraction": 0.8}),
    ("gmm", {}),
    ("gmm", {"n_components": 3, "covariance_type": "tied"}),
    ("gmm", {"n_components": 3, "covariance_type": "diag", "init_params": "k-means++"}),
    ("gmm", {"n_components": 2, "covariance_type": "spherical"}),
    ("gmm", {"n_components": 2}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given"), SETTINGS, ids=str)
def test_scores_are_those_of_pyod(name, given, flows):
    # No constant column for mcd: PyOD gives no distance there, and ours does.
    columns = slice(2, None) if name == "mcd" else slice(None)
    train = flows(600).embedding[:, columns]
    probe = np.vstack([train[:20], flows(300, seed=1).embedding[:, columns], train[:5] * 3 + 2])
    theirs = pyod_itself(name, 600, **given)
    with np.errstate(all="ignore"):
        theirs.fit(train.astype(np.float64))
    expected = theirs.decision_function(probe.astype(np.float64))
    ours = score(make(name, **given).fit(flows(train), seed=0), flows(probe))
    # Relative to the scores' size: a signed distance near zero has no relative precision.
    assert np.allclose(ours, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@cache
def wide(name: str) -> tuple[PyodScorer, EncodedFlows, Any]:
    """Fit on 52 features, the usual width, and score more than two blocks at once."""
    scorer = make(name).fit(random_flows(FEW, seed=0), seed=0)
    probe = random_flows(2_300, seed=1)
    return scorer, probe, score(scorer, probe)


@pytest.mark.slow
@alone
@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 2_300), max_size=6), turn=st.integers(0, 2_299))
def test_any_split_and_order_of_the_flows_gives_equal_bits(name, cuts, turn):
    scorer, probe, whole = wide(name)
    order = np.roll(np.arange(2_300), turn)
    parts = [scorer.score(probe.take(rows)) for rows in np.split(order, sorted(cuts))]
    assert np.array_equal(np.concatenate([part.score for part in parts]), whole[order])


@pytest.mark.slow
@alone
def test_the_place_in_a_block_does_not_matter(name):
    # BLAS rounds otherwise at the ragged end of a matrix; each turn brings other flows there.
    scorer, probe, whole = wide(name)
    for turn in (1, 2, 3, 5, 8, 13, 64, 100, 191, 250):
        order = np.roll(np.arange(2_300), turn)
        assert np.array_equal(score(scorer, probe.take(order)), whole[order])


@pytest.mark.slow
@alone
def test_a_flow_alone_gets_the_bits_it_gets_in_a_batch(name):
    scorer, probe, whole = wide(name)
    for row in (0, 383, 384, 1_151, 1_152, 2_299):
        assert score(scorer, probe.take(np.array([row]))) == whole[row]


def shared(flows: int, *, seed: int, rows: int = 300) -> EncodedFlows:
    """Make flows that share `rows` encodings, some of them far more often than others."""
    x = random_flows(rows, seed=7).embedding
    row = np.random.default_rng(seed).geometric(0.02, flows) % rows
    return EncodedFlows(np.arange(flows) * 3, np.arange(flows) // 9, embedding=x, row=row)


def written_out(encoded: EncodedFlows) -> EncodedFlows:
    return replace(encoded, embedding=encoded.per_flow(), row=None)


@pytest.mark.slow
@every_detector
def test_shared_encodings_score_as_written_out(name):
    train, probe = shared(FEW, seed=0), shared(900, seed=1)
    both = [make(name).fit(form(train), seed=0) for form in (lambda e: e, written_out)]
    scores = [score(scorer, form(probe)) for scorer in both for form in (lambda e: e, written_out)]
    assert all(np.array_equal(scores[0], other) for other in scores[1:])
    if not BY_NAME[name].transductive:
        few = probe.take(np.array([5, 3, 800]))  # fewer flows than encodings
        assert np.array_equal(score(both[0], few), scores[0][[5, 3, 800]])
    assert len(score(both[0], probe.take(np.empty(0, np.int64)))) == 0


@pytest.mark.parametrize("name", ["pca", "gmm"])
def test_the_sample_of_shared_encodings_is_one_of_flows(name):
    train, probe = shared(700, seed=0), shared(50, seed=1)
    capped = make(name, shared_rows=200).fit(train, seed=4)
    as_before = make(name, fit_rows=200).fit(written_out(train), seed=4)
    assert np.array_equal(score(capped, probe), score(as_before, probe))
    # Flows with encodings of their own are not capped by it.
    whole, uncapped = (
        make(name, **s).fit(written_out(train), seed=4) for s in ({}, {"shared_rows": 200})
    )
    assert np.array_equal(score(whole, probe), score(uncapped, probe))


def test_only_the_sample_of_shared_encodings_is_written_out():
    flows, dim = 4_000_000, 64  # written out: 1 GB
    x = np.random.default_rng(0).normal(size=(50, dim)).astype(np.float32)
    row = np.random.default_rng(1).integers(50, size=flows)
    train = EncodedFlows(np.arange(flows), np.zeros(flows, np.int64), embedding=x, row=row)
    tracemalloc.start()
    try:
        scorer = make("pca", shared_rows=1_000).fit(train, seed=0)
        score(scorer, train)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6  # numbers of flows and scores, 8 bytes each


@every_detector
def test_no_flows_give_no_scores(name, flows):
    encoded = flows(1)
    assert len(make(name).fit(flows(), seed=0).score(encoded.take(np.empty(0, np.int64)))) == 0


@every_detector
def test_state_survives_a_bundle_bit_for_bit(name, carried):
    scorer, probe, whole = wide(name)
    state = carried(scorer.get_state(), BY_NAME[name].trusted_types)
    assert np.array_equal(score(make(name).set_state(state), probe), whole)


@every_detector
def test_unfitted_raises(name, flows):
    with pytest.raises(NotFittedError, match=name):
        make(name).score(flows(3))
    with pytest.raises(NotFittedError, match=name):
        make(name).get_state()


@pytest.mark.slow
@every_detector
def test_a_second_fit_forgets_the_first(name, flows):
    probe = flows(60, seed=3)
    once = make(name).fit(flows(), seed=0)
    twice = make(name).fit(flows(300, seed=9, dim=4), seed=5).fit(flows(), seed=0)
    assert np.array_equal(score(once, probe), score(twice, probe))


@pytest.mark.slow
@every_detector
def test_a_seed_repeats_itself_and_touches_no_global_generator(name, flows):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    probe = flows(60, seed=3)
    first, second = (score(make(name).fit(flows(), seed=7), probe) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.slow
@every_detector
def test_a_detector_that_is_not_seeded_ignores_the_seed(name, flows):
    probe = flows(60, seed=3)
    few = make(name, fit_rows=200)
    first, second = (score(few.fit(flows(), seed=seed), probe) for seed in (1, 2**40))
    assert np.array_equal(first, second) == (not BY_NAME[name].seeded)


@pytest.mark.slow
@every_detector
def test_inputs_stay_unchanged(name, flows):
    train, probe = flows(), flows(60, seed=3)
    before = train.embedding.copy(), probe.embedding.copy()
    make(name).fit(train, seed=0).score(probe)
    assert np.array_equal(train.embedding, before[0])
    assert np.array_equal(probe.embedding, before[1])


@pytest.mark.slow
@every_detector
def test_a_value_off_a_constant_feature_never_looks_more_usual(name, flows):
    scorer = make(name).fit(flows(), seed=0)
    usual = flows(50, seed=4).embedding
    odd = np.array(usual)
    odd[:, 0] += 50
    assert (score(scorer, flows(odd)) >= score(scorer, flows(usual))).all()


@pytest.mark.slow
@every_detector
def test_huge_values_score_finitely(name, flows):
    scorer = make(name).fit(flows(), seed=0)
    huge = np.full((3, 6), 1e30)
    assert np.isfinite(score(scorer, flows(huge))).all()


@pytest.mark.slow
@every_detector
@pytest.mark.parametrize("rows", [2, 3, 7])
def test_fewer_flows_than_neighbours_and_clusters(name, rows, flows):
    train = np.random.default_rng(0).normal(size=(rows, 6))
    scorer = make(name)
    try:
        scorer.fit(flows(train), seed=0)
    except ContractError as error:
        assert name in error.what  # noqa: PT017
        assert error.do  # noqa: PT017
    else:
        assert np.isfinite(score(scorer, flows(20))).all()


@pytest.mark.parametrize("name", ["knn", "lof", "cblof", "hbos", "iforest", "gmm"])
def test_two_flows_are_enough_for_most(name, flows):
    scorer = make(name).fit(flows(2, seed=1), seed=0)
    assert np.isfinite(score(scorer, flows(20))).all()


@every_detector
@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_flows_to_learn_from_are_refused(name, rows, flows):
    with pytest.raises(ContractError, match="at least 2"):
        make(name).fit(flows(np.ones((rows, 6))), seed=0)


@pytest.mark.slow
@every_detector
def test_equal_training_flows_are_refused_or_scored(name, flows):
    scorer = make(name)
    try:
        scorer.fit(flows(np.ones((100, 6))), seed=0)
    except ContractError as error:
        assert error.do  # noqa: PT017
    else:
        assert np.isfinite(score(scorer, flows(20))).all()


@pytest.mark.slow
@every_detector
def test_another_width_is_refused(name, flows):
    scorer = make(name).fit(flows(), seed=0)
    with pytest.raises(ContractError, match="6 features, not 4"):
        scorer.score(flows(5, dim=4))


def test_terms_alone_are_refused():
    terms = EncodedFlows(np.arange(3), np.zeros(3, np.int64), terms={"kl": np.ones(3, np.float32)})
    with pytest.raises(ContractError, match="needs an embedding"):
        make("hbos").fit(terms, seed=0)


def test_the_contract_refuses_nan(flows):
    with pytest.raises(ContractError, match="NaN"):
        flows(np.array([[1.0, np.nan]]))


def test_pca_with_every_component_stays_finite(flows):
    train = flows(300)
    assert np.isinf(_pyod_pca_scores(train)).any()
    assert np.isfinite(score(make("pca", n_components=None).fit(train, seed=0), train)).all()


def _pyod_pca_scores(train: EncodedFlows) -> Any:
    with np.errstate(all="ignore"):
        theirs = pyod_itself("pca", 300, n_components=None).fit(train.embedding.astype(float))
        return theirs.decision_function(train.embedding.astype(float))


def test_cblof_where_pyod_finds_no_small_cluster(flows):
    rng = np.random.default_rng(0)
    equal = np.repeat(np.arange(8), 50)[:, None] * 100.0 + rng.normal(size=(400, 3))
    with pytest.raises(ValueError, match="valid cluster separation"):
        pyod_itself("cblof", 400).fit(equal)
    scorer = make("cblof").fit(flows(equal), seed=0)
    near, far = score(scorer, flows([[0.0, 0.0, 0.0], [50.0, 50.0, 50.0]]))
    assert far > near


def test_cblof_with_more_clusters_than_distinct_flows(flows):
    few = np.repeat(np.eye(3), 20, axis=0)
    scorer = make("cblof").fit(flows(few), seed=0)
    assert np.allclose(score(scorer, flows(np.eye(3))), 0)
    assert score(scorer, flows([[5.0, 5.0, 5.0]])) > 1


def test_mcd_sees_what_never_varied_in_training(flows):
    train = flows(400)
    usual = flows(20, seed=3).embedding
    odd = np.array(usual)
    odd[:, 0] += 1.0
    kept = make("mcd").fit(train, seed=0)
    assert score(kept, flows(odd)).min() > score(kept, flows(usual)).max()
    blind = make("mcd", ridge=0).fit(train, seed=0)
    assert np.allclose(score(blind, flows(odd)), score(blind, flows(usual)))


def test_fit_rows_bounds_what_is_kept(flows):
    scorer = make("knn", fit_rows=50).fit(flows(300), seed=0)
    assert scorer.get_state().arrays["kept"].shape == (50, 6)


def test_a_state_of_another_detector_is_refused(flows):
    state = make("hbos").fit(flows(), seed=0).get_state()
    with pytest.raises(BundleError, match="not a state of scorer 'pca'"):
        make("pca").set_state(state)
    with pytest.raises(BundleError, match="not a state"):
        make("pca").set_state(State())


def test_a_forest_that_points_outside_itself_is_refused(flows):
    state = make("iforest").fit(flows(), seed=0).get_state()
    tree = state.estimators["forest"].estimators_[0].tree_
    tree.children_left[0] = tree.node_count + 5
    with pytest.raises(BundleError, match="outside itself"):
        make("iforest").set_state(state)


def test_one_line_adds_a_detector(flows, carried):
    class InneConfig(DetectorConfig):
        max_samples: int = 8

    inne = Detector(
        "inne", "pyod.models.inne:INNE", InneConfig, trusted_types=("pyod.models.inne.INNE",)
    )
    train, probe = flows(300), flows(1_500, seed=1)
    scorer = PyodScorer(inne, InneConfig()).fit(train, seed=4)
    assert isinstance(scorer.formula_, formulas.Held)
    whole = score(scorer, probe)
    assert np.array_equal(score(scorer, probe.take(np.arange(700, 1_100))), whole[700:1_100])
    heir = PyodScorer(inne, InneConfig()).set_state(carried(scorer.get_state(), inne.trusted_types))
    assert np.array_equal(score(heir, probe), whole)


def test_a_fit_that_pyod_cannot_do_says_why(flows):
    scorer = make("pca", n_components=7)  # of 6 features
    with pytest.raises(ContractError, match="cannot be fitted") as caught:
        scorer.fit(flows(), seed=0)
    assert "n_components" in caught.value.where


def test_the_sample_is_part_of_the_seeded_result(flows):
    train = flows(400)
    scorer = make("gmm", fit_rows=100)
    first = scorer.fit(train, seed=1).get_state().arrays["means"]
    again = scorer.fit(train, seed=1).get_state().arrays["means"]
    other = scorer.fit(replace(train), seed=2).get_state().arrays["means"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
