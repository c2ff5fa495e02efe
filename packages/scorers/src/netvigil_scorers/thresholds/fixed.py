"""`fixed`: a cut that somebody chose. It looks at nothing; an empty calibration range is fine."""

from __future__ import annotations

from pydantic import Field

from netvigil.parts import PartConfig
from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.ruled import Cut


class FixedConfig(PartConfig):
    """Settings of `fixed`."""

    value: float = Field(allow_inf_nan=False, description="Scores above it are alerts.")


def choose(config: FixedConfig, calibration: Calibration) -> Cut:
    """Take the value."""
    del calibration
    return Cut(config.value, f"Fixed at {config.value:.6g}, not set on any data.")
