"""What pairs of times say, on simulated clocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.bench.pairs import (
    LEAST,
    change,
    floor_of,
    holm,
    judged,
    same_side_noise,
    verdict,
)

TRIALS = 200


def _times(rng, *, waver, slowdown=1.0, rounds=6):
    drift = np.exp(rng.normal(0, 0.3, size=rounds))  # the machine's, the same for both sides
    base, head = np.exp(rng.normal(0, waver, size=(2, rounds))) * drift
    return base.tolist(), (head * slowdown).tolist()


def _share(said, *, waver, slowdown, cases=1, rounds=6):
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(TRIALS):
        changes = {
            str(case): change(*_times(rng, waver=waver, slowdown=slowdown, rounds=rounds))
            for case in range(cases)
        }
        hits += any(each[0] == said for each in judged(changes, {}).values())
    return hits / TRIALS


@pytest.mark.parametrize("waver", [0.003, 0.03, 0.1, 0.25])
def test_equal_sides_are_not_slower_however_much_the_machine_wavers(waver):
    assert _share("slower", waver=waver, slowdown=1.0) == 0


def test_twenty_equal_cases_together_pass():
    assert _share("slower", waver=0.1, slowdown=1.0, cases=20) == 0


@pytest.mark.parametrize("waver", [0.003, 0.02])
def test_a_slowdown_of_30_percent_is_stopped(waver):
    rng = np.random.default_rng(5)
    found = [
        judged({"a": change(*_quiet(rng, waver, slowdown=1.3))}, {})["a"][0] for _ in range(TRIALS)
    ]
    assert found.count("slower") >= 0.95 * TRIALS


def test_a_gain_is_faster():
    rng = np.random.default_rng(5)
    found = change(*_quiet(rng, 0.01, slowdown=0.5))
    assert judged({"a": found}, {})["a"][0] == "faster"


def _quiet(rng, waver, *, slowdown, rounds=6):
    base, head = np.exp(rng.normal(0, waver, size=(2, rounds)))
    return base, head * slowdown


def test_a_change_below_the_floor_is_none():
    found = change([1.0, 1.001, 0.999, 1.0], [1.08, 1.081, 1.079, 1.08])
    assert found.low > 1
    assert judged({"a": found}, {})["a"][0] == "same"


def test_what_more_rounds_could_decide_is_unsure():
    found = change([1.0, 1.0, 1.0, 1.0], [1.0, 1.5, 0.9, 1.4])
    assert verdict(found, floor=0.1, p_slower=0.2, p_faster=0.8) == "unsure"


def test_the_drift_of_the_machine_cancels():
    found = change([1.0, 2.0, 4.0, 3.0], [1.3, 2.6, 5.2, 3.9])
    assert found.ratio == pytest.approx(1.3)
    assert (found.low, found.high) == pytest.approx((1.3, 1.3))
    assert found.p_slower < 1e-6


def test_noise_is_what_neighbouring_runs_of_one_side_differ_by():
    # base head | head base | base head: heads of rounds 0 and 1 are neighbours, bases of 1 and 2.
    base, head = [9.0, 1.0, 1.1], [2.0, 2.2, 7.0]
    want = math.sqrt((math.log(1.1) ** 2 + math.log(1.1) ** 2) / 2)
    assert same_side_noise(base, head) == pytest.approx(want)
    assert math.isnan(same_side_noise([1.0], [1.0]))


def test_the_floor_is_ten_percent_or_three_times_what_the_median_wavers_by():
    assert floor_of(0.001, 6) == LEAST
    assert floor_of(math.nan, 1) == LEAST
    of_median = 0.2 * math.sqrt(math.pi / 2 / 4)
    assert floor_of(0.2, 4) == pytest.approx(math.expm1(3 * of_median))
    assert floor_of(0.001, 4, kept=0.2) == floor_of(0.2, 4)
    assert floor_of(0.2, 16) < floor_of(0.2, 4)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p):
    found = holm(p)
    assert set(found) == set(p)
    assert all(p[name] <= found[name] <= 1 for name in p)
    ranked = sorted(p, key=lambda name: p[name])
    assert [found[name] for name in ranked] == sorted(found[name] for name in ranked)


def test_one_round_says_nothing():
    found = change([1.0], [5.0])
    assert judged({"a": found}, {})["a"][0] == "unsure"
