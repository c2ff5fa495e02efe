from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.parts import NoConfig
from netvigil_flowprep.transforms.l2_row import L2Row
from netvigil_flowprep.transforms.log1p import Log1p
from netvigil_flowprep.transforms.min_max import MinMax, MinMaxConfig
from netvigil_flowprep.transforms.robust_scale import RobustScale, RobustScaleConfig


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
    ):
        gaps, full = make().fit(with_gaps, seed=0), make().fit(_column(0, 1, 2, 3, 4), seed=0)
        probe = _column(2.5, np.nan)
        assert np.array_equal(_out(gaps, probe), _out(full, probe), equal_nan=True)
        assert np.isnan(_out(gaps, probe)[1])


def test_a_train_range_with_infinity_is_refused():
    with pytest.raises(ContractError, match="infinity"):
        MinMax(MinMaxConfig()).fit(_column(1, np.inf), seed=0)


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
    out = _out(Log1p(NoConfig()), _column(0, np.e - 1, 1 - np.e, 1e-20, np.nan))
    assert out[:4] == pytest.approx([0, 1, -1, 1e-20], rel=1e-6)
    assert np.isnan(out[4])


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
