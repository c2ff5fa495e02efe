from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.alerts_per_day import AlertsPerDayConfig, choose

SCORES = np.arange(1_000.0)


def test_by_hand():
    # 48 alerts a day are 2 an hour.
    cut = choose(AlertsPerDayConfig(alerts=48), Calibration(SCORES, duration_s=3_600.0))
    assert cut.value == 997.0
    assert "2 of 1,000" in cut.how


@given(
    scores=st.lists(st.integers(0, 9).map(float), min_size=1, max_size=200).map(np.array),
    alerts=st.floats(0.01, 1e6),
    duration=st.floats(0.1, 1e6),
)
def test_ties_never_flag_more_than_asked(scores, alerts, duration):
    config = AlertsPerDayConfig(alerts=alerts)
    cut = choose(config, Calibration(scores, duration_s=duration)).value
    assert (scores > cut).sum() <= alerts * duration / 86_400


def test_a_range_too_short_for_one_alert_is_said():
    cut = choose(AlertsPerDayConfig(alerts=10), Calibration(SCORES, duration_s=60.0))
    assert cut.value == SCORES.max()
    assert "too short" in cut.how


def test_a_source_without_a_clock_is_refused():
    with pytest.raises(IncompatiblePartsError, match="clock"):
        choose(AlertsPerDayConfig(), Calibration(SCORES))


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan")])
def test_a_range_without_time_is_refused(duration):
    with pytest.raises(ContractError, match="lasts"):
        choose(AlertsPerDayConfig(), Calibration(SCORES, duration_s=duration))
