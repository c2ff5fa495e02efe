"""A small learner, and windows for it: an autoencoder of flow features that sees noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netvigil.contracts import WindowGraphs
from netvigil.protocols import Watch
from netvigil.torch.generators import build
from netvigil.torch.graphs import GraphBatch
from netvigil.torch.learners import Step
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.training import Trained, fit_network

FEATURES = 3


def windows(sizes: list[int], *, seed: int = 0, hosts: int = 4, node_x: bool = False):
    """Windows of the given numbers of flows between `hosts` hosts each (none in empty ones)."""
    rng = np.random.default_rng(seed)
    flows = sum(sizes)
    nodes = [hosts if size else 0 for size in sizes]
    return WindowGraphs(
        schema="flow-host",
        feature_names=tuple(f"x_{i}" for i in range(FEATURES)),
        flow_id=np.arange(100, 100 + flows),
        flow_x=rng.normal(0, 1, (flows, FEATURES)).astype(np.float32),
        flow_ptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        window_start=np.arange(len(sizes), dtype=np.int64) * 60_000_000,
        flow_src=rng.integers(0, hosts, flows).astype(np.int32),
        flow_dst=rng.integers(0, hosts, flows).astype(np.int32),
        node_ptr=np.concatenate([[0], np.cumsum(nodes)]).astype(np.int64),
        node_key=rng.integers(0, 2**63, sum(nodes)).astype(np.uint64),
        node_x=rng.normal(0, 1, (sum(nodes), 2)).astype(np.float32) if node_x else None,
    )


class Narrow(nn.Module):
    """Linear down, linear up."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(FEATURES, 2), nn.Linear(2, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(torch.tanh(self.down(x)))


@dataclass
class Autoencoder:
    """Reconstructs noisy features; `edit` may change the losses, `seen` notes every step."""

    network: nn.Module
    edit: Callable[[dict[str, Tensor], GraphBatch, Step], Mapping[str, Tensor]] | None = None
    seen: list[tuple[int, bool, int, int]] = field(default_factory=list)
    built: list[int] = field(default_factory=list)

    def batch(self, graphs: WindowGraphs, device: torch.device) -> GraphBatch:
        self.built.append(len(graphs.flow_id))
        return GraphBatch.of(graphs, device)

    def losses(self, batch: GraphBatch, step: Step) -> Mapping[str, Tensor]:
        self.seen.append((step.epoch, step.training, step.number, batch.flows))
        noise = torch.randn(batch.x.shape, generator=step.generator, device=batch.x.device)
        feature = (self.network(batch.x + 0.1 * noise) - batch.x).square().mean()
        weight = sum(p.square().sum() for p in self.network.parameters())
        losses = {"total": feature + 1e-4 * weight, "feature": feature}
        return losses if self.edit is None else self.edit(losses, batch, step)


@dataclass
class Log:
    """Keeps what a fit reports."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    flows: int = 0

    def watch(self, checkpoints=None) -> Watch:
        return Watch(self._advance, self.write, checkpoints)

    def _advance(self, flows: int) -> None:
        self.flows += flows

    def write(self, **values: Any) -> None:
        self.lines.append(values)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


def fit(
    stream: Any, *, watch: Watch | None = None, seed: int = 0, edit: Any = None, **settings: Any
) -> tuple[Autoencoder, Trained]:
    """Fit the autoencoder on the CPU."""
    config = TrainingConfig(**{"epochs": 6, "device": "cpu", "batch": 16, **settings})
    return fit_network(
        lambda device, rng: Autoencoder(build(Narrow, rng, device), edit),
        stream,
        config,
        seed=seed,
        watch=watch or Watch(),
        name="narrow",
    )


def weights(learner: Autoencoder) -> dict[str, np.ndarray]:
    return {name: t.numpy().copy() for name, t in learner.network.state_dict().items()}


def same_bits(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    assert left.keys() == right.keys()
    return all(left[name].tobytes() == right[name].tobytes() for name in left)
