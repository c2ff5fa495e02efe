"""The loss of an autoencoder without norm or dropout, with its gradient written out.

It is what `losses.errors(x, network.decode(network.encode(x)))` and autograd give, to rounding, in
about half of the time: at a few hundred flows per step autograd's bookkeeping costs as much as the
matrix products. Activations are taken in place, and differentiated by their results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from netvigil_tabular.config import Loss
from netvigil_tabular.losses import errors, slopes
from netvigil_tabular.network import Layer

_aten = torch.ops.aten
_LEAKY = 0.01  # PyTorch's default slope
_SELU = (1.6732632423543772, 1.0507009873554805)  # alpha and scale (Klambauer et al., 2017)

_FORWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "leaky-relu": lambda x: functional.leaky_relu_(x, _LEAKY),
    "elu": functional.elu_,
    "selu": torch.selu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
}
_BACKWARD: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda grad, y: _aten.threshold_backward(grad, y, 0),
    "leaky-relu": lambda grad, y: _aten.leaky_relu_backward(grad, y, _LEAKY, True),  # noqa: FBT003 - by position only
    "elu": lambda grad, y: _aten.elu_backward(grad, 1, 1, 1, True, y),  # noqa: FBT003
    "selu": lambda grad, y: _aten.elu_backward(grad, *_SELU, 1, True, y),  # noqa: FBT003
    "tanh": _aten.tanh_backward,
    "sigmoid": _aten.sigmoid_backward,
}


def can_fuse(layers: list[Layer]) -> bool:
    """Whether layers are nothing but linear maps and activations that tell their slope."""
    return all(
        layer.norm is None
        and layer.dropout == 0
        and (layer.activation is None or layer.activation in _BACKWARD)
        for layer in layers
    )


def reconstruction_loss(layers: list[Layer], x: Tensor, loss: Loss) -> Tensor:
    """Return the mean error of flows, a scalar whose gradient reaches the layers' parameters.

    Shapes:
        x: [flows, features], to which no gradient flows
    """
    parameters = [p for layer in layers for p in (layer.dense.weight, layer.dense.bias)]
    kinds = [layer.activation for layer in layers]
    value: Tensor = _Loss.apply(x, kinds, loss, *parameters)
    return value


def forward(layers: list[Layer], x: Tensor) -> list[Tensor]:
    """Return what each layer gives, the last one's result last; no gradient is kept."""
    results = []
    for layer in layers:
        x = functional.linear(x, layer.dense.weight, layer.dense.bias)
        if layer.activation is not None:
            x = _FORWARD[layer.activation](x)
        results.append(x)
    return results


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kinds: list[str | None], loss: Loss, *parameters: Tensor
    ) -> Tensor:
        results = [x]
        for number, kind in enumerate(kinds):
            weight, bias = parameters[2 * number : 2 * number + 2]
            hidden = functional.linear(results[-1], weight, bias)
            results.append(hidden if kind is None else _FORWARD[kind](hidden))
        ctx.results, ctx.kinds, ctx.loss, ctx.weights = results, kinds, loss, parameters[::2]
        if loss == "mse":
            return functional.mse_loss(results[-1], x)  # one pass
        return errors(x, results[-1], loss).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        results, kinds = ctx.results, ctx.kinds
        slope = slopes(results[0], results[-1], ctx.loss)
        slope.mul_(gradient / slope.numel())
        found: list[Tensor | None] = []
        for number in reversed(range(len(kinds))):
            kind, weight = kinds[number], ctx.weights[number]
            if kind is not None:
                slope = _BACKWARD[kind](slope, results[number + 1])
            found[:0] = [slope.T @ results[number], slope.sum(0)]
            if number:
                slope = slope @ weight
        return (None, None, None, *found)
