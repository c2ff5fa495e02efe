"""`alerts-per-day`: flag as many flows a day as somebody can look at."""

from __future__ import annotations

import math

from pydantic import Field

from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.parts import PartConfig
from netvigil.protocols import Calibration, Promise
from netvigil_scorers.thresholds.ruled import Cut, counted, cut_above_which

DAY_S = 86_400


class AlertsPerDayConfig(PartConfig):
    """Settings of `alerts-per-day`."""

    alerts: float = Field(
        100.0, gt=0, description="Alerts a day, at most, on traffic like the calibration range."
    )


def promise(config: AlertsPerDayConfig) -> Promise:
    """Promise a number of alerts a day."""
    return Promise("alerts-per-day", config.alerts)


def choose(config: AlertsPerDayConfig, calibration: Calibration) -> Cut:
    """Cut so that the calibration range gives at most its part of a day's alerts.

    Raises:
        IncompatiblePartsError: If the source has no clock.
        ContractError: If the calibration range lasts no time.
    """
    duration = calibration.duration_s
    if duration is None:
        msg = "Threshold 'alerts-per-day' needs a source with a clock."
        do = "Use 'quantile' or 'target-fpr', which count flows instead."
        raise IncompatiblePartsError(
            msg, where="This source gives flows in row order, without times.", do=do
        )
    if not (math.isfinite(duration) and duration > 0):
        msg = f"The calibration range lasts {duration} s."
        raise ContractError(msg, do="Give the calibration range a larger share.")
    scores = calibration.score
    most = math.floor(config.alerts * duration / DAY_S)
    cut = cut_above_which(scores, most)
    how = (
        f"At most {config.alerts:.6g} alerts a day on {duration:,.0f} s of unlabelled calibration "
        f"traffic: {counted(scores, cut)}"
    )
    if not most:
        how += "; the range is too short for one alert, so the cut is its highest score"
    return Cut(cut, f"{how}.")
