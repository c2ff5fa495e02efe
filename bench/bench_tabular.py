"""The autoencoder's training and scoring, beside PyTorch's own loader and a call of a module.

52 features, what the readers give of a flow after one-hot coding, and the published 64-32-16
network. Ours fits from `WindowGraphs`, with everything a fit does but holding flows out; the
baseline starts from a tensor in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from bench.baselines import row_loader
from netvigil import parts, protocols
from netvigil.contracts import WindowGraphs
from netvigil.plugins import load_plugins

FEATURES, HIDDEN, CODE = 52, [64, 32], 16
WIDTHS = [FEATURES, *HIDDEN, CODE, *HIDDEN[::-1], FEATURES]
TRAIN, FEW = 25_000, 10_000  # rows of ours and of the baseline
SCORED = 400_000
BATCH = 256


def window(flows: int, *, seed: int = 0) -> WindowGraphs:
    """Make one window of flows whose features rest on eight factors."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((flows, 8), np.float32) @ rng.standard_normal((8, FEATURES), np.float32)
    x += 0.3 * rng.standard_normal((flows, FEATURES), np.float32)
    return WindowGraphs(
        schema="flows-only",
        feature_names=tuple(f"x_{n}" for n in range(FEATURES)),
        flow_id=np.arange(flows),
        flow_x=x,
        flow_src=np.empty(0, np.int32),
        flow_dst=np.empty(0, np.int32),
        flow_ptr=np.array([0, flows]),
        node_ptr=np.zeros(2, np.int64),
        node_key=np.empty(0, np.uint64),
        window_start=np.zeros(1, np.int64),
    )


@cache
def _part(name: str) -> parts.Encoder:
    return load_plugins().encoder(name)


def encoder(name: str = "autoencoder", **settings: Any) -> protocols.Encoder:
    part = _part(name)
    made = {"hidden": HIDDEN, "bottleneck": CODE, "device": "cpu", "patience": None, **settings}
    return part.make(part.config.model_validate(made))


def _fit(graphs: WindowGraphs, epochs: int = 6, **settings: Any) -> Callable[[], int]:
    def once() -> int:
        made = encoder(epochs=epochs, validation=0.0, **settings)
        made.fit([graphs], seed=0)
        return epochs * len(graphs.flow_id)

    return once


@pytest.mark.parametrize("batch", [BATCH, 64])
def bench_train(paired: Any, batch: int) -> None:
    graphs, few = window(TRAIN), torch.from_numpy(window(FEW).flow_x)
    network = row_loader.network(WIDTHS)

    def loader() -> int:
        row_loader.train(network, few, batch=batch, epochs=1)
        return FEW

    name = f"autoencoder epochs vs DataLoader, {batch} rows a step"
    ours = _fit(graphs, batch=batch)
    paired(ours, loader, name=name, floor=5 if batch == BATCH else None, unit="rows/s")


def bench_score(paired: Any) -> None:
    """Codes and all three default terms, against the bare error of one call."""
    graphs = window(SCORED)
    x, network = torch.from_numpy(graphs.flow_x), row_loader.network(WIDTHS)
    fitted = encoder(epochs=1).fit([window(FEW)], seed=0)
    paired(
        lambda: len(fitted.encode(graphs)),
        lambda: len(row_loader.score(network, x)),
        name="autoencoder scores vs one call of the module",
        unit="rows/s",
    )
