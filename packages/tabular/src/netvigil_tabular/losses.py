"""Losses of the autoencoders as pure functions over tensors; the learner averages.

`x` are a flow's features, `decoded` their reconstruction, `mean` and `logvar` those of z.
"""

from __future__ import annotations

import torch
from torch import Tensor

from netvigil_tabular.config import Loss

HUBER = 1.0  # error from which `huber` grows in a line: one unit of a scaled feature
MIXED = 0.3  # the published share of the part weighted by the feature itself


def errors(x: Tensor, decoded: Tensor, loss: Loss) -> Tensor:
    """Return the error of each feature of each flow.

    `mixed` is (1 + 0.3 x) (decoded - x)^2. It is published for features of 0 to 1; one below 0
    counts as 0 in the weight here, because a negative weight would reward an error.

    Shapes:
        x, decoded, returns: [flows, features]

    Example:
        >>> x, decoded = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.5]])
        >>> [errors(x, decoded, loss).tolist()[0] for loss in ("mse", "mae", "huber")]
        [[4.0, 0.25], [2.0, 0.5], [1.5, 0.125]]
    """
    off = decoded - x
    if loss == "mae":
        return off.abs()
    if loss == "huber":
        size = off.abs()
        return torch.where(size < HUBER, 0.5 * off * off, HUBER * (size - 0.5 * HUBER))
    squared = off * off
    return squared * (1 + MIXED * x.clamp(min=0)) if loss == "mixed" else squared


def slopes(x: Tensor, decoded: Tensor, loss: Loss) -> Tensor:
    """Return the derivative of `errors` by `decoded`, [flows, features]."""
    off = decoded - x
    if loss == "mae":
        return off.sign_()
    if loss == "huber":
        return off.clamp_(-HUBER, HUBER)
    if loss == "mixed":
        off.mul_(1 + MIXED * x.clamp(min=0))
    return off.mul_(2)


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)) of each latent dimension.

    Shapes:
        mean, logvar, returns: [flows, dim]
    """
    return 0.5 * (mean * mean + logvar.exp() - logvar - 1)


def kl_loss(mean: Tensor, logvar: Tensor, free_bits: float) -> Tensor:
    """Return the mean KL of flows, each dimension of which costs no less than `free_bits`.

    As in Kingma et al. (Improving variational inference with inverse autoregressive flow, 2016)
    the bound is on a dimension's mean over the batch, not on each flow's own.
    """
    each = divergence(mean, logvar).mean(0)
    return (each.clamp(min=free_bits) if free_bits else each).sum()
