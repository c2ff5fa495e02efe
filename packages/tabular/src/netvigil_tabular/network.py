"""The networks: shapes in, shapes out.

A layer is Dense -> activation -> norm -> dropout, in the published order. Dropout draws from the
generator it is given and does nothing without one, so that nothing reads PyTorch's global one.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from netvigil_tabular.config import Activation, NetworkConfig, ReconstructionConfig, VaeConfig

LOGVAR = 10.0  # |log variance| of z stays below: exp(10) is a standard deviation of 148

ACTIVATIONS = {
    "relu": torch.relu,
    "leaky-relu": functional.leaky_relu,
    "elu": functional.elu,
    "selu": torch.selu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "sigmoid": torch.sigmoid,
}


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that is initialised without chance and takes a batch of one flow as it comes."""

    def initialise(self, rng: torch.Generator) -> None:
        """Start as the identity."""
        del rng
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name for it
        """Normalise by the batch in training; by running averages otherwise, or for one flow."""
        if self.training and len(input) == 1:
            assert self.running_mean is not None
            assert self.running_var is not None
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class Layer(nn.Module):
    """One layer; a plain linear map where `activation` is none."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: Activation | None = None,
        *,
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
        self.activation, self.dropout = activation, dropout
        self.norm: nn.Module | None = None
        if norm != "none":
            self.norm = BatchNorm(outputs) if norm == "batch" else nn.LayerNorm(outputs)

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return [flows, outputs] for [flows, inputs]."""
        hidden: Tensor = self.dense(x)
        if self.activation is not None:
            hidden = ACTIVATIONS[self.activation](hidden)
        if self.norm is not None:
            hidden = self.norm(hidden)
        if self.dropout and rng is not None:
            keep = 1 - self.dropout
            hidden = hidden * torch.empty_like(hidden).bernoulli_(keep, generator=rng).div_(keep)
        return hidden


class Latent(NamedTuple):
    """What the encoder half gives: the code, and of a VAE the log variance of z around it.

    Shapes:
        mean, logvar: [flows, dim]
    """

    mean: Tensor
    logvar: Tensor | None = None


class Network(nn.Module):
    """An autoencoder, or with a `VaeConfig` a variational one."""

    def __init__(self, features: int, config: NetworkConfig) -> None:
        super().__init__()
        down = [features, *config.hidden]
        up = [config.bottleneck, *reversed(config.hidden)]
        self.down = _stack(down, config)
        if isinstance(config, ReconstructionConfig) and config.code == "block":
            (self.code,) = _stack([down[-1], config.bottleneck], config)
        else:
            self.code = Layer(down[-1], config.bottleneck)
        self.spread = Layer(down[-1], config.bottleneck) if isinstance(config, VaeConfig) else None
        self.up = _stack(up, config)
        self.output = Layer(up[-1], features, "sigmoid" if config.output == "sigmoid" else None)

    def encode(self, x: Tensor, rng: torch.Generator | None = None) -> Latent:
        """Return the code of flows.

        Shapes:
            x: [flows, features]
        """
        for layer in self.down:
            x = layer(x, rng)
        if self.spread is None:
            return Latent(self.code(x, rng))
        return Latent(self.code(x), LOGVAR * torch.tanh(self.spread(x) / LOGVAR))

    def decode(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return the reconstruction [flows, features] of codes [flows, dim]."""
        for layer in self.up:
            z = layer(z, rng)
        decoded: Tensor = self.output(z)
        return decoded

    def layers(self) -> list[Layer]:
        """Return the layers of an autoencoder that is not variational, in order."""
        parts = [*self.down, self.code, *self.up, self.output]
        return [layer for layer in parts if isinstance(layer, Layer)]


def _stack(widths: list[int], config: NetworkConfig) -> nn.ModuleList:
    pairs = itertools.pairwise(widths)
    return nn.ModuleList(
        Layer(inputs, outputs, config.activation, norm=config.norm, dropout=config.dropout)
        for inputs, outputs in pairs
    )
