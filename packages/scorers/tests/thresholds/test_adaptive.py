from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from netvigil.errors import BundleError, ContractError, IncompatiblePartsError
from netvigil.protocols import Calibration, MovingCut, State
from netvigil_scorers.thresholds.adaptive import (
    Adaptive,
    AdaptiveConfig,
    Follower,
    edges_of,
    place_of_cut,
)
from netvigil_scorers.thresholds.quantile import QuantileConfig, choose

CALM = 5_000  # flows of the calibration range, one a second


def usual(flows: int, seed: int = 0):
    return np.exp(np.random.default_rng(seed).normal(size=flows))


def fitted(score=None, **given) -> Adaptive:
    score = usual(CALM) if score is None else score
    calibration = Calibration(score, start_us=np.arange(len(score)) * 10**6)
    return Adaptive(AdaptiveConfig(**({"keep": 0.02} | given))).fit(calibration, seed=0)


def cuts(threshold: Adaptive, score):
    return threshold.follow().cuts((CALM + np.arange(len(score))) * 10**6, score)


def test_it_begins_where_quantile_does():
    threshold = fitted()
    expected = choose(QuantileConfig(keep=0.02), Calibration(usual(CALM)))
    assert threshold.cut_ == expected.value
    assert isinstance(threshold, MovingCut)
    assert "flags 100 of 5,000" in threshold.provenance()


def test_a_window_is_judged_by_earlier_windows_only_by_hand():
    # Of ten calibration flows 0 to 9 the highest lies above the cut of 8.
    config = AdaptiveConfig(keep=0.1, window_s=1.0, half_life=1e9, trust=2.0)
    edges = np.arange(10.0)
    memory = np.append(np.ones(10), 0.0)
    follower = Follower(config, edges, memory)
    # One window of 100 flows, 95 at 2 and five at 20; nothing of it changes its own cut.
    start = np.repeat([0, 1], [100, 1]) * 10**6
    score = np.append(np.repeat([2.0, 20.0], [95, 5]), 2.0)
    found = follower.cuts(start, score)
    assert (found[:100] == 8.0).all()
    # Of the 110 flows then known 11 may lie above: five at 20 and six, at 4 to 9, lie above 3.
    assert found[100] == 3.0


def test_above_the_cut_the_lowest_are_learnt_up_to_the_trusted_share_by_hand():
    config = AdaptiveConfig(keep=0.1, window_s=1.0, half_life=1.0, trust=2.0)
    follower = Follower(config, np.arange(10.0), np.append(np.ones(10), 0.0))
    score = np.repeat([2.0, 8.5, 20.0], [80, 30, 90])
    follower.cuts(np.zeros(200, np.int64), score)
    follower.cuts(np.array([10**6]), np.array([0.0]))
    # Below lie 80 flows; two tenths of what is learnt may lie above: 20 of 100, the lowest.
    # The memory of ten flows has halved 100 / 10 times.
    expected = np.append(np.ones(10), 0.0) * 0.5**10
    expected[2] += 80
    expected[9] += 20
    assert follower._memory == pytest.approx(expected)


def test_the_share_is_held_where_nothing_changes():
    score = usual(60_000, seed=1)
    found = cuts(fitted(), score)
    assert (score > found).mean() == pytest.approx(0.02, abs=0.002)
    assert found == pytest.approx(np.full(60_000, found[0]), rel=0.2)


@pytest.mark.parametrize("factor", [3.0, 0.3])
def test_it_follows_a_drift_that_a_standing_cut_does_not(factor):
    score = usual(60_000, seed=1) * np.linspace(1, factor, 60_000)
    threshold = fitted()
    late = slice(-10_000, None)
    standing = (score > threshold.cut_)[late].mean()
    moving = (score > cuts(threshold, score))[late].mean()
    assert 0.008 < moving < 0.03
    assert not 0.002 < standing < 0.1


