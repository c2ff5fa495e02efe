from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from netvigil.protocols import Calibration
from netvigil_scorers.plugin import netvigil_thresholds
from netvigil_scorers.thresholds.fixed import FixedConfig


def test_it_needs_no_calibration_flows():
    part = next(part for part in netvigil_thresholds() if part.name == "fixed")
    threshold = part.make(part.config(value=1.25)).fit(Calibration(np.empty(0)), seed=0)
    assert threshold.cut_ == 1.25
    assert "not set on any data" in threshold.provenance()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_cut_is_finite(value):
    with pytest.raises(ValidationError):
        FixedConfig(value=value)
