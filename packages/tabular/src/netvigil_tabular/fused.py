"""The loss of an autoencoder without norm or dropout, with its gradient written out.

It is what `losses.errors(x, network.decode(network.encode(x)))` and autograd give, to rounding, in
less than half of the time: at a few hundred flows per step autograd's bookkeeping and fresh memory
cost as much as the matrix products. Here results lie in memory that is used again, activations are
taken in place and differentiated by their results, and gradients go where the optimizer reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from netvigil_tabular.config import Loss
from netvigil_tabular.losses import errors, slopes
from netvigil_tabular.network import Layer

_aten = torch.ops.aten
ROOMS = 4  # batch sizes whose memory is kept: an epoch's differ by one flow
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
_BACKWARD: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # in place; may spoil y
    "relu": lambda slope, y: slope.mul_(y.sign_()),  # a result is read once, and is not negative
    "leaky-relu": lambda slope, y: _aten.leaky_relu_backward.grad_input(
        slope,
        y,
        _LEAKY,
        True,  # noqa: FBT003 - by position only
        grad_input=slope,
    ),
    "elu": lambda slope, y: _elu_back(slope, y, 1, 1),
    "selu": lambda slope, y: _elu_back(slope, y, *_SELU),
    "tanh": lambda slope, y: _aten.tanh_backward.grad_input(slope, y, grad_input=slope),
    "sigmoid": lambda slope, y: _aten.sigmoid_backward.grad_input(slope, y, grad_input=slope),
}


def _elu_back(slope: Tensor, y: Tensor, alpha: float, scale: float) -> Tensor:
    found: Tensor = _aten.elu_backward.grad_input(slope, alpha, scale, 1, True, y, grad_input=slope)  # noqa: FBT003
    return found


def can_fuse(layers: list[Layer]) -> bool:
    """Whether layers are nothing but linear maps and activations that tell their slope."""
    return all(
        layer.norm is None
        and layer.dropout == 0
        and (layer.activation is None or layer.activation in _BACKWARD)
        for layer in layers
    )


class DirectLoss:
    """The mean error of flows; in training its gradient is left in the parameters' `grad`."""

    def __init__(self, layers: list[Layer], loss: Loss) -> None:
        self._layers, self._loss = layers, loss
        self._rooms: dict[int, list[_Room]] = {}
        self._where = 0

    @torch.no_grad()
    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the loss of a batch, a scalar without a graph.

        Shapes:
            x: [flows, features], to which no gradient flows
        """
        if not training:
            return errors(x, forward(self._layers, x)[-1], self._loss).mean()
        rooms = self._room(x)
        loss = self._ahead(x, rooms)
        _back(x, rooms)
        return loss

    def _room(self, x: Tensor) -> list[_Room]:
        """Return the memory for batches of this size, taken anew where parameters have moved."""
        where = self._layers[0].dense.weight.data_ptr()
        if where != self._where or len(self._rooms) > ROOMS:
            self._rooms, self._where = {}, where
        if len(x) not in self._rooms:
            self._rooms[len(x)] = [_Room.of(layer, x) for layer in self._layers]
        return self._rooms[len(x)]

    def _ahead(self, x: Tensor, rooms: list[_Room]) -> Tensor:
        """Fill results, and the slope of the last one; return the loss."""
        given = x
        for room in rooms:
            torch.addmm(room.bias, given, room.turned, out=room.result)
            if room.activate is not None:
                room.activate(room.result)
            given = room.result
        slope, cells = rooms[-1].slope, x.numel()
        if self._loss == "mse":
            torch.sub(given, x, out=slope)
            flat = slope.view(-1)
            loss = torch.dot(flat, flat) / cells
            slope.mul_(2 / cells)
            return loss
        loss = errors(x, given, self._loss).mean()
        torch.div(slopes(x, given, self._loss), cells, out=slope)
        return loss


def _back(x: Tensor, rooms: list[_Room]) -> None:
    """Write the gradients, from the last layer to the first."""
    for number in reversed(range(len(rooms))):
        room = rooms[number]
        if room.differentiate is not None:
            room.differentiate(room.slope, room.result)
        torch.sum(room.slope, 0, out=room.of_bias)
        if number:
            before = rooms[number - 1]
            torch.mm(room.slope_turned, before.result, out=room.of_weight)
            torch.mm(room.slope, room.weight, out=before.slope)
        else:
            torch.mm(room.slope_turned, x, out=room.of_weight)


class _Room(NamedTuple):
    """What a step needs of one layer, for one batch size, looked up once.

    Shapes:
        result, slope: [flows, outputs]; weight, of_weight: [outputs, inputs]; bias, of_bias:
            [outputs]; turned, slope_turned: transposed views
    """

    weight: Tensor
    turned: Tensor
    bias: Tensor
    of_weight: Tensor
    of_bias: Tensor
    result: Tensor
    slope: Tensor
    slope_turned: Tensor
    activate: Callable[[Tensor], Tensor] | None
    differentiate: Callable[[Tensor, Tensor], Tensor] | None

    @staticmethod
    def of(layer: Layer, x: Tensor) -> _Room:
        """Take room for batches like this one."""
        weight, bias = layer.dense.weight, layer.dense.bias
        result, slope = x.new_empty(2, len(x), len(bias)).unbind(0)
        return _Room(
            weight.detach(),
            weight.detach().t(),
            bias.detach(),
            _gradient(weight),
            _gradient(bias),
            result,
            slope,
            slope.t(),
            None if layer.activation is None else _FORWARD[layer.activation],
            None if layer.activation is None else _BACKWARD[layer.activation],
        )


def _gradient(parameter: Tensor) -> Tensor:
    """Return where a parameter's gradient belongs."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad


def forward(layers: list[Layer], x: Tensor) -> list[Tensor]:
    """Return what each layer gives, the last one's result last; no gradient is kept."""
    results = []
    for layer in layers:
        x = functional.linear(x, layer.dense.weight, layer.dense.bias)
        if layer.activation is not None:
            x = _FORWARD[layer.activation](x)
        results.append(x)
    return results
