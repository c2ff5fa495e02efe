from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil_flowprep.segments import Segments
from netvigil_flowprep.so_far import largest_so_far

NAN = np.nan


@pytest.fixture
def segments():
    return Segments(np.array([0, 2, 3]), 6)


def test_sums_and_extremes_pass_over_gaps(segments):
    values = np.array([1, NAN, NAN, 5, 3, 4], np.float64)
    assert segments.total(values).tolist() == [1, 0, 12]
    assert np.array_equal(segments.least(values), [1, NAN, 3], equal_nan=True)
    assert np.array_equal(segments.most(values), [1, NAN, 5], equal_nan=True)
    assert segments.any_value(values).tolist() == [True, False, True]


def test_means_are_weighted_or_plain_without_weights(segments):
    values = np.array([2, 8, NAN, 1, 2, 6], np.float64)
    weights = np.array([2, 1, 5, 0, 0, 0], np.float64)
    assert np.array_equal(segments.mean(values, weights), [4, NAN, 3], equal_nan=True)


def test_variance_is_that_of_all_samples_together():
    rng = np.random.default_rng(3)
    groups = [rng.normal(5 * g, 1 + g, n) for g, n in enumerate((4, 1, 7))]
    segments = Segments(np.array([0]), 3)
    variances = np.array([np.var(g, ddof=1) if len(g) > 1 else 0 for g in groups])
    means, counts = (np.array([f(g) for g in groups], float) for f in (np.mean, len))
    pooled = segments.variance(variances, means, counts)
    assert pooled[0] == pytest.approx(np.var(np.concatenate(groups), ddof=1))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9)), max_size=40))
def test_largest_so_far_is_what_a_loop_finds(rows):
    rows.sort(key=lambda row: row[0])
    group, values = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    expected = [max(v for g, v in rows[: i + 1] if g == mine) for i, (mine, _) in enumerate(rows)]
    assert largest_so_far(group, values).tolist() == expected
