"""Stochastic gradient descent over all parameters at once, with or without momentum."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from netvigil.torch.flat import FlatParameters
from netvigil.torch.settings import TrainingConfig


class Sgd:
    """Gradient descent as in `torch.optim.SGD`; weight decay is L2, added to the gradient.

    While it lives, parameters and their gradients are views, see `FlatParameters`.

    Attributes:
        rate: the step size, which a schedule may change between steps
    """

    def __init__(self, parameters: list[nn.Parameter], config: TrainingConfig) -> None:
        self._flat, self._config = FlatParameters(parameters), config
        self._velocity = torch.zeros_like(self._flat.weights)
        self._count = torch.zeros((), device=self._flat.weights.device)
        self.rate = config.learning_rate

    def step(self, loss: Tensor | None) -> None:
        """Move the parameters against the gradient of a loss, clipped where that is set."""
        config, flat = self._config, self._flat
        flat.backward(loss, config.clip_norm)
        with torch.no_grad():
            if config.weight_decay:
                flat.gradient.add_(flat.weights, alpha=config.weight_decay)
            # Without momentum the velocity is the gradient: 0 * v + g.
            self._velocity.mul_(config.momentum).add_(flat.gradient)
            flat.weights.sub_(self._velocity, alpha=self.rate)
            self._count += 1

    def part(self) -> None:
        """Give each parameter memory of its own again, and no gradient."""
        self._flat.part()

    @property
    def steps(self) -> int:
        """Number of steps so far."""
        return int(self._count)

    def tensors(self) -> dict[str, Tensor]:
        """Return the velocity, for a checkpoint."""
        return {"velocity": self._velocity}

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Take over a velocity.

        Raises:
            RuntimeError: It is of another number of parameters.
        """
        self._velocity.copy_(tensors["velocity"])
        self._count.fill_(steps)
