"""All parameters of a network side by side in one tensor, their gradients in another.

For networks as small as ours PyTorch's optimizers spend a hundred microseconds or more per step on
bookkeeping, several times the arithmetic; over flat tensors a step is a few operations.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_ALIGNED = 16  # float32 numbers in 64 bytes, where matrix kernels like a matrix to begin


class FlatParameters:
    """Parameters and their gradients as views of two flat tensors, until `part` ends that.

    Unlike in PyTorch, a parameter that no loss reaches has a gradient of zero, not none, so that
    weight decay shrinks it.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        sizes = [math.ceil(p.numel() / _ALIGNED) * _ALIGNED for p in parameters]
        self.weights = parameters[0].data.new_zeros(sum(sizes))
        self.gradient = torch.zeros_like(self.weights)
        start = 0
        for parameter, size in zip(parameters, sizes, strict=True):
            here = slice(start, start + parameter.numel())
            start += size
            own = self.weights[here].view_as(parameter)
            own.copy_(parameter.data)
            parameter.data = own
            parameter.grad = self.gradient[here].view_as(parameter)

    def backward(self, loss: Tensor | None, clip_norm: float | None) -> None:
        """Fill the gradient with that of a loss, clipped to a norm where one is given.

        Without a loss it holds the gradient already.
        """
        if loss is not None:
            self.gradient.zero_()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        if clip_norm is not None:
            norm = self.gradient.norm()
            self.gradient.mul_((clip_norm / (norm + 1e-6)).clamp_(max=1.0))

    def part(self) -> None:
        """Give each parameter memory of its own again, and no gradient."""
        for parameter in self._parameters:
            parameter.grad = None
            parameter.data = parameter.data.clone()
