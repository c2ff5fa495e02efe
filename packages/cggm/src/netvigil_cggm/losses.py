"""Losses of CGGM as pure functions.

| paper | here |
|---|---|
| L_GAN | `critic_loss` and `generator_loss`, by the form of the adversary |
| L1 = mean of abs(X_r - T(X_o)) | `rebuild_loss` |
| L2 = square of norm of D(X_r) - D(T(X_o)) | `latent_loss` |
| lambda1 L_GAN + lambda2 (L1 + L2) | added up in `training.py` |
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

Adversary = Literal["wgan-clip", "wgan-gp", "bce"]


def critic_loss(real: Tensor, fake: Tensor, adversary: Adversary) -> Tensor:
    """Return what the critic lowers; `real` and `fake` are its scores, [snapshots].

    Example:
        >>> critic_loss(torch.tensor([2.0]), torch.tensor([0.5]), "wgan-clip")
        tensor(-1.5000)
    """
    if adversary == "bce":
        return softplus(-real).mean() + softplus(fake).mean()
    return fake.mean() - real.mean()


def generator_loss(fake: Tensor, adversary: Adversary) -> Tensor:
    """Return what the generator lowers of the adversarial game (`bce`: the non-saturating form)."""
    return softplus(-fake).mean() if adversary == "bce" else -fake.mean()


def rebuild_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean absolute difference of features, [snapshots, nodes, features] each."""
    return (real - fake).abs().mean()


def latent_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean over nodes of the squared distance, [snapshots, nodes, dim] each."""
    return (real - fake).square().sum(-1).mean()


def gradient_penalty(score: Tensor, at: Tensor) -> Tensor:
    """Return how far the norm of the score's gradient is from 1, squared (Gulrajani et al. 2017).

    Shapes:
        score: [snapshots], of the points `at`: [snapshots, nodes, features]
    """
    (slope,) = torch.autograd.grad(score.sum(), at, create_graph=True)
    # The root of 0 has no slope of its own.
    norm = (slope.square().sum((1, 2)) + 1e-12).sqrt()
    return (norm - 1).square().mean()
