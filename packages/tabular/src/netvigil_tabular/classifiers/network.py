"""The feed-forward network of `mlp`: shapes only.

The NSL-KDD notebook's networks are Keras's Dense - BatchNormalization - ReLU, twice, and one
sigmoid unit. So initial weights, epsilon and momentum of the norm are Keras's: Glorot-uniform
weights, zero offsets, 1e-3, and a running mean that keeps 0.99 of itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "selu": nn.SELU, "elu": nn.ELU}


class Dense(nn.Linear):
    """A linear map with Keras's initial weights."""

    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weight."""
        nn.init.xavier_uniform_(self.weight, generator=rng)
        nn.init.zeros_(self.bias)


class Norm(nn.BatchNorm1d):
    """Batch norm with Keras's constants."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-3, momentum=0.01)

    def initialise(self, rng: torch.Generator) -> None:
        """Start as the identity."""
        del rng
        self.reset_parameters()


class Network(nn.Module):
    """Hidden layers, then one logit per class, or one in all for two classes.

    Shapes:
        x: [rows, features]; returns: [rows, classes], or [rows, 1] for two classes
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        hidden: tuple[int, ...],
        norm: bool,
        activation: str,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = features
        for units in hidden:
            layers.append(Dense(width, units))
            layers += [Norm(units)] if norm else []
            layers.append(ACTIVATIONS[activation]())
            width = units
        self.layers = nn.Sequential(*layers, Dense(width, 1 if classes == 2 else classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(x)
        return logits


def cross_entropy(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean of -log of the probability of each row's class.

    Shapes:
        logits: [rows, classes], or [rows, 1] for two classes; y: int64 [rows]; weight: [rows]
    """
    if logits.shape[1] == 1:
        each = nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], y.to(logits.dtype), reduction="none"
        )
    else:
        each = nn.functional.cross_entropy(logits, y, reduction="none")
    return (each * weight).sum() / weight.sum()


def probabilities(logits: Tensor) -> Tensor:
    """Return [rows, classes] that add up to 1, in float64."""
    logits = logits.double()
    if logits.shape[1] == 1:
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    return torch.softmax(logits, dim=1)
