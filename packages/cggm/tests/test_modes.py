from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from netvigil_cggm.modes import WIDTH, Coded, Modes

BY_HAND = Modes(
    centre=np.array([[0.2, 0.8, 0.0], [0.5, 0.0, 0.0]]),
    spread=np.array([[0.05, 0.1, 1.0], [0.01, 1.0, 1.0]]),
    weight=np.array([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0]]),
)


def test_by_hand():
    coded = Coded(np.array([[0.5, -1.0]], np.float32), np.array([[1, 0]]))
    assert BY_HAND.back(coded) == pytest.approx(np.array([[0.8 + 4 * 0.1 * 0.5, 0.5 - 4 * 0.01]]))
    assert BY_HAND.used.tolist() == [[True, True, False], [True, False, False]]


@given(arrays(np.float32, (7, 2), elements=st.floats(-2, 3, width=32)), st.integers(0, 2**32))
def test_there_and_back(x, seed):
    coded = BY_HAND.into(x, np.random.default_rng(seed))
    assert (np.abs(coded.place) <= 1).all()
    assert BY_HAND.used[[0, 1], coded.mode].all()
    centre, spread = BY_HAND.centre[[0, 1], coded.mode], BY_HAND.spread[[0, 1], coded.mode]
    kept = np.clip(x, centre - WIDTH * spread, centre + WIDTH * spread)
    np.testing.assert_allclose(BY_HAND.back(coded), kept, atol=1e-5)


def test_modes_are_drawn_by_their_chance():
    modes = Modes(np.array([[0.4, 0.6]]), np.full((1, 2), 0.1), np.array([[0.8, 0.2]]))
    middle = np.full((4_000, 1), 0.5, np.float32)  # as far from one centre as from the other
    drawn = modes.into(middle, np.random.default_rng(0)).mode
    assert drawn.mean() == pytest.approx(0.2, abs=0.02)


def test_what_is_learnt():
    rng = np.random.default_rng(0)
    two = np.where(rng.random(600) < 0.3, 0.1, 0.9) + 0.01 * rng.standard_normal(600)
    x = np.stack([two, np.where(rng.random(600) < 0.5, 0, 1)], 1).astype(np.float32)
    modes = Modes.of(x, seed=0)
    assert np.array_equal(Modes.of(x, seed=0).centre, modes.centre)
    assert np.sort(modes.centre[1, modes.used[1]]) == pytest.approx([0, 1], abs=0.01)
    np.testing.assert_allclose(modes.weight.sum(1), 1)
    again = modes.back(modes.into(x, rng))
    assert np.abs(again - x).mean() < 0.005
