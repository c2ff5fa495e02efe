"""Explicit randomness: generators from seeds, and modules that are initialised by one.

Nothing here reads or moves PyTorch's global generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


@runtime_checkable
class Initialises(Protocol):
    """A module that initialises its own parameters and buffers, not those of its children."""

    def initialise(self, rng: torch.Generator) -> None:
        """Fill every own parameter and buffer; random ones from `rng`."""
        ...


def generator(seed: int, *path: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator of its own for each seed and path, on a device.

    Example:
        >>> torch.rand(1, generator=generator(0, 1)) == torch.rand(1, generator=generator(0, 1))
        tensor([True])
    """
    # A path is a spawn key: as further words of entropy, (1,) and (1, 0) would be one stream.
    sequence = np.random.SeedSequence(seed, spawn_key=path)
    state = int(sequence.generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(state)


def build(make: Callable[[], M], rng: torch.Generator, device: torch.device | str) -> M:
    """Make a module, initialise it from `rng` (a CPU generator), and move it to a device.

    The same seed gives the same weights on every device. Modules are initialised in the order of
    `Module.modules()`: by their own `initialise`, or by PyTorch's default for `nn.Linear`,
    `nn.Bilinear`, `nn.LayerNorm` and `nn.PReLU`.

    Raises:
        TypeError: Another module with parameters or buffers of its own and without `initialise`.
        RuntimeError: An `initialise` that left values unset.
    """
    with torch.device("meta"):  # default initialisation draws nothing there
        module = make()
    module.to_empty(device="cpu")
    with torch.no_grad():
        for name, part in module.named_modules():
            tensors = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
            for tensor in tensors:
                if tensor.is_floating_point():
                    tensor.fill_(math.nan)
            if tensors:
                _initialise(part, rng)
            if any(bool(tensor.isnan().any()) for tensor in tensors):
                msg = f"{type(part).__name__} '{name}' left parameters uninitialised."
                raise RuntimeError(msg)
    return module.to(device)


def _initialise(part: nn.Module, rng: torch.Generator) -> None:
    if isinstance(part, Initialises):
        part.initialise(rng)
    elif isinstance(part, nn.Linear | nn.Bilinear):
        # PyTorch's default: kaiming_uniform with a = sqrt(5) is uniform in +-1/sqrt(fan_in).
        bound = 1 / math.sqrt(part.weight.shape[1]) if part.weight.shape[1] else 0.0
        part.weight.uniform_(-bound, bound, generator=rng)
        if part.bias is not None:
            part.bias.uniform_(-bound, bound, generator=rng)
    elif isinstance(part, nn.LayerNorm):
        part.weight.fill_(1.0)
        if part.bias is not None:
            part.bias.zero_()
    elif isinstance(part, nn.PReLU):
        part.weight.fill_(part.init)
    else:
        msg = f"{type(part).__name__} has parameters or buffers, but no `initialise(rng)`."
        raise TypeError(msg)
