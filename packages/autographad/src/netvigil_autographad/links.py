"""Links between flows and hosts, and the three products along them, in the form that is cheap.

Hosts are rows of a table of [2 nodes, dim]: what they are as sources, then as destinations. With
A [flows, 2 nodes], the sparse matrix of the links' weights, `to_flows` is A times the table,
`to_hosts` is A transposed times the flows' values, and `dots` is the product of flows and table at
the places of A. Each is what the others need for their gradients.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netvigil.torch.graphs import Grouping

with warnings.catch_warnings():
    # The first sparse tensor of a process says that its layout is in beta; `dots` needs no more of
    # it than one product.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)


@dataclass(frozen=True)
class Links:
    """Links in the order of their flows; none of its products has gradients of its own.

    Shapes:
        flow: int64 [links], the flow of each
        row: int64 [links], the row of the table that each names
        by_row: int64 [links], the links of the first row, then those of the second, ...
        row_ptr: int64 [rows + 1], where each row's links begin in `by_row`
        sorted_flow: int64 [links], the flow of each link of `by_row`
        ptr: int64 [flows + 1], where each flow's links begin; None where many flows have none, so
            that links are better walked through one by one
    """

    flows: int
    flow: Tensor
    row: Tensor
    by_row: Tensor
    row_ptr: Tensor
    sorted_flow: Tensor
    ptr: Tensor | None

    @staticmethod
    def true(src: Grouping, dst: Grouping) -> Links:
        """Return the two links of each flow, to its source and to its destination."""
        flows, nodes = len(src.node), len(src.ptr) - 1
        device = src.node.device
        return Links(
            flows=flows,
            flow=torch.arange(2 * flows, device=device) >> 1,
            row=torch.stack([src.node, dst.node + nodes], 1).view(-1),
            by_row=torch.cat([2 * src.order, 2 * dst.order + 1]),
            row_ptr=torch.cat([src.ptr[:-1], dst.ptr + flows]),
            sorted_flow=torch.cat([src.order, dst.order]),
            ptr=torch.arange(0, 2 * flows + 1, 2, device=device),
        )

    @staticmethod
    def of(flow: Tensor, row: Tensor, *, flows: int, rows: int) -> Links:
        """Return links given by their flows, less than about one per flow, and by their rows."""
        group = Grouping.of(row, rows)
        sorted_flow = flow.index_select(0, group.order)
        return Links(flows, flow, row, group.order, group.ptr, sorted_flow, None)

    def to_flows(self, table: Tensor, weight: Tensor | None = None) -> Tensor:
        """Add up what a flow's hosts send it; weight: [links]; returns: [flows, dim]."""
        if self.ptr is not None and len(self.row):
            return _bags(table, self.row, self.ptr, weight)
        return self.add_to_flows(table.new_zeros(self.flows, table.shape[1]), table, weight)

    def add_to_flows(self, out: Tensor, table: Tensor, weight: Tensor | None = None) -> Tensor:
        """Add `to_flows(table, weight)` to a tensor and return that."""
        if self.ptr is not None and len(self.row):
            return out.add_(self.to_flows(table, weight))
        return out.index_add_(0, self.flow, _weighted(table.index_select(0, self.row), weight))

    def to_hosts(self, values: Tensor, weight: Tensor | None = None) -> Tensor:
        """Add up what the flows of a row send it; weight: [links]; returns: [rows, dim].

        In half precision a sum of 1,000 ones would be 256, so that is added up in full.
        """
        if values.dtype in {torch.bfloat16, torch.float16}:
            values = values.float()
        rows = len(self.row_ptr) - 1
        if not len(self.row):
            return values.new_zeros(rows, values.shape[1])
        if values.device.type == "cpu":
            ordered = None if weight is None else weight.index_select(0, self.by_row)
            return _bags(values, self.sorted_flow, self.row_ptr, ordered)
        sent = _weighted(values.index_select(0, self.flow), weight)
        return values.new_zeros(rows, values.shape[1]).index_add_(0, self.row, sent)

    def dots(self, values: Tensor, table: Tensor) -> Tensor:
        """Return the inner product of the flow and the row of each link, [links]."""
        links = len(self.row)
        # A sparse matrix with more places than cells is refused.
        dense = links > self.flows * len(table)
        if values.device.type != "cpu" or self.ptr is None or dense or not links:
            found = values.index_select(0, self.flow)
            return found.mul_(table.index_select(0, self.row)).sum(1)
        # Products of two dense matrices at the places of a sparse one: nothing is gathered, which
        # is five times faster here.
        places = torch.sparse_csr_tensor(
            self.ptr,
            self.row,
            values.new_zeros(links),
            (self.flows, len(table)),
            check_invariants=False,
        )
        products: Tensor = torch.sparse.sampled_addmm(places, values, table.t(), beta=0.0)
        return products.values()


def _weighted(values: Tensor, weight: Tensor | None) -> Tensor:
    return values if weight is None else values.mul_(weight[:, None])


def _bags(table: Tensor, rows: Tensor, ptr: Tensor, weight: Tensor | None) -> Tensor:
    per_row = None if weight is None else weight.to(table.dtype)
    # Of a table that requires a gradient it would also write down the bag of each row.
    table = table.detach().contiguous()
    found = torch.embedding_bag(table, rows, ptr[:-1], mode=0, per_sample_weights=per_row)
    return found[0]


def meet(table: Tensor, links: Links, weight: Tensor | None) -> Tensor:
    """Return `links.to_flows(table, weight)` with a gradient for the table."""
    met: Tensor = _Meet.apply(table, links, weight)
    return met


class _Meet(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, links: Links, weight: Tensor | None) -> Tensor:
        ctx.links, ctx.weight = links, weight
        return links.to_flows(table, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.links.to_hosts(gradient, ctx.weight), None, None
