"""Sums over the flows of a node, and values of a node at its flows: each the other's gradient.

On the CPU `embedding_bag` sums sorted rows several times faster than `index_add_` (measured in
`bench/bench_segments.py`); on a GPU `index_add_` is used, whose order of addition varies.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from netvigil.torch.graphs import Grouping


def segment_sum(values: Tensor, group: Grouping, weight: Tensor | None = None) -> Tensor:
    """Sum the flows of each node; differentiable in `values`.

    Shapes:
        values: [flows, dim]; weight: float32 [flows] or None, a constant
        returns: [nodes, dim], at least float32
    """
    summed: Tensor = _Sum.apply(values, group, weight)
    return summed


def spread(values: Tensor, group: Grouping, weight: Tensor | None = None) -> Tensor:
    """Give each flow the values of its node; differentiable in `values`.

    Shapes:
        values: float32 [nodes, dim]; weight: float32 [flows] or None, a constant
        returns: [flows, dim]
    """
    given: Tensor = _Spread.apply(values, group, weight)
    return given


def _sum(values: Tensor, group: Grouping, weight: Tensor | None) -> Tensor:
    nodes = len(group.ptr) - 1
    if values.dtype in {torch.bfloat16, torch.float16}:
        values = values.float()  # in half precision a sum of 1,000 ones is 256
    if values.device.type != "cpu" or values.dtype != torch.float32:
        weighted = values if weight is None else values * weight[:, None].to(values.dtype)
        return values.new_zeros(nodes, values.shape[1]).index_add_(0, group.node, weighted)
    if not len(values):
        return values.new_zeros(nodes, values.shape[1])
    sorted_weight = None if weight is None else weight.index_select(0, group.order)
    bags = torch.embedding_bag(
        values.contiguous(), group.order, group.ptr[:-1], mode=0, per_sample_weights=sorted_weight
    )
    return bags[0]


def _spread(values: Tensor, group: Grouping, weight: Tensor | None) -> Tensor:
    given = values.index_select(0, group.node)
    return given if weight is None else given.mul_(weight[:, None])


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Grouping, weight: Tensor | None) -> Tensor:
        ctx.group, ctx.weight = group, weight
        return _sum(values, group, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _spread(gradient, ctx.group, ctx.weight), None, None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Grouping, weight: Tensor | None) -> Tensor:
        ctx.group, ctx.weight = group, weight
        return _spread(values, group, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _sum(gradient, ctx.group, ctx.weight), None, None
