"""Adam and AdamW over all parameters at once.

For networks as small as ours PyTorch's optimizers spend a hundred microseconds or more per step on
bookkeeping, several times the arithmetic. Here all parameters lie side by side in one tensor, their
gradients in another, and a step is seven operations on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from netvigil.torch.settings import TrainingConfig

_MEAN, _SQUARE, _EPSILON = 0.9, 0.999, 1e-8  # the decay rates of both papers, PyTorch's defaults
_ALIGNED = 16  # float32 numbers in 64 bytes, where matrix kernels like a matrix to begin


class Adam:
    """Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019), as in `torch.optim`.

    While it lives, parameters and their gradients are views; `part` ends that. Unlike in PyTorch, a
    parameter that no loss reaches has a gradient of zero, not none, so that weight decay shrinks
    it.
    """

    def __init__(self, parameters: list[nn.Parameter], config: TrainingConfig) -> None:
        self._parameters, self._config = parameters, config
        sizes = [math.ceil(p.numel() / _ALIGNED) * _ALIGNED for p in parameters]
        self._weights = parameters[0].data.new_zeros(sum(sizes))
        self._gradient, self._mean, self._square, self._scratch = (
            torch.zeros_like(self._weights) for _ in range(4)
        )
        self._steps = start = 0
        for parameter, size in zip(parameters, sizes, strict=True):
            here = slice(start, start + parameter.numel())
            start += size
            own = self._weights[here].view_as(parameter)
            own.copy_(parameter.data)
            parameter.data = own
            parameter.grad = self._gradient[here].view_as(parameter)

    def step(self, loss: Tensor) -> None:
        """Move the parameters against the gradient of a loss, clipped where that is set."""
        self._gradient.zero_()
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        with torch.no_grad():
            self._move()

    def _move(self) -> None:
        config, gradient, weights = self._config, self._gradient, self._weights
        if config.clip_norm is not None:
            gradient.mul_((config.clip_norm / (gradient.norm() + 1e-6)).clamp_(max=1.0))
        if config.weight_decay and config.optimizer == "adam":
            gradient.add_(weights, alpha=config.weight_decay)
        elif config.weight_decay:
            weights.mul_(1 - config.learning_rate * config.weight_decay)
        self._steps += 1
        self._mean.lerp_(gradient, 1 - _MEAN)
        self._square.mul_(_SQUARE).addcmul_(gradient, gradient, value=1 - _SQUARE)
        # Both corrections of the averages' start at zero are numbers, moved out of the tensors.
        spread = math.sqrt(1 - _SQUARE**self._steps)
        torch.sqrt(self._square, out=self._scratch).add_(_EPSILON * spread)
        size = config.learning_rate * spread / (1 - _MEAN**self._steps)
        weights.addcdiv_(self._mean, self._scratch, value=-size)

    def part(self) -> None:
        """Give each parameter memory of its own again, and no gradient."""
        for parameter in self._parameters:
            parameter.grad = None
            parameter.data = parameter.data.clone()

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
