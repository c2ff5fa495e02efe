from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.quantile import QuantileConfig, choose


def test_by_hand():
    cut = choose(QuantileConfig(keep=0.3), Calibration(np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6, 0])))
    assert cut.value == 6.0  # 7, 8 and 9 lie above
    assert "3 of 10" in cut.how


@given(
    scores=st.lists(st.integers(0, 5).map(float), min_size=1, max_size=200).map(np.array),
    keep=st.floats(1e-6, 0.999),
)
def test_ties_never_flag_more_than_asked(scores, keep):
    cut = choose(QuantileConfig(keep=keep), Calibration(scores)).value
    assert (scores > cut).sum() <= keep * len(scores) + 1e-9


def test_equal_scores_flag_nothing():
    scores = np.full(1_000, 2.0)
    assert not (scores > choose(QuantileConfig(), Calibration(scores)).value).any()


@pytest.mark.parametrize("keep", [0, 1, -0.1, float("nan")])
def test_shares_outside_are_refused(keep):
    with pytest.raises(ValidationError):
        QuantileConfig(keep=keep)
