from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import Calibration, Promise, Promising, State
from netvigil_scorers.plugin import netvigil_thresholds
from netvigil_scorers.thresholds.ruled import cut_above_which, share_of

PARTS = {part.name: part for part in netvigil_thresholds()}
every_threshold = pytest.mark.parametrize("name", PARTS)
# Few distinct values: ties are the rule, not the exception.
TIED = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=60).map(np.array)
ANY = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60).map(np.array)


def make(name: str, **given):
    if name == "fixed":
        given.setdefault("value", 2.5)
    return PARTS[name].make(PARTS[name].config(**given))


def calibration(scores) -> Calibration:
    scores = np.asarray(scores, np.float64)
    return Calibration(
        score=scores,
        start_us=np.arange(len(scores)) * 10**6,
        duration_s=3_600.0,
        is_attack=scores >= scores.max(initial=-np.inf),
        known=np.ones(len(scores), np.bool_),
    )


@given(scores=TIED | ANY, most=st.integers(0, 70))
def test_never_more_than_asked_lie_above_and_a_lower_score_would_break_that(scores, most):
    cut = cut_above_which(scores, most)
    assert (scores > cut).sum() <= most
    lower = scores[scores < cut]
    if lower.size:
        assert (scores > lower.max()).sum() > most


def test_shares_count_as_decimals():
    assert share_of(0.29, 100) == 29  # 0.29 * 100 is 28.999999999999996
    assert share_of(0.1, 29) == 2
    assert share_of(1e-9, 10**6) == 0


@every_threshold
@given(scores=TIED | ANY)
def test_every_rule_gives_a_finite_cut_a_sentence_and_repeats_itself(name, scores):
    first, second = (make(name).fit(calibration(scores), seed=s) for s in (0, 1))
    assert isinstance(first.cut_, float)
    assert np.isfinite(first.cut_)
    assert first.cut_ == second.cut_
    assert first.provenance().endswith(".")
    assert "\n" not in first.provenance()


@every_threshold
def test_unfitted_raises(name):
    with pytest.raises(NotFittedError, match=name):
        _ = make(name).cut_
    with pytest.raises(NotFittedError, match=name):
        make(name).provenance()
    with pytest.raises(NotFittedError, match=name):
        make(name).get_state()


@every_threshold
def test_state_survives_a_bundle_and_fit_forgets(name, carried):
    usual = calibration(np.random.default_rng(0).exponential(size=500))
    again = make(name).fit(calibration(np.arange(40.0)), seed=0).fit(usual, seed=0)
    fresh = make(name).fit(usual, seed=0)
    heir = make(name).set_state(carried(fresh.get_state()))
    assert again.cut_ == fresh.cut_ == heir.cut_
    assert again.provenance() == fresh.provenance() == heir.provenance()


@pytest.mark.parametrize("name", [name for name in PARTS if name != "fixed"])
def test_an_empty_calibration_range_is_refused(name):
    with pytest.raises(ContractError, match="no calibration flows"):
        make(name).fit(calibration([]), seed=0)


@every_threshold
def test_scores_that_are_not_finite_are_refused(name):
    with pytest.raises(ContractError, match="not finite"):
        make(name).fit(calibration([1.0, np.inf]), seed=0)


@every_threshold
@pytest.mark.parametrize(
    "values", [{}, {"cut": "1", "provenance": "x"}, {"cut": float("nan"), "provenance": "x"}]
)
def test_a_foreign_state_is_refused(name, values):
    with pytest.raises(BundleError):
        make(name).set_state(State(values=values))


@every_threshold
def test_inputs_stay_unchanged(name):
    scores = np.random.default_rng(0).normal(size=300)
    before = scores.copy()
    make(name).fit(calibration(scores), seed=0)
    assert np.array_equal(scores, before)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("quantile", {"keep": 0.02}, Promise("share", 0.02)),
        ("target-fpr", {"fpr": 0.03}, Promise("fpr", 0.03)),
        ("alerts-per-day", {"alerts": 12}, Promise("alerts-per-day", 12.0)),
        ("evt", {"risk": 1e-4}, Promise("fpr", 1e-4)),
        ("adaptive", {"keep": 0.04}, Promise("share", 0.04)),
        ("best-f-beta", {}, None),
        ("mad", {}, None),
        ("fixed", {}, None),
        ("best-f1", {}, None),
    ],
)
def test_what_a_rule_promises_stands_in_its_settings(name, given, expected):
    threshold = make(name, **given)
    assert isinstance(threshold, Promising)
    assert threshold.promise() == expected


def test_a_cut_may_be_set_by_hand():
    threshold = make("quantile")
    threshold.cut_ = 4.0
    assert threshold.cut_ == 4.0
    assert "by hand" in threshold.provenance()
