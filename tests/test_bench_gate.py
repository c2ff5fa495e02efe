"""The gate of `bench/` on simulated clocks: what it lets through, what it stops, at which rate."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

WAVER = 0.05  # standard deviation of one log time; hosted machines waver by 0.3 to 10 %
TRIALS = 300


@pytest.fixture(scope="module")
def gate(root: Path) -> ModuleType:
    """Load `bench/conftest.py` as a module, without letting it limit this process' threads."""
    spec = importlib.util.spec_from_file_location("bench_conftest", root / "bench" / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = dict(os.environ)
    try:
        spec.loader.exec_module(module)
    finally:
        os.environ.clear()
        os.environ.update(before)
        del sys.modules[spec.name]
    return module


def _stopped(gate: ModuleType, *, slowdown: float, pairs: int = 10) -> float:
    """Return the share of simulated benchmarks that the gate stops at a floor of 1."""
    rng = np.random.default_rng(7)
    stopped = 0
    for _ in range(TRIALS):
        ours, base = np.exp(rng.normal(0, WAVER, size=(2, pairs)))
        measured = [
            (gate.Timed(1000, a * slowdown), gate.Timed(1000, b))
            for a, b in zip(ours, base, strict=True)
        ]
        stopped += gate.judge(measured, name="simulated").below(1.0)
    return stopped / TRIALS


def test_equal_speed_passes(gate: ModuleType) -> None:
    assert _stopped(gate, slowdown=1.0) < 0.01


def test_a_slowdown_of_30_percent_is_stopped(gate: ModuleType) -> None:
    assert _stopped(gate, slowdown=1.3) > 0.99


def test_rates_are_compared_not_times(gate: ModuleType) -> None:
    pairs = [(gate.Timed(1_000_000, 2.0), gate.Timed(1000, 1.0))] * 4
    found = gate.judge(pairs, name="more flows", floor=400)
    assert found.ratio == pytest.approx(500)
    assert (found.low, found.high) == pytest.approx((500, 500))
    assert found.rate == pytest.approx(500_000)
    found.at_least(400)
    with pytest.raises(gate.BelowFloorError, match="floor 600x"):
        found.at_least(600)


def test_a_miss_within_noise_passes_and_beyond_it_fails(gate: ModuleType) -> None:
    pairs = [(gate.Timed(1000, 1.05), gate.Timed(1000, 1.0))] * 4
    gate.judge(pairs, name="5 % slower").at_least(1.0)
    pairs = [(gate.Timed(1000, 1.2), gate.Timed(1000, 1.0))] * 4
    with pytest.raises(gate.BelowFloorError):
        gate.judge(pairs, name="20 % slower").at_least(1.0)


def test_a_wide_interval_does_not_fail(gate: ModuleType) -> None:
    slow_and_fast = [(gate.Timed(10, s), gate.Timed(10, 1.0)) for s in (1.6, 1.3, 0.9, 1.5)]
    gate.judge(slow_and_fast, name="unsure").at_least(1.0)


def test_pairs_alternate_so_that_drift_cancels(gate: ModuleType) -> None:
    order: list[str] = []

    def work(name: str) -> int:
        order.append(name)
        return 1

    gate.pair(lambda: work("a"), lambda: work("b"), pairs=4)
    assert "".join(order) == "abbaabba"


def test_work_that_handles_nothing_is_refused(gate: ModuleType) -> None:
    with pytest.raises(ValueError, match="how many flows"):
        gate.timed(lambda: 0)


def test_peak_growth_sees_an_allocation(gate: ModuleType) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs the high-water mark that only Linux keeps")

    def allocate() -> int:
        return len(np.ones(16_000_000))  # 128 MB, far more than pages freed before can serve

    assert 90 < gate.peak_growth_mb(allocate) < 170
