"""Sums per node and values per flow against plain loops, with their gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.torch.generators import generator
from netvigil.torch.graphs import Grouping
from netvigil.torch.segments import segment_sum, spread

NODES = st.lists(st.integers(0, 4), max_size=12)
FEW = settings(max_examples=30, deadline=None)


def plain_sum(values, node, nodes, weight):
    rows = [torch.zeros(values.shape[1], dtype=values.dtype) for _ in range(nodes)]
    for flow, n in enumerate(node.tolist()):
        rows[n] = rows[n] + (values[flow] if weight is None else values[flow] * weight[flow])
    return torch.stack(rows)


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


@FEW
@given(NODES, st.booleans(), st.sampled_from([torch.float32, torch.float64]))
def test_the_sum_is_the_plain_one(nodes, weighted, dtype):
    node = torch.tensor(nodes, dtype=torch.int64)
    values = drawn(len(nodes), 3, dtype=dtype)
    weight = drawn(len(nodes), seed=1) if weighted else None
    found = segment_sum(values, Grouping.of(node, 5), weight)
    assert found.dtype == dtype
    torch.testing.assert_close(found, plain_sum(values, node, 5, weight))


@FEW
@given(NODES, st.booleans())
def test_spread_gives_each_flow_its_nodes_values(nodes, weighted):
    node = torch.tensor(nodes, dtype=torch.int64)
    values = drawn(5, 3)
    weight = drawn(len(nodes), seed=1) if weighted else None
    wanted = values[node] if weight is None else values[node] * weight[:, None]
    torch.testing.assert_close(spread(values, Grouping.of(node, 5), weight), wanted)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [segment_sum, spread])
def test_gradients_are_those_of_finite_differences(kind, weighted):
    node = torch.tensor([0, 3, 3, 1, 0, 3])
    weight = drawn(6, seed=1) if weighted else None
    values = drawn(6 if kind is segment_sum else 5, 2, dtype=torch.float64).requires_grad_()
    group = Grouping.of(node, 5)
    assert torch.autograd.gradcheck(lambda v: kind(v, group, weight).tanh(), values)


@pytest.mark.parametrize("kind", [segment_sum, spread])
def test_float32_gradients_are_those_of_the_plain_form(kind):
    node = torch.tensor([0, 3, 3, 1, 0, 3])
    weight, group = drawn(6, seed=1), Grouping.of(node, 5)
    values = drawn(6 if kind is segment_sum else 5, 2)
    one, two = values.clone().requires_grad_(), values.clone().requires_grad_()
    kind(one, group, weight).tanh().sum().backward()
    plain = plain_sum(two, node, 5, weight) if kind is segment_sum else two[node] * weight[:, None]
    plain.tanh().sum().backward()
    torch.testing.assert_close(one.grad, two.grad)


def test_half_precision_is_summed_in_full():
    group = Grouping.of(torch.zeros(1000, dtype=torch.int64), 1)
    ones = torch.ones(1000, 2, dtype=torch.bfloat16, requires_grad=True)
    found = segment_sum(ones, group)
    assert found.tolist() == [[1000.0, 1000.0]]
    found.sum().backward()
    assert ones.grad is not None
    assert ones.grad.dtype == torch.bfloat16


def test_a_gradient_that_is_no_contiguous_matrix_is_summed():
    group = Grouping.of(torch.tensor([1, 1, 0]), 2)
    values = drawn(2, 2).requires_grad_()
    spread(values, group).sum().backward()  # the gradient of a sum is one expanded number
    assert values.grad.tolist() == [[1.0, 1.0], [2.0, 2.0]]


def test_a_grouping_sorts_stably_below_and_above_16_bits() -> None:
    node = torch.tensor([3, 0, 3, 1, 0])
    for nodes in (4, 70_000):
        group = Grouping.of(node, nodes)
        assert group.order.tolist() == [1, 4, 3, 0, 2]
        assert group.ptr[:5].tolist() == [0, 2, 3, 3, 5]
        assert len(group.ptr) == nodes + 1
