"""The algebraic form equals the plain one, and both the method as written down edge by edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.testing.synthetic.windows import windows as synthetic
from netvigil.torch.generators import generator
from netvigil_anomale.corruption import permute
from netvigil_anomale.edge_batch import EdgeBatch
from netvigil_anomale.network import Infomax
from netvigil_anomale.pair_batch import PairBatch

VARIANTS = [
    pytest.param(direction, layers, messages, own, id=f"{direction}-{layers}-{messages}-{own}")
    for direction in ("both", "in", "out")
    for layers in (1, 2, 3)
    for messages in ("edge", "node-edge")
    for own in (False, True)
]


def gradients(network: Infomax, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters)
    return dict(zip(names, found, strict=True))


def odd_windows() -> WindowGraphs:
    """A lone self-loop, an empty window, ordinary ones."""
    return synthetic(5, seed=3, flows=40, nodes=9, features=6)


@pytest.mark.parametrize(("direction", "layers", "messages", "own_edge"), VARIANTS)
def test_values_and_gradients_are_equal(
    infomax: Any, direction: Any, layers: int, messages: str, own_edge: bool
) -> None:
    graphs = odd_windows()
    settings = {"layers": layers, "messages": messages, "own_edge": own_edge}
    network = infomax(6, hidden=16, embedding=12, **settings)
    plain = EdgeBatch.of(graphs, direction)
    pairs = PairBatch.of(graphs, direction, own_edge=own_edge)
    assert plain.slots.degree.tolist() == pairs.slots.degree.tolist()
    drawn = permute(plain.slots, generator(9))
    losses = [batch.losses(network, generator(0), drawn) for batch in (plain, pairs)]
    for term in ("clean", "corrupted", "total"):
        torch.testing.assert_close(losses[0][term], losses[1][term], rtol=1e-5, atol=1e-6)
    by_plain, by_pairs = (gradients(network, loss["total"]) for loss in losses)
    for name, gradient in by_plain.items():
        scale = max(gradient.abs().max().item(), 1e-3)
        assert (gradient - by_pairs[name]).abs().max().item() <= 1e-5 * scale, name


@pytest.mark.parametrize("direction", ["both", "in", "out"])
def test_own_edge_in_one_window(infomax: Any, direction: Any) -> None:
    graphs = odd_windows()[2:3]
    network = infomax(6, own_edge=True)
    plain, pairs = EdgeBatch.of(graphs, direction), PairBatch.of(graphs, direction, own_edge=True)
    one, other = (b.losses(network, generator(6))["total"] for b in (plain, pairs))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=0)


def test_one_window_of_many_flows_and_pieces(infomax: Any) -> None:
    graphs = synthetic(4, seed=1, flows=900, nodes=30, features=6)[2:3]
    network = infomax(6, hidden=16, embedding=12)
    plain, pairs = EdgeBatch.of(graphs, "both"), PairBatch.of(graphs, "both", block=100)
    drawn = permute(plain.slots, generator(2))
    one = plain.losses(network, generator(0), drawn)["total"]
    other = pairs.losses(network, generator(0), drawn)["total"]
    torch.testing.assert_close(one, other, rtol=1e-5, atol=0)
    # Drawing for itself, piece by piece, it expects the same loss: 40 draws of each agree.
    rng = generator(3)
    by_draw = [
        torch.stack([batch.losses(network, rng)["corrupted"].detach() for _ in range(40)])
        for batch in (plain, pairs)
    ]
    error = (by_draw[0].var() / 40 + by_draw[1].var() / 40).sqrt()
    assert (by_draw[0].mean() - by_draw[1].mean()).abs() < 4 * error + 1e-6


def test_the_method_as_written_down(graph: Any, infomax: Any) -> None:
    windows = graph([(0, 1), (1, 2), (0, 1)], [(0, 0), (1, 0)], seed=5)
    network = infomax()
    batch = EdgeBatch.of(windows, "in")
    drawn = permute(batch.slots, generator(1))
    x = torch.from_numpy(windows.flow_x)
    src, dst = windows.node_rows()
    shuffled = np.empty(5, int)
    shuffled[np.argsort(dst, kind="stable")] = drawn.row.numpy()
    update, edge = network.sage.gathers[0].update, network.sage.edge

    def embed(e: Tensor) -> list[Tensor]:
        h = []
        for v in range(5):
            mine = [e[i] for i in range(5) if dst[i] == v]
            mean = torch.stack(mine).mean(0) if mine else torch.zeros(3)
            h.append(torch.relu(update(torch.cat([torch.ones(3), mean]))))
        return [edge(torch.cat([h[src[i]], h[dst[i]]])) for i in range(5)]

    clean, corrupted = embed(x), embed(x[shuffled])
    loss = torch.zeros(())
    weight = network.discriminator.weight
    for flows in ((0, 1, 2), (3, 4)):
        summary = torch.sigmoid(torch.stack([clean[i] for i in flows]).mean(0))
        for i in flows:
            loss = loss - torch.log(torch.sigmoid(clean[i] @ weight @ summary)) / 5
            loss = loss - torch.log(1 - torch.sigmoid(corrupted[i] @ weight @ summary)) / 5
    for found in (batch, PairBatch.of(windows, "in")):
        total = found.losses(network, generator(0), drawn)["total"]
        assert total.item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("form", [EdgeBatch, PairBatch])
def test_gradients_by_finite_differences(graph: Any, infomax: Any, form: Any) -> None:
    windows = graph([(0, 1), (1, 2), (0, 1), (2, 2)], seed=2)
    network = infomax(layers=2, seed=3)
    batch = form.of(windows, "both")
    drawn = permute(batch.slots, generator(0))
    found = gradients(network, batch.losses(network, generator(0), drawn)["total"])
    step = 1e-2  # float32 losses: rounding 1e-7 / 1e-2 stays below curvature
    for name, parameter in network.named_parameters():
        flat, gradient = parameter.data.view(-1), found[name].view(-1)
        for place in range(0, len(flat), max(1, len(flat) // 5)):
            values = []
            for sign in (1, -1):
                flat[place] += sign * step
                with torch.no_grad():
                    values.append(batch.losses(network, generator(0), drawn)["total"].item())
                flat[place] -= sign * step
            slope = (values[0] - values[1]) / (2 * step)
            assert slope == pytest.approx(gradient[place].item(), abs=3e-3), (name, place)


@pytest.mark.parametrize("form", [EdgeBatch, PairBatch])
def test_the_loss_starts_near_two_ln_two(form: Any, infomax: Any) -> None:
    # Clean and corrupted logits are alike at first, and softplus(-l) + softplus(l) >= 2 ln 2.
    graphs = synthetic(4, seed=0, flows=200, nodes=20, features=6)
    batch = form.of(graphs, "both")
    for seed in range(4):
        network = infomax(6, hidden=128, embedding=256, seed=seed)
        loss = batch.losses(network, generator(0))["total"]
        assert 2 * np.log(2) - 0.05 < loss.item() < 2 * np.log(2) + 0.7


def test_a_batch_of_windows_weighs_windows_by_their_edges(infomax: Any) -> None:
    graphs = odd_windows()
    network = infomax(6)
    drawn = permute(EdgeBatch.of(graphs, "both").slots, generator(4))
    pointer = PairBatch.of(graphs, "both").slots.window_ptr
    total = 0.0
    for window in range(len(graphs)):
        begin, end = pointer[window : window + 2]
        if begin == end:
            continue
        batch = PairBatch.of(graphs[window : window + 1], "both")
        own = type(drawn)(drawn.row[begin:end] - int(graphs.flow_ptr[window]))
        part = batch.losses(network, generator(0), own)["total"].item()
        total += part * (end - begin) / pointer[-1]
    together = PairBatch.of(graphs, "both").losses(network, generator(0), drawn)["total"]
    assert together.item() == pytest.approx(total, rel=1e-5)


def test_a_host_with_a_hundred_thousand_flows(graph: Any, infomax: Any) -> None:
    others = np.random.default_rng(0).integers(1, 50, 100_000)
    windows = graph([(0, int(other)) for other in others], features=4)
    network = infomax(4)
    plain, pairs = EdgeBatch.of(windows, "both"), PairBatch.of(windows, "both")
    drawn = permute(plain.slots, generator(0))
    one, other = (batch.losses(network, generator(0), drawn) for batch in (plain, pairs))
    torch.testing.assert_close(one["total"], other["total"], rtol=1e-5, atol=0)
    assert torch.isfinite(pairs.losses(network, generator(1))["total"])


def test_a_batch_counts_what_it_holds(graph: Any) -> None:
    windows = graph([(0, 1)] * 5000, features=50)
    assert EdgeBatch.of(windows, "both").nbytes > windows.flow_x.nbytes
    pairs = PairBatch.of(windows, "both")
    assert pairs.x is windows.flow_x
    assert 0 < pairs.nbytes < 10_000
