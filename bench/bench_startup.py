"""What a command costs before it has anything to do, beside a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NETVIGIL = Path(sys.executable).with_name("netvigil")


def _start(*command: str | Path) -> Callable[[], int]:
    def once() -> int:
        subprocess.run(command, check=True, capture_output=True)
        return 1

    return once


@pytest.mark.parametrize(
    ("arguments", "floor"),
    [(["--help"], 0.1), (["plugins", "list"], None)],  # 0.1: 0.3 s beside a bare 0.03 s
    ids=["help", "plugins"],
)
def bench_start(paired: Callable[..., Any], arguments: list[str], floor: float | None) -> None:
    paired(
        _start(NETVIGIL, *arguments),
        _start(sys.executable, "-c", "pass"),
        name=f"netvigil {' '.join(arguments)} vs python -c pass",
        floor=floor,
        rounds=6,
        unit="starts/s",
    )
