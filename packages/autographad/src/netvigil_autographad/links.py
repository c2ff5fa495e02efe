"""Values that cross links between flows and hosts, with gradients in the form that is cheap.

`meet` gives each flow what comes from its two hosts; `dots` multiplies flows and hosts. Both read
from a table of [2 nodes, dim]: what hosts are as sources, then what they are as destinations.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from netvigil_autographad.batch import View

with warnings.catch_warnings():
    # The first sparse tensor of a process says that its layout is in beta; `dots` needs no more of
    # it than one product.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)


def meet(table: Tensor, view: View) -> Tensor:
    """Add up what a flow's two hosts send it over the links that are kept.

    Shapes:
        table: [2 nodes, dim]
        returns: [flows, dim]
    """
    met: Tensor = _Meet.apply(table, view)
    return met


def dots(z: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """Return the inner products of flows with the rows they name; without gradients.

    Shapes:
        z: [flows, dim]; table: [2 nodes, dim]; rows: int64 [flows, links]
        returns: [flows, links]
    """
    flows, links = rows.shape
    # A sparse matrix with more places than cells is refused.
    if z.device.type != "cpu" or links > len(table) or not flows:
        hosts = table.index_select(0, rows.reshape(-1)).view(flows, links, table.shape[1])
        return (hosts * z[:, None]).sum(2)
    # Products of two dense matrices at the places of a sparse one: nothing is gathered, which is
    # five times faster here.
    places = torch.sparse_csr_tensor(
        torch.arange(0, flows * links + 1, links),
        rows.reshape(-1),
        z.new_zeros(flows * links),
        (flows, len(table)),
        check_invariants=False,
    )
    products: Tensor = torch.sparse.sampled_addmm(places, z, table.t(), beta=0.0)
    return products.values().view(flows, links)


def bags(table: Tensor, rows: Tensor, weight: Tensor | None) -> Tensor:
    """Sum the rows of the table that each flow names, [flows, dim]."""
    flows, links = rows.shape
    if not flows:
        return table.new_zeros(0, table.shape[1])
    offsets = torch.arange(0, flows * links, links, device=rows.device)
    per_row = None if weight is None else weight.to(table.dtype).reshape(-1)
    summed = torch.embedding_bag(
        table.contiguous(), rows.reshape(-1), offsets, mode=0, per_sample_weights=per_row
    )
    return summed[0]


class _Meet(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, view: View) -> Tensor:
        ctx.view = view
        return bags(table, view.rows, view.kept_rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.view.sums(gradient), None
