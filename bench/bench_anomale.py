"""Anomal-E's epochs and embeddings, against full tensors over every edge.

One graph of a million flows over 5,000 ordered host pairs, 52 features. Ours fits from
`WindowGraphs`, the making of its batch included; the baseline starts from tensors in memory and is
timed on 50,000 flows over the same pairs, for which its 256 numbers per edge fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.baselines import plain_anomale
from netvigil import parts, protocols
from netvigil.contracts import WindowGraphs
from netvigil.plugins import load_plugins
from netvigil.protocols import Watch
from netvigil.torch.training import Step, fit_network
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.corruption import Corruption, permute
from netvigil_anomale.edge_batch import EdgeBatch
from netvigil_anomale.learner import InfomaxLearner
from netvigil_anomale.network import Infomax
from netvigil_anomale.pair_batch import PairBatch

FEATURES = 52
FLOWS = 1_000_000
FEW = 50_000  # of the baseline
PAIRS = 5_000
HOSTS = 1_000
EPOCHS = 10


def one_window(flows: int) -> WindowGraphs:
    """Make one window; pairs differ in features, and some have many more flows than others."""
    rng = np.random.default_rng(0)
    code = rng.choice(HOSTS * HOSTS, PAIRS, replace=False)
    often = 1 / np.arange(1, PAIRS + 1) ** 0.7
    pair = rng.choice(PAIRS, flows, p=often / often.sum())
    own = rng.standard_normal((PAIRS, FEATURES), np.float32)
    x = rng.standard_normal((flows, FEATURES), np.float32)
    x += own[pair]
    return WindowGraphs(
        schema="flow-host",
        feature_names=tuple(f"x_{n}" for n in range(FEATURES)),
        flow_id=np.arange(flows),
        flow_x=x,
        flow_src=(code[pair] // HOSTS).astype(np.int32),
        flow_dst=(code[pair] % HOSTS).astype(np.int32),
        flow_ptr=np.array([0, flows]),
        node_ptr=np.array([0, HOSTS]),
        node_key=np.arange(HOSTS, dtype=np.uint64),
        window_start=np.zeros(1, np.int64),
    )


@pytest.fixture(scope="module")
def graphs() -> WindowGraphs:
    return one_window(FLOWS)


@pytest.fixture(scope="module")
def edges() -> plain_anomale.Edges:
    return plain_anomale.Edges.of(one_window(FEW))


@cache
def _part() -> parts.Encoder:
    return load_plugins().encoder("anomal-e")


def encoder(**settings: Any) -> protocols.Encoder:
    part = _part()
    made = {"epochs": EPOCHS, "patience": None, "device": "cpu", **settings}
    return part.make(part.config.model_validate(made))


def _fit(graphs: WindowGraphs, **settings: Any) -> Callable[[], int]:
    def once() -> int:
        encoder(**settings).fit([graphs], seed=0)
        return EPOCHS * len(graphs.flow_id)

    return once


def _train(
    edges: plain_anomale.Edges, *, own_edge: bool = False, epochs: int = 2
) -> Callable[[], int]:
    network = plain_anomale.Network(FEATURES, own_edge=own_edge)

    def once() -> int:
        plain_anomale.train(network, edges, epochs=epochs)
        return epochs * edges.flows

    return once


def bench_train(paired: Any, graphs: WindowGraphs, edges: plain_anomale.Edges) -> None:
    paired(_fit(graphs), _train(edges), name="Anomal-E epochs vs every edge", floor=50)


def bench_train_equal_sizes(paired: Any, edges: plain_anomale.Edges) -> None:
    """The same 50,000 flows on both sides."""
    paired(_fit(one_window(FEW)), _train(edges), name=f"Anomal-E epochs, {FEW:,} flows each")


def bench_train_own_edge(paired: Any, edges: plain_anomale.Edges) -> None:
    """With its own features in its embedding, no two flows are alike."""
    name = f"Anomal-E epochs with own_edge, {FEW:,} flows each"
    ours = _fit(one_window(FEW), own_edge=True)
    paired(ours, _train(edges, own_edge=True), name=name, floor=10)


@pytest.mark.parametrize("settings", [{"messages": "node-edge"}, {"layers": 2}], ids=str)
def bench_train_with(paired: Any, edges: plain_anomale.Edges, settings: dict[str, Any]) -> None:
    """Options that cost more, against the published network, which does less than they ask for."""
    name = f"Anomal-E epochs with {settings} vs every edge"
    paired(_fit(one_window(FEW), **settings), _train(edges), name=name, rounds=2)


def bench_embed(paired: Any, graphs: WindowGraphs, edges: plain_anomale.Edges) -> None:
    fitted = encoder(epochs=1).fit([graphs], seed=0)
    network = plain_anomale.Network(FEATURES)
    paired(
        lambda: len(fitted.encode(graphs)),
        lambda: len(plain_anomale.embed(network, edges)),
        name="Anomal-E embeddings vs every edge",
        floor=10,
    )


def bench_epochs_grow_with_flows(linear: Any) -> None:
    """A flow costs the same in a graph of 100,000 and of a million: 1.08 is 20 % per decade."""
    linear(lambda flows: _fit(one_window(flows)), [100_000, 300_000, 1_000_000], at_most=1.08)


class Recorder(InfomaxLearner):
    """Ours, but what it starts from and draws is kept, to be given to the baseline."""

    start: plain_anomale.Network
    drawn: list[Corruption]

    def batch(self, graphs: WindowGraphs, device: torch.device) -> EdgeBatch | PairBatch:
        self.start, self.drawn = _copied(self.network), []
        return super().batch(graphs, device)

    def losses(self, batch: EdgeBatch | PairBatch, step: Step) -> Mapping[str, Tensor]:
        self.drawn.append(permute(batch.slots, step.generator))
        return batch.losses(self.network, step.generator, self.drawn[-1])


def _copied(ours: Infomax) -> plain_anomale.Network:
    theirs = plain_anomale.Network(ours.sage.features, own_edge=ours.sage.own_edge)
    gather = ours.sage.gathers[0]
    theirs.apply_node.load_state_dict(gather.update.state_dict())
    theirs.edge.load_state_dict(ours.sage.edge.state_dict())
    theirs.discriminator.data.copy_(ours.discriminator.weight)
    return theirs


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order, and no waiting for a second core in steps as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("own_edge", [False, True])
@pytest.mark.parametrize("form", ["plain", "pairs"])
def test_same_loss_curve_as_every_edge(form: str, *, own_edge: bool) -> None:
    """Equal weights and permutations give equal losses in every one of 20 epochs.

    Pairs must differ for that: on plain noise gradients are rounding, and Adam steps by their sign.
    """
    graphs = one_window(3_000)
    settings = {"epochs": 20, "patience": None, "device": "cpu", "form": form}
    config = AnomalEConfig.model_validate({**settings, "own_edge": own_edge})
    learner, trained = fit_network(
        lambda device, rng: Recorder(FEATURES, config, device, rng),
        [graphs],
        config,
        seed=1,
        watch=Watch(),
        name="anomal-e",
    )
    edges = plain_anomale.Edges.of(graphs)
    by_host = torch.argsort(edges.dst, stable=True)  # a slot is an edge's place at its host

    def permutation(epoch: int) -> Tensor:
        given = torch.empty_like(by_host)
        given[by_host] = learner.drawn[epoch].row  # flows are the first of the edges
        return given

    curve = plain_anomale.train(learner.start, edges, epochs=20, permutation=permutation)
    ours = [epoch["train"]["total"] for epoch in trained.history]
    assert max(ours) - min(ours) > 0.01, "a flat curve compares nothing"
    np.testing.assert_allclose(ours, curve, rtol=1e-4)
