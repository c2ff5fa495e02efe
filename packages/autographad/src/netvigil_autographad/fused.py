"""The losses that every flow meets, with their gradients by hand: few passes over memory.

Each equals its plain form in `losses.py` and `network.py`, to which tests hold it; autograd would
write several copies of [flows, hidden] and [flows, features] for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from netvigil.torch.graphs import Grouping
from netvigil.torch.segments import segment_sum
from netvigil_autographad.batch import View
from netvigil_autographad.links import bags, dots


class Links(NamedTuple):
    """Links between flows and hosts, two true ones per flow and two that are none.

    Shapes:
        rows: int64 [flows, links], rows of a table of hosts as sources, then as destinations; its
            columns are source and destination in turn
        groupings: of the flows by each column's host
        sign: [links], -1 for a true link and 1 for a negative one
        share: [flows, links], the weight of each link in the loss
    """

    rows: Tensor
    groupings: Sequence[Grouping]
    sign: Tensor
    share: Tensor


def sampled(mean: Tensor, logvar: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return z = mean + noise * deviation and the sum of KL over nodes and dimensions.

    Shapes:
        mean, logvar, noise: [nodes, hidden], noise standard normal
        returns: [nodes, hidden] and a scalar
    """
    z, divergence = _Sampled.apply(mean, logvar, noise)
    return z, divergence


def squared_error(
    z: Tensor, weight: Tensor, bias: Tensor, table: Tensor, view: View, features: Tensor
) -> Tensor:
    """Return the mean squared error of decoding features from z and from what hosts send.

    Shapes:
        z: [flows, hidden]; weight: [features, hidden]; bias: [features]
        table: [2 nodes, features], what hosts send; features: [flows, features]
    """
    error: Tensor = _SquaredError.apply(z, weight, bias, table, view, features)
    return error


def link_loss(z: Tensor, table: Tensor, bias: Tensor, links: Links) -> Tensor:
    """Return the weighted binary cross-entropy of links.

    Shapes:
        z: [flows, hidden]; table: [2 nodes, hidden]; bias: [2], by source and destination
    """
    loss: Tensor = _LinkLoss.apply(z, table, bias, links)
    return loss


class _Sampled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, logvar: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        deviation = (0.5 * logvar).exp_()
        ctx.save_for_backward(mean, noise, deviation)
        z = torch.addcmul(mean, noise, deviation)
        squares = _dot(mean) + _dot(deviation)
        return z, 0.5 * (squares - logvar.sum() - mean.numel())

    @staticmethod
    def backward(ctx: Any, of_z: Tensor, of_sum: Tensor) -> tuple[Tensor, Tensor, None]:
        mean, noise, deviation = ctx.saved_tensors
        # By logvar, z changes with noise * deviation / 2 and the sum with (deviation^2 - 1) / 2.
        half = 0.5 * of_sum
        inner = (0.5 * noise).mul_(of_z).addcmul_(deviation, half)
        of_logvar = torch.addcmul(-half, deviation, inner)
        return torch.addcmul(of_z, mean, of_sum), of_logvar, None


class _SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        weight: Tensor,
        bias: Tensor,
        table: Tensor,
        view: View,
        features: Tensor,
    ) -> Tensor:
        met = bags(table, view.rows, view.kept_rows).to(features.dtype)
        off = met.addmm_(z, weight.t()).sub_(features).add_(bias)
        ctx.save_for_backward(z, weight, off)
        ctx.view = view
        return _dot(off) / max(off.numel(), 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, off = ctx.saved_tensors
        scale = gradient * (2 / max(off.numel(), 1))
        of_table = ctx.view.sums(off).mul_(scale)
        of_weight, of_bias = (off.t() @ z).mul_(scale), off.sum(0).mul_(scale)
        return off @ (scale * weight), of_weight, of_bias, of_table, None, None


class _LinkLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, table: Tensor, bias: Tensor, links: Links) -> Tensor:
        logit = dots(z, table, links.rows)
        logit = logit.add_(bias.repeat(len(links.sign) // 2)).mul_(links.sign)
        ctx.save_for_backward(z, table, (logit.sigmoid() * links.share).mul_(links.sign))
        ctx.links = links
        return (functional.softplus(logit) * links.share).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        z, table, of_logit = ctx.saved_tensors
        of_z = bags(table, ctx.links.rows, of_logit).mul_(gradient)
        columns = of_logit.t().contiguous()
        pairs = zip(ctx.links.groupings, columns, strict=True)
        sums = [segment_sum(z, group, weight) for group, weight in pairs]
        of_table = torch.cat([sum(sums[2::2], sums[0]), sum(sums[3::2], sums[1])])
        of_bias = columns.sum(1).view(-1, 2).sum(0)
        return of_z, of_table.mul_(gradient), of_bias * gradient, None


def _dot(values: Tensor) -> Tensor:
    """Return the sum of squares, in one pass and without a copy."""
    flat = values.reshape(-1)
    return torch.dot(flat, flat)
