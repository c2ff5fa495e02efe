"""Sums of flows per node, as the networks need them, beside `index_add_` and PyG's `scatter`.

A million rows do not fit into any cache; 4,500 are a window of the published data.
The grouping (a sort) is made outside the timer: it is made once per batch and used in every epoch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from netvigil.torch.graphs import Grouping
from netvigil.torch.segments import segment_sum, spread

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyG compiles at import with torch.jit, which torch deprecated
    from torch_geometric.utils import scatter

SIZES = [(4_500, 60), (1_000_000, 5_000)]  # flows, nodes
ROWS = 1_000_000  # summed per call, so that a call of the small size is long enough to be timed


def _made(flows: int, nodes: int, dim: int) -> tuple[torch.Tensor, torch.Tensor, Grouping]:
    rng = torch.Generator().manual_seed(0)
    node = torch.randint(nodes, (flows,), generator=rng)
    return torch.randn(flows, dim, generator=rng), node, Grouping.of(node, nodes)


def _again(once: Callable[[], object], flows: int) -> Callable[[], int]:
    calls = max(ROWS // flows, 1)

    def work() -> int:
        for _ in range(calls):
            once()
        return calls * flows

    return work


@pytest.mark.parametrize("dim", [32, 52])
@pytest.mark.parametrize(("flows", "nodes"), SIZES)
def bench_sum_against_index_add(paired: Any, flows: int, nodes: int, dim: int) -> None:
    x, node, group = _made(flows, nodes, dim)

    def plain() -> torch.Tensor:
        return x.new_zeros(nodes, dim).index_add_(0, node, x)

    torch.testing.assert_close(segment_sum(x, group), plain(), rtol=1e-4, atol=1e-3)
    paired(
        _again(lambda: segment_sum(x, group), flows),
        _again(plain, flows),
        name=f"sum of {flows:,} x {dim} vs index_add_",
        floor=2,
    )


@pytest.mark.parametrize(("flows", "nodes"), SIZES)
def bench_sum_against_scatter(paired: Any, flows: int, nodes: int) -> None:
    x, node, group = _made(flows, nodes, 32)
    paired(
        _again(lambda: segment_sum(x, group), flows),
        _again(lambda: scatter(x, node, 0, nodes, reduce="sum"), flows),
        name=f"sum of {flows:,} x 32 vs PyG scatter",
        floor=2,
    )


@pytest.mark.parametrize(("flows", "nodes"), SIZES)
def bench_there_and_back(paired: Any, flows: int, nodes: int) -> None:
    """To the flows, to the nodes, and both gradients: what one layer costs beside its products."""
    _, node, group = _made(flows, nodes, 32)
    h = torch.randn(nodes, 32, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def ours() -> None:
        summed = segment_sum(spread(h, group), group)
        torch.autograd.grad(summed.sum(), h)

    def plain() -> None:
        summed = h.new_zeros(nodes, 32).index_add(0, node, h[node])
        torch.autograd.grad(summed.sum(), h)

    paired(
        _again(ours, flows),
        _again(plain, flows),
        name=f"{flows:,} x 32 to flows and back, with gradients, vs indexing",
        floor=1.5,
    )
