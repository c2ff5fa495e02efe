from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil_scorers.formulas.hbos import FEW, Hbos, _cuts

EDGES = (
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8, unique=True).map(sorted).map(np.array)
)


@settings(max_examples=300)
@given(edges=EDGES, tol=st.floats(0.05, 0.95), shift=st.integers(-2, 2), at=st.integers(0, 7))
def test_float32_cuts_part_float32_values_as_float64_edges_do(edges, tol, shift, at):
    # The values nearest to an edge are where rounding could move a flow into another bin.
    x = np.float32(edges[at % len(edges)])
    for _ in range(abs(shift)):
        x = np.nextafter(x, np.float32(np.sign(shift) * np.inf))
    inner = edges[1:-1]
    cuts = _cuts(edges, tol)
    assert (cuts[1:-1] < x).sum() == (inner < np.float64(x)).sum()


@given(tol=st.floats(0.05, 0.95), shift=st.integers(-2, 2))
def test_a_value_within_the_tolerance_counts_as_the_outer_bin(tol, shift):
    low, _, high = _cuts(np.array([0.0, 1.0, 2.0]), tol)
    for edge, cut, inside in ((-tol, low, np.greater), (2 + tol, high, np.less_equal)):
        x = np.float32(edge)
        for _ in range(abs(shift)):
            x = np.nextafter(x, np.float32(np.sign(shift) * np.inf))
        expected = x.item() >= edge if edge < 0 else x.item() <= edge
        assert inside(x, cut) == expected


@given(cuts=st.sampled_from([1, 3, FEW, FEW + 1]), seed=st.integers(0, 20))
def test_a_score_adds_what_stands_between_two_cuts_however_they_are_found(cuts, seed):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.normal(size=(3, cuts)).astype(np.float32), axis=1)
    edges[0, -1] = np.inf  # as features with fewer bins are padded
    values = rng.normal(size=(3, cuts + 1))
    beside = np.nextafter(edges.T[:-1], np.float32(np.inf))
    rows = np.concatenate([rng.normal(size=(20, 3)).astype(np.float32), edges.T[:-1], beside])
    expected = np.zeros(len(rows))
    for feature in range(3):
        for row, value in enumerate(rows[:, feature]):
            expected[row] += values[feature, int((edges[feature] < value).sum())]
    assert np.array_equal(Hbos(cuts=edges, values=values).score(rows), -expected)
