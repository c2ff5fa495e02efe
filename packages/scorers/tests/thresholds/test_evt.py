from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.evt import EvtConfig, choose, fit_tail

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


def pareto(shape: float, scale: float, count: int, seed: int = 0):
    """Draw from a generalised Pareto distribution by inverting its distribution function."""
    u = np.random.default_rng(seed).random(count)
    return -scale * np.log(u) if shape == 0 else scale / shape * (u**-shape - 1)


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.3, 0.8])
@pytest.mark.parametrize("scale", [1e-6, 2.0, 1e9])
def test_the_fit_finds_a_known_tail(shape, scale):
    # The standard errors at 20,000 draws: about (1 + shape) / 141 and 1.5 scale / 141.
    tail = fit_tail(pareto(shape, scale, 20_000))
    assert tail.shape == pytest.approx(shape, abs=0.05)
    assert tail.scale == pytest.approx(scale, rel=0.05)


def test_the_fit_is_the_one_of_scipy():
    from scipy.stats import genpareto

    excess = pareto(0.2, 3.0, 2_000, seed=4)
    shape, _, scale = genpareto.fit(excess, floc=0)
    assert fit_tail(excess) == pytest.approx((shape, scale), rel=1e-3)


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy", "uniform"])
def test_the_risk_is_held_far_beyond_the_calibration_range(draw):
    rng = np.random.default_rng(1)
    calibration = Calibration(getattr(rng, draw)(size=20_000))
    cut = choose(EvtConfig(tail=0.05, risk=1e-4), calibration).value
    risk = (getattr(rng, draw)(size=1_000_000) > cut).mean()
    assert 2e-5 < risk < 5e-4


def test_too_few_or_equal_scores_fall_back_to_a_quantile_and_say_so():
    few = choose(EvtConfig(tail=0.1, risk=0.05), Calibration(np.arange(100.0)))
    assert few.value == 94.0
    assert "no tail could be fitted (only 10 scores in it, 30 needed)" in few.how
    equal = choose(EvtConfig(), Calibration(np.full(5_000, 3.0)))
    assert equal.value == 3.0
    assert "no tail" in equal.how
    two = np.repeat([0.0, 9.0], [5_000, 200])  # the whole tail is one value
    cut = choose(EvtConfig(tail=0.05, risk=0.01), Calibration(two))
    assert cut.value == 9.0
    assert "fit no generalised Pareto" in cut.how


def test_a_tail_names_itself():
    cut = choose(EvtConfig(), Calibration(np.random.default_rng(0).normal(size=10_000)))
    assert "generalised Pareto tail (shape" in cut.how


def test_a_risk_beyond_the_tail_is_refused():
    with pytest.raises(ValidationError, match="risk must be below tail"):
        EvtConfig(tail=0.01, risk=0.02)
