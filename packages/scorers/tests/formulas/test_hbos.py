from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil_scorers.formulas.hbos import _cuts

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
