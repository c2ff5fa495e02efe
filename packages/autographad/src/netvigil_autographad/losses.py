"""Losses of AutoGraphAD as pure functions over tensors, per flow or node; the learner averages.

Symbols of the description and words here: x `features`, x^ `decoded`, s `logit`, mu `mean`,
log sigma^2 `logvar`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Distance = Literal["mse", "cosine"]

# Keeps the cosine of an all-zero row defined (as 0) without moving any other.
TINY = 1e-8


def feature_error(features: Tensor, decoded: Tensor, distance: Distance) -> Tensor:
    """Return each flow's distance from its reconstruction: mean squared error, or 1 - cosine.

    Shapes:
        features, decoded: [flows, features]
        returns: [flows]
    """
    if distance == "mse":
        return functional.mse_loss(decoded, features, reduction="none").mean(1)
    return 1 - functional.cosine_similarity(features, decoded, dim=1, eps=TINY)


def feature_loss(
    features: Tensor, decoded: Tensor, distance: Distance, weight: Tensor | None = None
) -> Tensor:
    """Return the mean of `feature_error`, over all flows or weighted by `weight` [flows]."""
    if weight is not None:
        error = feature_error(features, decoded, distance)
        return (error * weight).sum() / weight.sum().clamp(min=1)
    if distance == "mse":
        return functional.mse_loss(decoded, features)  # one pass where the rows' means need three
    return feature_error(features, decoded, distance).mean()


def link_error(logit: Tensor, *, linked: bool) -> Tensor:
    """Return the binary cross-entropy of links that are (`linked`) or are not in the graph."""
    return functional.softplus(-logit if linked else logit)


def structure_loss(positive: Tensor, negative: Tensor, weight: Tensor) -> Tensor:
    """Return the balanced binary cross-entropy: half the mean of each kind of link.

    The published code says only that both kinds enter; balance is our choice. Where there is no
    negative link (windows of a single host) its half is 0.

    Shapes:
        positive: logits of true links; negative: logits of pairs that are none, any shape
        weight: like negative, 1 where the pair counts and 0 where it does not
    """
    true_half = link_error(positive, linked=True).mean()
    errors = link_error(negative, linked=False) * weight
    return 0.5 * (true_half + errors.sum() / weight.sum().clamp(min=1))


def divergence(mean: Tensor, logvar: Tensor, reduction: Literal["sum", "mean"]) -> Tensor:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)) of each node, summed or averaged over dimensions.

    Shapes:
        mean, logvar: [nodes, dim]
        returns: [nodes]
    """
    terms = torch.addcmul(logvar.exp() - logvar, mean, mean)
    total = 0.5 * (terms.sum(1) - mean.shape[1])
    return total / mean.shape[1] if reduction == "mean" else total


def inconsistency(clean: Tensor, augmented: Tensor) -> Tensor:
    """Return 1 - cosine between two views of each node.

    Shapes:
        clean, augmented: [nodes, dim]
        returns: [nodes]
    """
    return 1 - functional.cosine_similarity(clean, augmented, dim=1, eps=TINY)
