"""The gate, tested with real work: equal work passes, work that takes 30 % longer does not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

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
