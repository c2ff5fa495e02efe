from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError, NotFittedError
from netvigil.parts import NoConfig
from netvigil_flowprep.transforms.l2_row import L2Row
from netvigil_flowprep.transforms.log1p import Log1p, Log1pConfig, skewness
from netvigil_flowprep.transforms.min_max import MinMax, MinMaxConfig
from netvigil_flowprep.transforms.quantile_scale import QuantileScale, QuantileScaleConfig
from netvigil_flowprep.transforms.robust_scale import RobustScale, RobustScaleConfig
from netvigil_flowprep.transforms.standard_scale import StandardScale, StandardScaleConfig


def _column(*values):
    return FlowFeatures(np.array(values, np.float32)[:, None], ("x_a",))


def _out(transform, features):
    return transform.transform(features).x[:, 0].tolist()


def test_robust_scale_is_the_formula():
    train = _column(0, 1, 2, 3, 4)  # median 2, quartiles 1 and 3
    scale = RobustScale(RobustScaleConfig()).fit(train, seed=0)
    assert _out(scale, _column(2, 3, 1e9, -1e9)) == pytest.approx([0, 1.349 / 2, 10, -10])
    free = RobustScale(RobustScaleConfig(clip=None)).fit(train, seed=0)
    assert _out(free, _column(102)) == pytest.approx([100 * 1.349 / 2])


def test_robust_scale_without_an_iqr_uses_the_deviation_and_without_that_nothing():
    rare = _column(*[0.0] * 15, 4.0)
    deviation = np.std([0.0] * 15 + [4.0])
    scale = RobustScale(RobustScaleConfig()).fit(rare, seed=0)
    assert _out(scale, _column(4)) == pytest.approx([4 / deviation])
    constant = RobustScale(RobustScaleConfig()).fit(_column(7, 7, 7), seed=0)
    assert _out(constant, _column(7, 9)) == [0, 2]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_robust_scale_learns_numpys_quartiles(values):
    scale = RobustScale(RobustScaleConfig()).fit(_column(*values), seed=0)
    low, middle, high = np.percentile(np.array(values, np.float64), [25, 50, 75])
    learnt = scale.get_state().arrays
    assert learnt["center"][0] == np.float32(middle)
    if high > low:
        assert learnt["scale"][0] == pytest.approx((high - low) / 1.349, rel=1e-5)


def test_missing_values_do_not_count_and_stay_missing():
    with_gaps = _column(0, np.nan, 1, 2, 3, np.nan, 4)
    for make in (
        lambda: RobustScale(RobustScaleConfig()),
        lambda: MinMax(MinMaxConfig()),
        lambda: StandardScale(StandardScaleConfig()),
        lambda: QuantileScale(QuantileScaleConfig()),
    ):
        gaps, full = make().fit(with_gaps, seed=0), make().fit(_column(0, 1, 2, 3, 4), seed=0)
        probe = _column(2.5, np.nan)
        assert np.array_equal(_out(gaps, probe), _out(full, probe), equal_nan=True)
        assert np.isnan(_out(gaps, probe)[1])


def test_a_train_range_with_infinity_is_refused():
    for made in (
        MinMax(MinMaxConfig()),
        QuantileScale(QuantileScaleConfig()),
    ):
        with pytest.raises(ContractError, match="infinity"):
            made.fit(_column(1, np.inf), seed=0)


def test_min_max_bounds_the_train_range_and_clips_beyond_it():
    train, probe = _column(10, 20), _column(10, 15, 20, 40, 0)
    assert _out(MinMax(MinMaxConfig()).fit(train, seed=0), probe) == [0, 0.5, 1, 1, 0]
    free = MinMax(MinMaxConfig(clip=False)).fit(train, seed=0)
    assert _out(free, probe) == [0, 0.5, 1, 3, -1]
    assert _out(MinMax(MinMaxConfig(clip=False)).fit(_column(3, 3), seed=0), _column(3, 4)) == [
        0,
        1,
    ]


def test_log1p_keeps_signs_zeros_and_gaps():
    out = _out(Log1p(Log1pConfig()), _column(0, np.e - 1, 1 - np.e, 1e-20, np.nan))
    assert out[:4] == pytest.approx([0, 1, -1, 1e-20], rel=1e-6)
    assert np.isnan(out[4])


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_log1p_is_right_to_four_units_in_the_last_place(values):
    x = np.array(values, np.float32)[:, None]
    out = Log1p(Log1pConfig()).transform(FlowFeatures(x, ("x_a",))).x
    with np.errstate(divide="ignore", over="ignore"):
        exact = np.copysign(np.log1p(np.abs(x.astype(np.float64))), x)
    finite = np.isfinite(x)
    assert (out[~finite] == x[~finite]).all()
    unit = np.spacing(np.abs(exact[finite]).astype(np.float32))
    assert (np.abs(out[finite] - exact[finite]) <= 4 * unit).all()
    assert (np.signbit(out) == np.signbit(x)).all()


