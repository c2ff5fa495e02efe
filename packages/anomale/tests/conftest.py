"""Windows, networks and permutations small enough to think about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from netvigil.contracts import WindowGraphs
from netvigil.torch.generators import build, generator
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.network import Infomax

Graph = Callable[..., WindowGraphs]


@pytest.fixture(scope="session")
def graph() -> Graph:
    """Make windows of (source, destination) pairs; features are drawn, or given."""

    def make(
        *flows_of: Sequence[tuple[int, int]],
        x: Any = None,
        features: int = 3,
        seed: int = 0,
        nodes: Sequence[int] = (),
    ) -> WindowGraphs:
        sizes = [len(pairs) for pairs in flows_of]
        hosts = list(nodes) or [1 + max((max(p) for p in pairs), default=-1) for pairs in flows_of]
        every = [pair for pairs in flows_of for pair in pairs]
        drawn = np.random.default_rng(seed).standard_normal((len(every), features))
        x = np.ascontiguousarray(drawn if x is None else x, np.float32)
        return WindowGraphs(
            schema="flow-host",
            feature_names=tuple(f"x_{i}" for i in range(x.shape[1])),
            flow_id=np.arange(len(every), dtype=np.int64) * 3,
            flow_x=x,
            flow_ptr=np.cumsum([0, *sizes]).astype(np.int64),
            window_start=np.arange(len(sizes), dtype=np.int64),
            flow_src=np.array([u for u, _ in every], np.int32),
            flow_dst=np.array([v for _, v in every], np.int32),
            node_ptr=np.cumsum([0, *hosts]).astype(np.int64),
            node_key=np.arange(sum(hosts), dtype=np.uint64),
        )

    return make


@pytest.fixture(scope="session")
def infomax() -> Callable[..., Infomax]:
    """Make an initialised network."""

    def make(features: int = 3, *, seed: int = 0, **settings: Any) -> Infomax:
        config = AnomalEConfig(**{"hidden": 4, "embedding": 5, **settings})
        return build(lambda: Infomax(features, config), generator(seed), "cpu")

    return make


@pytest.fixture
def rng() -> torch.Generator:
    return generator(7)
