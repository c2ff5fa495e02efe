"""The gates, tested with real work in real processes: what they stop, and what they let through.

`netvigil bench compare` on a plugin that becomes worse on request, and the ratios of this folder.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.slow_cases import PACKAGE, installed
from netvigil.bench.gate import Compared, Outcome, Plan, compare
from netvigil.bench.machine import cpus
from netvigil.bench.sides import Side

FLOWS = 1000
ROUNDS = 10
BLOCK = bytes(1 << 16)


def _work(repeats: int) -> Callable[[], int]:
    def once() -> int:
        for _ in range(repeats):
            hashlib.sha256(BLOCK).digest()
        return FLOWS

    return once


def bench_equal_work_passes(paired: Callable[..., Any]) -> None:
    paired(_work(400), _work(400), name="gate: A/A", floor=1.0, rounds=ROUNDS)


def bench_a_slowdown_of_30_percent_fails(paired: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="floor 1x"):
        paired(_work(520), _work(400), name="gate: +30 %, must be below", floor=1.0, rounds=ROUNDS)


def _compared(folder: Path, *, worse: str, cases: tuple[str, ...], **plan: Any) -> Outcome:
    path = {"PYTHONPATH": str(installed(folder))}
    base = Side("base", Path(sys.executable), variables=path)
    head = Side("head", Path(sys.executable), variables={**path, "WORSE": worse})
    held = Plan(packages=(PACKAGE,), cases=cases, seconds=0.1, cpu=cpus()[-1], **plan)
    return compare(base, head, held)


def _one(outcome: Outcome) -> Compared:
    (case,) = outcome.cases
    return case


def test_twenty_equal_cases_pass(tmp_path: Path) -> None:
    cases = tuple(f"hashing-{number}" for number in range(20))
    outcome = _compared(tmp_path / "plugin", worse="", cases=cases, rounds=6, within_s=0)
    assert len(outcome.cases) == 20
    assert not outcome.failed, [case.reasons for case in outcome.cases]


def test_a_slowdown_of_30_percent_is_stopped(tmp_path: Path) -> None:
    case = _one(_compared(tmp_path / "plugin", worse="time", cases=("hashing-0",)))
    assert case.facts
    assert case.facts.verdict == "slower"
    assert 1.2 < case.facts.change.ratio < 1.4


def test_a_quadratic_step_is_stopped(tmp_path: Path) -> None:
    case = _one(_compared(tmp_path / "plugin", worse="growth", cases=("growing",), rounds=2))
    assert any(reason.startswith("grows") for reason in case.reasons), case


def test_a_doubled_peak_is_stopped(tmp_path: Path) -> None:
    case = _one(_compared(tmp_path / "plugin", worse="memory", cases=("holding",), rounds=2))
    assert any(reason.startswith("heavier") for reason in case.reasons), case


def test_a_list_per_flow_is_stopped(tmp_path: Path) -> None:
    case = _one(_compared(tmp_path / "plugin", worse="objects", cases=("listing",), rounds=2))
    assert any(reason.startswith("Python objects") for reason in case.reasons), case


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="counted by valgrind")
def test_more_instructions_are_stopped(tmp_path: Path) -> None:
    plan = {"rounds": 2, "within_s": 0, "instructions": True}
    case = _one(_compared(tmp_path / "plugin", worse="time", cases=("hashing-0",), **plan))
    assert case.facts
    base, head = case.facts.instructions
    assert 1.25 < head / base < 1.35
    assert any(reason.startswith("instructions: 1.3") for reason in case.reasons), case