def test_log1p_of_a_row_does_not_depend_on_the_others():
    x = np.geomspace(1e-9, 1e9, 5000).astype(np.float32)[:, None]
    whole = Log1p(Log1pConfig()).transform(FlowFeatures(x, ("x_a",))).x
    for first in range(0, 5000, 613):
        part = FlowFeatures(np.repeat(x[first : first + 7], 3, axis=1), ("x_a", "x_b", "x_c"))
        out = Log1p(Log1pConfig()).transform(part).x
        assert (out == whole[first : first + 7]).all()


def test_l2_row_gives_length_one_even_to_huge_rows_and_leaves_zeros():
    x = np.array([[3, 4], [0, 0], [3e38, 3e38]], np.float32)
    out = L2Row(NoConfig()).transform(FlowFeatures(x, ("x_a", "x_b"))).x
    assert out[0].tolist() == pytest.approx([0.6, 0.8])
    assert out[1].tolist() == [0, 0]
    assert out[2].tolist() == pytest.approx([2**-0.5] * 2)


@pytest.mark.parametrize("clip", [0, -1])
def test_a_clip_that_is_not_positive_is_refused(clip):
    with pytest.raises(ValidationError):
        RobustScaleConfig(clip=clip)


def test_log1p_of_skewed_columns_only():
    names = ("x_even", "x_steep", "x_constant")
    x = np.array([[1, 0, 7], [2, 0, 7], [3, 0, 7], [4, 9, 7]], np.float32)
    train = FlowFeatures(x, names)
    # x_steep: mean 2.25, third moment 3(-2.25)^3 + 6.75^3 over 4, variance 15.1875: skew 1.155.
    log = Log1p(Log1pConfig(min_skew=1.0)).fit(train, seed=0)
    expected = x.copy()
    expected[:, 1] = np.log1p(x[:, 1])
    assert log.transform(train).x.tolist() == expected.tolist()
    assert Log1p(Log1pConfig(min_skew=1.2)).fit(train, seed=0).transform(train).x.tolist() == (
        x.tolist()
    )
    with pytest.raises(NotFittedError):
        Log1p(Log1pConfig(min_skew=1.0)).transform(train)
    with pytest.raises(ContractError, match="other features"):
        log.transform(FlowFeatures(x, ("x_a", "x_b", "x_c")))


def test_skewness_by_hand_and_of_what_has_none():
    assert skewness(np.array([0, 0, 0, 9], np.float32)) == pytest.approx(2 / 3**0.5)
    assert skewness(np.array([0, 0, 0, -9], np.float32)) == pytest.approx(-2 / 3**0.5)
    for values in ([], [5], [5, 5, 5]):
        assert skewness(np.array(values, np.float32)) == 0


def test_standard_scale_is_the_formula():
    train = _column(1, 3, 5, 7)  # mean 4, deviation sqrt(5)
    scale = StandardScale(StandardScaleConfig()).fit(train, seed=0)
    assert _out(scale, _column(4, 9, 1e9)) == pytest.approx([0, 5**0.5, 10])
    free = StandardScale(StandardScaleConfig(clip=None)).fit(train, seed=0)
    assert _out(free, _column(4 + 100 * 5**0.5)) == pytest.approx([100], rel=1e-5)
    constant = StandardScale(StandardScaleConfig()).fit(_column(7, 7), seed=0)
    assert _out(constant, _column(7, 9)) == [0, 2]


def test_quantile_scale_ranks_values_between_and_beyond_the_train_ranges():
    train = _column(0, 10, 20, 30, 40)
    scale = QuantileScale(QuantileScaleConfig(quantiles=5)).fit(train, seed=0)
    probe = _column(0, 10, 15, 40, 41, -1e30, 1e30)
    assert _out(scale, probe) == pytest.approx([0, 0.25, 0.375, 1, 1, 0, 1])
    normal = QuantileScale(QuantileScaleConfig(quantiles=5, to="normal")).fit(train, seed=0)
    # The normal's quartiles lie .6745 deviations from its middle; the ends stop at 3.0902.
    expected = [-3.09, -0.6745, 0, 0.6745, 3.09]
    assert _out(normal, train) == pytest.approx(expected, abs=1e-4)


def test_quantile_scale_puts_a_frequent_value_in_the_middle_of_its_ranks():
    # Of five quantiles three are 0: ranks 0, .25 and .5; the middle is .25.
    train = _column(0, 0, 0, 1, 2)
    scale = QuantileScale(QuantileScaleConfig(quantiles=5)).fit(train, seed=0)
    assert _out(scale, _column(0, 0.5, 1, 2)) == pytest.approx([0.25, 0.625, 0.75, 1])
    constant = QuantileScale(QuantileScaleConfig(quantiles=5)).fit(_column(7, 7), seed=0)
    assert _out(constant, _column(6, 7, 8)) == [0, 0.5, 1]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40),
       st.lists(st.floats(-2e6, 2e6, width=32), min_size=2, max_size=40))  # fmt: skip
def test_quantile_scale_keeps_the_order_of_values_and_stays_within_0_and_1(values, probe):
    scale = QuantileScale(QuantileScaleConfig(quantiles=7)).fit(_column(*values), seed=0)
    out = _out(scale, _column(*sorted(probe)))
    assert all(a <= b + 1e-6 for a, b in pairwise(out))
    assert min(out) >= 0
    assert max(out) <= 1
