from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from netvigil.torch.generators import build, generator
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.edge_batch import EdgeBatch
from netvigil_anomale.network import Discriminator, EdgeSage, ReluLinear


def by_hand(sage: EdgeSage, features: int, **weights: Any) -> EdgeSage:
    for name, value in weights.items():
        parameter = sage.get_parameter(name.replace("__", "."))
        with torch.no_grad():
            parameter.copy_(torch.tensor(value))
    return sage


def test_one_layer_against_a_hand_calculation(graph: Any) -> None:
    # Three flows, a->b twice and b->c, of one feature: 1, 3, 8. Gathered "in": a 0, b 2, c 8.
    windows = graph([(0, 1), (0, 1), (1, 2)], x=[[1.0], [3.0], [8.0]])
    config = AnomalEConfig(hidden=1, embedding=1, direction="in")
    sage = by_hand(
        EdgeSage(1, config),
        1,
        rounds__0__update__weight=[[0.5, 2.0]],  # on the constant 1, on the mean
        rounds__0__update__bias=[-1.0],
        edge__weight=[[1.0, 10.0]],
        edge__bias=[0.25],
    )
    # h = relu(0.5 * 1 + 2 m - 1): a relu(-0.5) = 0, b 3.5, c 15.5
    batch = EdgeBatch.of(windows, "in")
    z = batch.embed(sage, batch.x[batch.flow])
    assert z[:, 0].tolist() == pytest.approx([35.25, 35.25, 3.5 + 155 + 0.25])


def test_both_directions_gather_each_flow_at_both_ends_and_loops_once(graph: Any) -> None:
    windows = graph([(0, 1), (1, 1)], x=[[2.0], [5.0]])
    config = AnomalEConfig(hidden=1, embedding=1, direction="both")
    sage = by_hand(
        EdgeSage(1, config),
        1,
        rounds__0__update__weight=[[0.0, 1.0]],
        rounds__0__update__bias=[0.0],
        edge__weight=[[1.0, 100.0]],
        edge__bias=[0.0],
    )
    # Edges 0->1, 1->1 and the reverse 1->0; means: host 0 gathers {2}, host 1 {2, 5}.
    batch = EdgeBatch.of(windows, "both")
    z = batch.embed(sage, batch.x[batch.flow])
    assert z[:, 0].tolist() == pytest.approx([2 + 350, 3.5 + 350, 3.5 + 200])


def test_a_second_layer_sees_the_features_again(graph: Any) -> None:
    windows = graph([(0, 1)], x=[[4.0]])
    config = AnomalEConfig(hidden=1, embedding=1, direction="in", layers=2)
    sage = by_hand(
        EdgeSage(1, config),
        1,
        rounds__0__update__weight=[[1.0, 1.0]],
        rounds__0__update__bias=[0.0],
        rounds__1__update__weight=[[3.0, 0.5]],
        rounds__1__update__bias=[0.0],
        edge__weight=[[1.0, 100.0]],
        edge__bias=[0.0],
    )
    # Layer 1: h_0 = 1, h_1 = 1 + 4; layer 2: h_0 = 3, h_1 = 15 + 2
    batch = EdgeBatch.of(windows, "in")
    assert batch.embed(sage, batch.x)[0].tolist() == pytest.approx([3 + 1700])


def test_node_edge_messages_carry_the_other_host(graph: Any) -> None:
    windows = graph([(0, 2), (1, 2)], x=[[4.0], [6.0]])
    config = AnomalEConfig(hidden=1, embedding=1, direction="in", messages="node-edge")
    sage = by_hand(
        EdgeSage(1, config),
        1,
        rounds__0__message__weight=[[2.0, 1.0]],
        rounds__0__message__bias=[10.0],
        rounds__0__update__weight=[[0.0, 1.0]],
        rounds__0__update__bias=[0.0],
        edge__weight=[[0.0, 1.0]],
        edge__bias=[0.0],
    )
    # Messages 2 * 1 + e + 10 = 16, 18; their mean at host 2 is 17.
    batch = EdgeBatch.of(windows, "in")
    assert batch.embed(sage, batch.x)[:, 0].tolist() == pytest.approx([17, 17])


def test_own_edge_joins_the_flow_itself(graph: Any) -> None:
    windows = graph([(0, 1), (0, 1)], x=[[1.0], [3.0]])
    config = AnomalEConfig(hidden=1, embedding=1, direction="in", own_edge=True)
    sage = by_hand(
        EdgeSage(1, config),
        1,
        rounds__0__update__weight=[[0.0, 1.0]],
        rounds__0__update__bias=[0.0],
        edge__weight=[[0.0, 1.0, 10.0]],
        edge__bias=[0.0],
    )
    batch = EdgeBatch.of(windows, "in")
    assert batch.embed(sage, batch.x)[:, 0].tolist() == pytest.approx([2 + 10, 2 + 30])


def test_the_discriminator_is_bilinear() -> None:
    made = Discriminator(2)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    z, s = torch.tensor([1.0, -1.0]), torch.tensor([[10.0, 1.0]])
    assert (made(s) @ z).tolist() == [z @ made.weight @ s[0]] == [12.0 - 34.0]


def test_initial_weights_keep_their_bounds() -> None:
    relu = build(lambda: ReluLinear(30, 50), generator(0), "cpu")
    bound = math.sqrt(2) * math.sqrt(6 / 80)  # Xavier uniform times the gain of a ReLU
    assert 0.9 * bound < relu.weight.abs().max() <= bound
    assert relu.bias.abs().max() <= 1 / math.sqrt(30)
    judge = build(lambda: Discriminator(64), generator(0), "cpu")
    assert 0.9 / 8 < judge.weight.abs().max() <= 1 / 8
