from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from netvigil.contracts import EncodedFlows
from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError
from netvigil.protocols import State
from netvigil_scorers.weighted_terms import WeightedTerms, WeightedTermsConfig


def terms(**values) -> EncodedFlows:
    columns = {name: np.asarray(column, np.float32) for name, column in values.items()}
    count = len(next(iter(columns.values())))
    return EncodedFlows(np.arange(count), np.zeros(count, np.int64), terms=columns)


def many(count: int = 200, seed: int = 0) -> EncodedFlows:
    rng = np.random.default_rng(seed)
    return terms(
        feature=rng.exponential(size=count), structure=rng.normal(size=count), kl=np.ones(count)
    )


def made(**weights: float) -> WeightedTerms:
    return WeightedTerms(WeightedTermsConfig(weights=weights))


def test_scores_by_hand():
    # feature: median 2, IQR 3 - 1 = 2; kl never varies, so it is scaled by one.
    train = terms(feature=[0, 1, 2, 3, 4], kl=[7, 7, 7, 7, 7])
    scorer = made(feature=0.5, kl=2.0).fit(train, seed=0)
    score = scorer.score(terms(feature=[2, 4, 0], kl=[7, 7, 8])).score
    assert score.tolist() == [0.0, 0.5, -0.5 + 2.0]


def test_a_term_without_iqr_is_scaled_by_its_deviation():
    train = terms(kl=[0] * 9 + [10])  # standard deviation 3
    assert made().fit(train, seed=0).score(terms(kl=[6])).score.tolist() == [2.0]


def test_terms_without_a_weight_weigh_one():
    train = many()
    left, right = made(kl=1.0), made(kl=1.0, feature=1.0, structure=1.0)
    assert np.array_equal(
        left.fit(train, seed=0).score(train).score, right.fit(train, seed=0).score(train).score
    )


def test_an_unknown_term_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        made(featur=0.1).fit(many(), seed=0)
    assert "Did you mean 'feature'?" in caught.value.do


def test_weights_below_zero_or_all_zero_are_refused():
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            made(kl=weight)
    with pytest.raises(ConfigError, match="All weights are zero"):
        made(feature=0, structure=0, kl=0).fit(many(), seed=0)


def test_no_terms_no_flows_no_fit_are_refused():
    rows = EncodedFlows(np.arange(2), np.zeros(2, np.int64), embedding=np.ones((2, 3), np.float32))
    with pytest.raises(ContractError, match="no terms"):
        made().fit(rows, seed=0)
    with pytest.raises(ContractError, match="no flows"):
        made().fit(terms(kl=[]), seed=0)
    with pytest.raises(NotFittedError):
        made().score(many())
    with pytest.raises(NotFittedError):
        made().get_state()


def test_other_terms_than_in_training_are_refused():
    scorer = made().fit(many(), seed=0)
    for other in (terms(feature=[1.0]), terms(feature=[1], structure=[1], kl=[1], more=[1])):
        with pytest.raises(ContractError, match="other terms"):
            scorer.score(other)


@settings(deadline=None)
@given(cut=st.integers(0, 200))
def test_a_score_does_not_depend_on_companions_or_order_of_terms(cut):
    train = many()
    scorer = made(feature=0.1, structure=0.5, kl=0.1).fit(train, seed=0)
    whole = scorer.score(train).score
    part = scorer.score(train.take(np.arange(cut, 200))).score
    assert np.array_equal(part, whole[cut:])
    turned = EncodedFlows(
        train.flow_id, train.window_start, terms=dict(reversed(list(train.terms.items())))
    )
    assert np.array_equal(scorer.score(turned).score, whole)


def test_state_survives_a_bundle_and_fit_forgets(carried):
    train, probe = many(), many(50, seed=1)
    scorer = made(kl=0.3).fit(many(40, seed=5), seed=0).fit(train, seed=1)
    fresh = made(kl=0.3).fit(train, seed=0)
    heir = made(kl=0.3).set_state(carried(scorer.get_state()))
    for other in (fresh, heir):
        assert np.array_equal(other.score(probe).score, scorer.score(probe).score)
    with pytest.raises(BundleError):
        made().set_state(State(values={"names": ["kl"]}))
