"""Peak memory of training, in a fresh process, on windows that lie in memory-mapped files.

uv run pytest bench/bench_torch_memory.py --benchmark-only
uv run pytest bench/bench_torch_memory.py --benchmark-only --rows 10000000
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netvigil.contracts import WindowGraphs
from netvigil.plugins import load_plugins
from netvigil.testing.synthetic.windows import windows
from netvigil.windows import SpooledWindows

BUDGET_MB = 2_000  # what a laptop has to spare, whatever the length of the capture
FEATURES = 52
EPOCHS = 2
BLOCK = 100_000  # flows made at once
HOSTS = 400
PAIRS = 5_000


def spool(folder: str, rows: int, shape: str) -> int:
    """Write `rows` flows as windows of 4,500 flows, or as one window of the whole range."""
    made = _windows(rows) if shape == "windows" else _whole(rows, Path(folder))
    spooled = SpooledWindows.write(made, Path(folder))
    assert spooled is not None
    return spooled.flows


def _windows(rows: int) -> Iterator[WindowGraphs]:
    per_block = BLOCK // 4_500
    first = 0
    while first < rows:
        graphs = windows(per_block, seed=first, flows=4_500, nodes=60, features=FEATURES)
        ids = np.arange(first, first + len(graphs.flow_id))
        yield replace(graphs, flow_id=ids)
        first += len(ids)


def _whole(rows: int, folder: Path) -> Iterator[WindowGraphs]:
    """Make one window that holds everything; its features are mapped, never whole in memory."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    x = np.memmap(folder / "made", np.float32, "w+", shape=(rows, FEATURES))
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        x[first : first + count] = rng.standard_normal((count, FEATURES), np.float32)
    pairs = rng.integers(HOSTS, size=(2, PAIRS), dtype=np.int32)
    chosen = rng.integers(PAIRS, size=rows)
    yield WindowGraphs.trusted(
        schema="flow-host",
        feature_names=tuple(f"x_{n}" for n in range(FEATURES)),
        flow_id=np.arange(rows),
        flow_x=x,
        flow_src=pairs[0][chosen],
        flow_dst=pairs[1][chosen],
        flow_ptr=np.array([0, rows]),
        node_ptr=np.array([0, HOSTS]),
        node_key=np.arange(HOSTS, dtype=np.uint64),
        window_start=np.zeros(1, np.int64),
    )


def train(folder: str, method: str) -> int:
    """Train a method for some epochs; module-level, so that a fresh interpreter can run it."""
    part = load_plugins().encoder(method)
    spooled = SpooledWindows.open(Path(folder))
    config = part.config.model_validate({"epochs": EPOCHS, "patience": None, "device": "cpu"})
    part.make(config).fit(spooled, seed=0)
    return EPOCHS * spooled.flows


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("method", "shape"), [("autographad", "windows"), ("anomal-e", "whole")])
def bench_memory_of_training(
    fresh: Any, benchmark: Any, request: Any, tmp_path: Path, method: str, shape: str
) -> None:
    """Peak memory of a fresh process stays within the budget, whatever the number of flows."""
    rows = request.config.getoption("--rows")
    fresh(spool, str(tmp_path / "windows"), rows, shape)
    found = []
    benchmark.pedantic(
        lambda: found.append(fresh(train, str(tmp_path / "windows"), method)), rounds=1
    )
    benchmark.extra_info.update(
        rows=rows, flows_per_s=found[0].flows / found[0].seconds, peak_mb=found[0].peak_mb
    )
    assert found[0].peak_mb < BUDGET_MB, found
