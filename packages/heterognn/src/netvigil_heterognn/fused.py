"""The network on a CPU, without autograd: its logits, and its loss with the gradient written out.

It is what `network(batch)`, `cross_entropy` and autograd give, to rounding, which the tests hold it
to. What makes it faster: what two hosts send to a flow is one product with a sparse matrix, and the
flow's own part is added where that lies. Matrices of source and destination lie side by side and
take one product. Results are overwritten by their activations, whose slopes they tell. A step goes
through its windows block by block, so that what the layers hold stays in the caches; gradients of
blocks add up, as windows share nothing but weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from netvigil.torch.parallel import side_by_side
from netvigil_heterognn.batch import HeteroBatch
from netvigil_heterognn.links import Links
from netvigil_heterognn.losses import counts
from netvigil_heterognn.network import Layer, Network

_slope_of_leaky = torch.ops.aten.leaky_relu_backward.grad_input


class Weights(NamedTuple):
    """The matrices of one layer, or their gradients; those of hosts are empty in the last layer.

    Shapes:
        own: [out, flows' width]; sent: [2 out, hosts' width], by source, then by destination
        bias: [2 out], of flows, as of the source's side, then zeros
        host_own: [out, hosts' width]; host_bias: [out]; arrived: [out, 2 flows' width]
    """

    own: Tensor
    sent: Tensor
    bias: Tensor
    host_own: Tensor
    host_bias: Tensor
    arrived: Tensor

    @staticmethod
    def of(layer: Layer) -> Weights:
        """Put the matrices of a layer side by side."""
        own, flow_bias = layer.flow_own.weight, layer.flow_own.bias
        sent = torch.cat([layer.source_to_flow.weight, layer.destination_to_flow.weight])
        bias = torch.cat([flow_bias, torch.zeros_like(flow_bias)])
        if layer.last:
            return Weights(own.detach(), sent, bias, *own.new_empty(3, 0).unbind())
        arrived = torch.cat([layer.flow_to_source.weight, layer.flow_to_destination.weight], 1)
        host_own, host_bias = layer.host_own.weight.detach(), layer.host_own.bias.detach()
        return Weights(own.detach(), sent, bias, host_own, host_bias, arrived)

    def write(self, layer: Layer) -> None:
        """Leave these gradients in the parameters of a layer."""
        _put(layer.flow_own, self.own, self.bias.tensor_split(2)[0])
        by_source, by_destination = self.sent.tensor_split(2)
        _put(layer.source_to_flow, by_source)
        _put(layer.destination_to_flow, by_destination)
        if not layer.last:
            _put(layer.host_own, self.host_own, self.host_bias)
            by_source, by_destination = self.arrived.tensor_split(2, 1)
            _put(layer.flow_to_source, by_source)
            _put(layer.flow_to_destination, by_destination)


class Fused(NamedTuple):
    """The matrices of a network, or their gradients; the last linear map's weight and bias last."""

    layers: list[Weights]
    weight: Tensor
    bias: Tensor
    slope: float  # of the activation below zero

    @staticmethod
    def of(network: Network) -> Fused:
        """Put the matrices of each layer side by side."""
        layers: list[Any] = list(network.layers)
        last = network.classes
        made = [Weights.of(layer) for layer in layers]
        return Fused(made, last.weight.detach(), last.bias.detach(), network.slope)

    def tensors(self) -> list[Tensor]:
        """Return every matrix."""
        return [*(t for layer in self.layers for t in layer), self.weight, self.bias]

    def like(self, tensors: Iterable[Tensor]) -> Fused:
        """Return the same with other tensors, in the order of `tensors`."""
        parts = iter(tensors)
        layers = [Weights(*islice(parts, len(Weights._fields))) for _ in self.layers]
        return Fused(layers, next(parts), next(parts), self.slope)

    def write(self, network: Network) -> None:
        """Leave this gradient in the parameters of a network."""
        layers: list[Any] = list(network.layers)
        for found, layer in zip(self.layers, layers, strict=True):
            found.write(layer)
        _put(network.classes, self.weight, self.bias)


class Values(NamedTuple):
    """What a network makes of a block, input first.

    Shapes:
        flows: [flows, width] each; hosts: [nodes, width] each, none after the last layer
        means: [nodes, 2 width] each, of the flows of each host as source, and as destination
        logits: [classes, flows]
    """

    flows: list[Tensor]
    hosts: list[Tensor]
    means: list[Tensor]
    logits: Tensor


@torch.no_grad()
def logits(network: Network, batch: HeteroBatch) -> Tensor:
    """Return what `network(batch)` does, [flows, classes]."""
    return _values(Fused.of(network), batch).logits.t()


