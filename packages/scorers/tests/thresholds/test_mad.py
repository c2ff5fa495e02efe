from __future__ import annotations

import numpy as np
import pytest

from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.mad import MadConfig, choose


def test_by_hand():
    # Median 3, deviations 2 1 0 1 97: their median is 1.
    cut = choose(MadConfig(factor=2.0), Calibration(np.array([1.0, 2, 3, 4, 100])))
    assert cut.value == pytest.approx(3 + 2 * 1.4826022)


def test_a_normal_distribution_gives_its_deviation():
    scores = np.random.default_rng(0).normal(5, 2, 100_000)
    assert choose(MadConfig(factor=3.0), Calibration(scores)).value == pytest.approx(11, abs=0.1)


def test_where_half_the_scores_are_equal_the_mean_deviation_counts():
    cut = choose(MadConfig(factor=1.0), Calibration(np.array([0.0, 0, 0, 0, 8])))
    assert cut.value == pytest.approx(1.6 * 1.2533141)
    assert "over half of the scores are equal" in cut.how


def test_equal_scores_flag_nothing():
    scores = np.full(10, -3.0)
    assert choose(MadConfig(), Calibration(scores)).value == -3.0
