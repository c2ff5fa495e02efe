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

from netvigil_autographad.batch import View
from netvigil_autographad.links import Links


class Kind(NamedTuple):
    """Links of one kind, all true or all negative.

    Shapes:
        side: [links], 0 for a source and 1 for a destination; None: the two in turn
        sign: -1 for true links and 1 for negative ones
        share: the weight of each link in the loss
    """

    links: Links
    side: Tensor | None
    sign: float
    share: float


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


def link_loss(z: Tensor, table: Tensor, bias: Tensor, kinds: Sequence[Kind]) -> Tensor:
    """Return the weighted binary cross-entropy of links.

    Shapes:
        z: [flows, hidden]; table: [2 nodes, hidden]; bias: [2], by source and destination
    """
    loss: Tensor = _LinkLoss.apply(z, table, bias, kinds)
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
        inner = (noise * of_z).addcmul_(deviation, of_sum)
        of_logvar = torch.addcmul(-0.5 * of_sum, deviation, inner, value=0.5)
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
        met = view.links.to_flows(table, view.keep).to(features.dtype)
        off = met.addmm_(z, weight.t()).sub_(features).add_(bias)
        ctx.save_for_backward(z, weight, off)
        ctx.view = view
        return _dot(off) / max(off.numel(), 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, off = ctx.saved_tensors
        scale = gradient * (2 / max(off.numel(), 1))
        of_table = ctx.view.links.to_hosts(off, ctx.view.keep).mul_(scale)
        of_weight, of_bias = (off.t() @ z).mul_(scale), off.sum(0).mul_(scale)
        return off @ (scale * weight), of_weight, of_bias, of_table, None, None


class _LinkLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, table: Tensor, bias: Tensor, kinds: Sequence[Kind]) -> Tensor:
        total, of_logits = z.new_zeros(()), []
        for kind in kinds:
            logit = kind.links.dots(z, table)
            if kind.side is None:
                logit.view(-1, 2).add_(bias)
            else:
                logit.addcmul_(kind.side, bias[1] - bias[0]).add_(bias[0])
            logit.mul_(kind.sign)
            of_logits.append(logit.sigmoid().mul_(kind.sign * kind.share))
            total += functional.softplus(logit).sum() * kind.share
        ctx.save_for_backward(z, table, *of_logits)
        ctx.kinds = kinds
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        z, table, *of_logits = ctx.saved_tensors
        of_z: Tensor | None = None
        of_table, of_bias = torch.zeros_like(table), table.new_zeros(2)
        for kind, of_one in zip(ctx.kinds, of_logits, strict=True):
            of_logit = of_one * gradient
            if of_z is None:
                of_z = kind.links.to_flows(table, of_logit)
            else:
                kind.links.add_to_flows(of_z, table, of_logit)
            of_table += kind.links.to_hosts(z, of_logit)
            if kind.side is None:
                of_bias += of_logit.view(-1, 2).sum(0)
            else:
                second = torch.dot(kind.side, of_logit)
                of_bias += torch.stack([of_logit.sum() - second, second])
        return of_z, of_table, of_bias, None


def _dot(values: Tensor) -> Tensor:
    """Return the sum of squares, in one pass and without a copy."""
    flat = values.reshape(-1)
    return torch.dot(flat, flat)
