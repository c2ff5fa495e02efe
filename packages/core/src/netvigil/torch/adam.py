"""Adam and AdamW over all parameters at once: a step is seven operations on flat tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from netvigil.torch.flat import FlatParameters
from netvigil.torch.settings import TrainingConfig

_MEAN, _SQUARE, _EPSILON = 0.9, 0.999, 1e-8  # the decay rates of both papers, PyTorch's defaults


class Adam:
    """Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019), as in `torch.optim`.

    While it lives, parameters and their gradients are views, see `FlatParameters`.

    Attributes:
        rate: the step size, which a schedule may change between steps
    """

    def __init__(self, parameters: list[nn.Parameter], config: TrainingConfig) -> None:
        self._flat, self._config = FlatParameters(parameters), config
        self._mean, self._square, self._scratch = (
            torch.zeros_like(self._flat.weights) for _ in range(3)
        )
        self._steps = 0
        self.rate = config.learning_rate

    def step(self, loss: Tensor) -> None:
        """Move the parameters against the gradient of a loss, clipped where that is set."""
        self._flat.backward(loss, self._config.clip_norm)
        with torch.no_grad():
            self._move()

    def _move(self) -> None:
        config, gradient, weights = self._config, self._flat.gradient, self._flat.weights
        if config.weight_decay and config.optimizer == "adam":
            gradient.add_(weights, alpha=config.weight_decay)
        elif config.weight_decay:
            weights.mul_(1 - self.rate * config.weight_decay)
        self._steps += 1
        self._mean.lerp_(gradient, 1 - _MEAN)
        self._square.mul_(_SQUARE).addcmul_(gradient, gradient, value=1 - _SQUARE)
        # Both corrections of the averages' start at zero are numbers, moved out of the tensors.
        spread = math.sqrt(1 - _SQUARE**self._steps)
        torch.sqrt(self._square, out=self._scratch).add_(_EPSILON * spread)
        size = self.rate * spread / (1 - _MEAN**self._steps)
        weights.addcdiv_(self._mean, self._scratch, value=-size)

    def part(self) -> None:
        """Give each parameter memory of its own again, and no gradient."""
        self._flat.part()

    @property
    def steps(self) -> int:
        """Number of steps so far."""
        return self._steps

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages, for a checkpoint."""
        return {"mean": self._mean, "square": self._square}

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Take over averages.

        Raises:
            RuntimeError: They are of another number of parameters.
        """
        self._mean.copy_(tensors["mean"])
        self._square.copy_(tensors["square"])
        self._steps = steps