@torch.no_grad()
def learn(
    network: Network, blocks: Sequence[HeteroBatch], *, training: bool
) -> tuple[Tensor, Tensor]:
    """Return the loss of a step, and the flows of each class by what they are said to be.

    In training its gradient is left in the parameters' `grad`. Blocks are done side by side and
    added up in their order, so that the sum is the same for any number of threads.

    Shapes:
        returns: a scalar; int64 [classes, classes], see `counts`
    """
    fused = Fused.of(network)
    rooms = [t.new_zeros(len(blocks), *t.shape) for t in fused.tensors()] if training else []
    gradients = [fused.like(found) for found in zip(*rooms, strict=True)]
    losses, found = fused.bias.new_zeros(len(blocks)), [Tensor()] * len(blocks)

    @torch.no_grad()
    def one(number: int) -> None:
        batch = blocks[number]
        made = _values(fused, batch)
        said = made.logits.t().contiguous().argmax(1)
        found[number] = counts(said, batch.y, len(fused.bias))
        share = torch.log_softmax(made.logits, 0)
        cells = share.view(-1)
        losses[number] = -torch.dot(cells.index_select(0, batch.target), batch.share)
        if training:
            slope = share.exp_().mul_(batch.share)
            cells.index_add_(0, batch.target, batch.share, alpha=-1)
            _back(fused, gradients[number], batch.links, made, slope)

    side_by_side(one, len(blocks), fused.bias.device)
    if training:
        fused.like(room.sum(0) for room in rooms).write(network)
    return losses.sum(), torch.stack(found).sum(0)


def _values(fused: Fused, batch: HeteroBatch) -> Values:
    """Return what every layer gives."""
    links = batch.links
    flows, hosts, means = [batch.graph.x], [batch.hosts], [batch.means]
    for number, layer in enumerate(fused.layers, start=1):
        # Every flow has one source, which brings the bias along.
        made = links.to_flows(functional.linear(hosts[-1], layer.sent, layer.bias))
        made.addmm_(flows[-1], layer.own.t())
        if number < len(fused.layers):
            if number > 1:
                means.append(links.means(flows[-1]))
            x = functional.linear(hosts[-1], layer.host_own, layer.host_bias)
            hosts.append(
                functional.leaky_relu_(x.addmm_(means[-1], layer.arrived.t()), fused.slope)
            )
        flows.append(functional.leaky_relu_(made, fused.slope))
    # Classes first: a softmax over so few numbers side by side is several times slower.
    found = torch.addmm(fused.bias[:, None], fused.weight, flows[-1].t())
    return Values(flows, hosts, means, found)


def _back(fused: Fused, gradient: Fused, links: Links, made: Values, slope: Tensor) -> None:
    """Add the gradient of a block, from the last layer to the first.

    Shapes:
        slope: [classes, flows], of the logits
    """
    gradient.bias.add_(slope.sum(1))
    gradient.weight.addmm_(slope, made.flows[-1])
    of_flows, of_hosts = slope.t() @ fused.weight, None
    for number in reversed(range(len(fused.layers))):
        layer, found = fused.layers[number], gradient.layers[number]
        of_flows = _leaky(of_flows, made.flows[number + 1], fused.slope)
        sent = links.to_hosts(of_flows)
        found.bias.add_(sent.sum(0))
        found.own.addmm_(of_flows.t(), made.flows[number])
        found.sent.addmm_(sent.t(), made.hosts[number])
        if of_hosts is not None:
            of_hosts = _leaky(of_hosts, made.hosts[number + 1], fused.slope)
            found.host_bias.add_(of_hosts.sum(0))
            found.host_own.addmm_(of_hosts.t(), made.hosts[number])
            found.arrived.addmm_(of_hosts.t(), made.means[number])
        if not number:
            return
        before = sent @ layer.sent
        if of_hosts is None:
            of_flows = of_flows @ layer.own
        else:
            table = of_hosts @ layer.arrived
            table.view(-1, table.shape[1] // 2).mul_(links.mean)
            of_flows = links.to_flows(table).addmm_(of_flows, layer.own)
            before.addmm_(of_hosts, layer.host_own)
        of_hosts = before


def _leaky(slope: Tensor, result: Tensor, steep: float) -> Tensor:
    """Turn the slope of an activation's result into that of its input, in place."""
    made: Tensor = _slope_of_leaky(slope, result, steep, True, grad_input=slope)  # noqa: FBT003
    return made


def _put(linear: nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    for parameter, gradient in ((linear.weight, weight), (linear.bias, bias)):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(gradient)