def test_a_burst_of_attacks_does_not_teach_the_cut_to_rise():
    rng = np.random.default_rng(2)
    score = usual(30_000, seed=1)
    hour = slice(10_000, 13_600)
    attack = np.zeros(30_000, bool)
    attack[hour] = rng.random(3_600) < 0.8
    score[attack] = 20 + 5 * rng.random(attack.sum())
    careful, trusting = cuts(fitted(), score), cuts(fitted(trust=45.0), score)
    # One fifth of that hour is benign, as much as ever: learnt in full, and no more than that.
    assert careful[hour].max() < 1.2 * careful[10_000]
    assert (score > careful)[attack].all()
    # What the guard is for: without it the end of the same burst passes below the cut.
    assert (score > trusting)[attack].mean() < 0.5


def test_where_nearly_all_flows_lie_above_nothing_is_learnt():
    found = cuts(fitted(), 100 + usual(20_000, seed=1))
    assert (found == found[0]).all()


def test_scores_beyond_all_of_calibration_are_told_apart():
    edges = edges_of(np.arange(100.0), 0.05)
    high = edges[edges > 99]
    assert (np.diff(high) / (high[:-1] - 50)).max() < 0.025
    assert edges[-1] > 1e6
    assert edges[0] < -1e6


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=50), st.floats(0.001, 0.4))
def test_edges_rise_and_hold_the_scores_among_which_a_cut_lies(scores, keep):
    scores = np.sort(scores)
    edges = edges_of(scores, keep)
    assert (np.diff(edges) > 0).all()
    assert np.isfinite(edges).all()
    assert np.isin(scores, edges).all()
    memory = np.bincount(np.searchsorted(edges, scores), minlength=len(edges) + 1)
    cut = edges[place_of_cut(memory, keep)]
    assert (scores > cut).mean() <= keep + 1e-9


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3_000), max_size=6))
def test_any_batches_give_equal_bits(parts):
    threshold = fitted(window_s=60.0)
    score = usual(3_000, seed=1)
    start = (CALM + np.arange(3_000)) * 10**6
    follower = threshold.follow()
    pieces = np.split(np.arange(3_000), sorted(parts))
    found = np.concatenate([follower.cuts(start[rows], score[rows]) for rows in pieces])
    assert np.array_equal(found, threshold.follow().cuts(start, score))


def test_small_windows_wait_for_each_other():
    # Of two flows a window, a flow above the cut would be half of it; five hundred are learnt from.
    score = usual(30_000, seed=1)
    found = cuts(fitted(window_s=2.0), score)
    changes = np.flatnonzero(np.diff(found))
    assert len(changes) > 10
    assert np.diff(changes).min() >= 500
    assert (score > found).mean() == pytest.approx(0.02, abs=0.003)


def test_memory_does_not_grow_with_the_traffic():
    follower = fitted().follow()
    for hour in range(3):
        before = {name: np.size(value) for name, value in vars(follower).items()}
        follower.cuts((CALM + hour * 3_600 + np.arange(3_600)) * 10**6, usual(3_600, seed=hour))
        assert {name: np.size(value) for name, value in vars(follower).items()} == before


def test_it_needs_a_clock_and_flows():
    with pytest.raises(IncompatiblePartsError, match="clock"):
        Adaptive(AdaptiveConfig()).fit(Calibration(usual(50)), seed=0)
    with pytest.raises(IncompatiblePartsError, match="clock"):
        fitted().follow().cuts(None, usual(5))
    with pytest.raises(ContractError, match="no calibration flows"):
        fitted(np.empty(0))


def test_too_much_trust_is_refused():
    with pytest.raises(ValidationError, match="below 1"):
        AdaptiveConfig(keep=0.5, trust=2.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"edges": np.array([1.0])},
        {"edges": np.array([2.0, 1.0])},
        {"memory": np.array([1.0, -1.0, 3.0])},
        {"memory": np.zeros(3)},
        {"memory": np.array([1.0, np.nan, 3.0])},
    ],
)
def test_a_damaged_state_is_refused(changes):
    arrays = {"edges": np.array([1.0, 2.0]), "memory": np.array([1.0, 1.0, 0.0])}
    sound = Adaptive(AdaptiveConfig()).set_state(State(arrays, {"provenance": "x"}))
    assert sound.cut_ == 2.0
    with pytest.raises(BundleError, match="adaptive"):
        Adaptive(AdaptiveConfig()).set_state(State(arrays | changes, {"provenance": "x"}))
