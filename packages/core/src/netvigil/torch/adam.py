"""Adam and AdamW over all parameters at once: a step is one kernel on flat tensors."""

from __future__ import annotations

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
        self._mean, self._square = (torch.zeros_like(self._flat.weights) for _ in range(2))
        # On the device, where a step that is replayed counts too; float32 counts to 16 million.
        self._count = torch.zeros((), device=self._flat.weights.device)
        fused = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}
        self._kernel = fused[config.optimizer]
        self.rate = config.learning_rate

    def step(self, loss: Tensor | None) -> None:
        """Move the parameters against the gradient of a loss, clipped where that is set."""
        self._flat.backward(loss, self._config.clip_norm)
        with torch.no_grad():
            self._move()

    def _move(self) -> None:
        """Take a step by the kernel of `torch.optim`, without its bookkeeping."""
        config, flat = self._config, self._flat
        self._count += 1
        self._kernel(
            [flat.weights],
            [flat.gradient],
            [self._mean],
            [self._square],
            [],
            [self._count],
            lr=self.rate,
            beta1=_MEAN,
            beta2=_SQUARE,
            weight_decay=config.weight_decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def part(self) -> None:
        """Give each parameter memory of its own again, and no gradient."""
        self._flat.part()

    @property
    def steps(self) -> int:
        """Number of steps so far."""
        return int(self._count)

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
        self._count.fill_(steps)
