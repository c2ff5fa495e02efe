"""Micro-benchmarks of CGGM, for `netvigil bench` and `bench/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from netvigil.contracts import LabelTable
from netvigil.testing.synthetic.windows import windows
from netvigil.torch.device import settle
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.generator import Cggm
from netvigil_cggm.snapshots import Snapshots, most_active, take_snapshots

WINDOW_FLOWS, HOSTS, FEATURES = 18_000, 49, 40
STEPS = 20


@dataclass(frozen=True)
class SnapshotBenchmark:
    """Takes snapshots, the dictionary of addresses included."""

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return windows of about `flows` flows together, and labels."""
        size = min(WINDOW_FLOWS, flows)
        count = 2 + max(1, round(flows / size))
        graphs = windows(count, seed=seed, flows=size, nodes=HOSTS, features=FEATURES)
        code = np.arange(len(graphs.flow_id)) % 10
        names = pa.array(np.array([f"attack {number}" for number in range(10)])[code])
        return graphs, LabelTable.of(graphs.flow_id, code > 7, names)

    def run(self, prepared: Any) -> int:
        """Take them once."""
        graphs, labels = prepared
        take_snapshots(graphs, labels, most_active(graphs, HOSTS))
        return len(graphs.flow_id)


@dataclass(frozen=True)
class TrainBenchmark:
    """Trains for a few steps, initial weights included."""

    device: str = "cpu"

    def setup(self, flows: int, *, seed: int) -> Any:
        """Return snapshots, each of which stands for `WINDOW_FLOWS` flows."""
        return random_snapshots(max(flows // WINDOW_FLOWS, 16), seed=seed), seed

    def run(self, prepared: Any) -> int:
        """Train on them; returns how many graphs all steps saw."""
        snapshots, seed = prepared
        config = CggmConfig(steps=STEPS, device=self.device)
        Cggm(config).fit_snapshots(snapshots, seed=seed)
        settle(self.device)
        return STEPS * config.batch


def random_snapshots(
    count: int, *, nodes: int = HOSTS, features: int = FEATURES, seed: int = 0
) -> Snapshots:
    """Make snapshots of no meaning in the shape of real ones."""
    rng = np.random.default_rng(seed)
    links = rng.random((count, nodes, nodes)) < 0.14
    links[:, np.arange(nodes), np.arange(nodes)] = False
    return Snapshots(
        keys=np.arange(1, nodes + 1, dtype=np.uint64),
        classes=("normal", *(f"attack {number}" for number in range(9))),
        feature_names=tuple(f"x_{number}" for number in range(features)),
        x=rng.random((count, nodes, features), np.float32),
        links=links,
        label=rng.integers(0, 10, (count, nodes)),
        active=np.ones((count, nodes), np.bool_),
        flows=np.ones((count, nodes), np.int64),
        window=np.arange(count),
    )
