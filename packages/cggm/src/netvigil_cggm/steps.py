"""A training loop of rivals: steps that are told to a `Watch`, and stop where a loss is not finite.

With it what PyTorch's own layers lack: batch normalisation that `build` can fill, and dropout and
one-hot draws from a seeded generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from netvigil.errors import TrainingError
from netvigil.protocols import Watch
from netvigil_cggm.training import TELL_EVERY


def play(
    step: Callable[[], Mapping[str, float]], steps: int, *, name: str, seed: int, watch: Watch
) -> None:
    """Take so many steps, of which `watch.advance` counts each; each returns its losses.

    Raises:
        TrainingError: A loss that is not finite; says the step.
    """
    for number in range(steps):
        found = step()
        for loss, value in found.items():
            if not math.isfinite(value):
                msg = f"'{name}': the loss '{loss}' is {value} in step {number + 1} of {steps}."
                raise TrainingError(msg, where=f"seed {seed}", do="Take a smaller learning_rate.")
        watch.advance(1)
        if number % TELL_EVERY == 0 or number == steps - 1:
            watch.write(event="step", step=number, **found)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Take one step of an optimizer down a loss, and return the loss."""
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return float(loss.detach())


def drop(h: Tensor, share: float, dice: torch.Generator) -> Tensor:
    """Set that share of the values to 0 and make the others larger in turn."""
    kept = torch.rand(h.shape, generator=dice, device=h.device) >= share
    return h * kept / (1 - share)


def normal(shape: tuple[int, ...], dice: torch.Generator) -> Tensor:
    """Draw from the standard normal distribution on the generator's device."""
    return torch.randn(shape, generator=dice, device=dice.device)


def gumbel_softmax(logits: Tensor, temperature: float, dice: torch.Generator) -> Tensor:
    """Draw nearly one-hot rows of these chances, through which gradients pass (Jang et al. 2017).

    Its largest entry is an exact draw at any temperature; what has a logit of -inf is never drawn.

    Shapes:
        logits: [..., kinds]; returns the same, rows of sum 1
    """
    clock = torch.empty_like(logits).exponential_(generator=dice)
    # A clock of exactly 0 would outrun every other one.
    noise = -clock.clamp(min=torch.finfo(clock.dtype).tiny).log()
    return ((logits + noise) / temperature).softmax(-1)


class Norm(nn.BatchNorm1d):
    """Batch normalisation over rows that starts from no history."""

    def initialise(self, rng: torch.Generator) -> None:
        """Start from scale 1 and shift 0."""
        del rng
        start(self)


class Norm2d(nn.BatchNorm2d):
    """Batch normalisation over rows and cells that starts from no history."""

    def initialise(self, rng: torch.Generator) -> None:
        """Start from scale 1 and shift 0."""
        del rng
        start(self)


def start(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Fill weights and running statistics as PyTorch does."""
    norm.reset_running_stats()
    norm.weight.fill_(1.0)
    norm.bias.fill_(0.0)
