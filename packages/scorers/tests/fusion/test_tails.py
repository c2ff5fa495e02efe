from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil_scorers.fusion.tails import LEAST_P, Tail

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def test_a_probability_counts_held_out_scores_as_high():
    tail = Tail.of(np.array([1.0, 2.0, 2.0, 4.0]))
    assert tail.probability(np.array([0.0, 1.0, 2.0, 3.0, 4.0])).tolist() == [1, 1, 0.8, 0.4, 0.4]


def test_beyond_the_highest_it_falls_by_the_mean_excess():
    held = np.arange(101.0)  # the 95 % quantile is 95; the excesses 1 to 5 have the mean 3
    tail = Tail.of(held)
    assert tail.excess == 3.0
    p = tail.probability(np.array([100.0, 103.0]))
    assert p.tolist() == pytest.approx([2 / 102, np.exp(-1) / 102])


def test_far_out_stays_above_zero():
    assert Tail.of(np.arange(101.0)).probability(np.array([1e12])).tolist() == [LEAST_P]


def test_equal_scores_leave_one_step():
    tail = Tail.of(np.zeros(9))
    assert tail.probability(np.array([-1.0, 0.0, 5.0])).tolist() == [1.0, 1.0, 0.1]


@given(SCORES, SCORES)
def test_higher_scores_are_never_more_probable(held, asked):
    p = Tail.of(np.array(held)).probability(np.sort(asked))
    assert (np.diff(p) <= 0).all()
    assert ((p > 0) & (p <= 1)).all()


def test_probabilities_hold_what_they_promise():
    """Of flows like the held-out ones, a share of at most p gets a probability of at most p."""
    rng = np.random.default_rng(0)
    tail = Tail.of(rng.standard_normal(4000))
    p = tail.probability(rng.standard_normal(4000))
    for level in (0.01, 0.1, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / 2000))
