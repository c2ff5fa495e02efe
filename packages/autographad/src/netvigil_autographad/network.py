"""The network of AutoGraphAD: modules, shapes in, shapes out.

Flows and hosts are nodes; a flow is linked to its source and to its destination host. Symbols of
the description and names here, for one layer and one of the relations r:

    h_v = act( sum_r W_r mean_{u in N_r(v)} x_u + b_r + W_self x_v )
    W_r `neighbour`, b_r `bias`, W_self `own`, N_r the kept links

which is PyG's `SAGEConv(mean)` for each relation inside `HeteroConv(aggr="sum")`, parameter for
parameter. It is computed otherwise: the `own` matrices of a node type are added up before they are
applied, everything a flow gets is one product, and what does not depend on parameters (means of
features, the hosts' constant placeholders) is averaged before a matrix sees it.

The paper leaves open whether relations have weights of their own, what the heads look like, what
hosts start from and whether the decoder sees cut links; see `config.py`. Here the decoder sees the
same kept links as the encoder.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from netvigil_autographad.batch import View
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.links import meet

# exp(10) is as wide as a useful posterior gets; beyond it a step could overflow.
LOGVAR = 10.0


class Normal(NamedTuple):
    """A normal distribution per node: `mean` and `logvar`, [nodes, hidden] each."""

    mean: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Return mean + noise * standard deviation."""
        return torch.addcmul(self.mean, noise, (0.5 * self.logvar).exp())


class Latent(NamedTuple):
    """What the encoder says of flows and of hosts."""

    flows: Normal
    hosts: Normal


class Relations(nn.Module):
    """The relations that end in one node type: those by source and by destination host.

    Shapes:
        neighbour: [relations, out, neighbours' width]; own: [relations, out, own width]
        bias: [relations, out]; one relation stands for two that share their weights
    """

    def __init__(self, neighbours: int, own: int, out: int, *, relations: int) -> None:
        super().__init__()
        self.neighbour = nn.Parameter(torch.empty(relations, out, neighbours))
        self.bias = nn.Parameter(torch.empty(relations, out))
        self.own = nn.Parameter(torch.empty(relations, out, own))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw what `SAGEConv` draws: uniform in +-1/sqrt(inputs)."""
        bound = 1 / math.sqrt(self.neighbour.shape[2])
        self.neighbour.uniform_(-bound, bound, generator=rng)
        self.bias.uniform_(-bound, bound, generator=rng)
        bound = 1 / math.sqrt(self.own.shape[2])
        self.own.uniform_(-bound, bound, generator=rng)

    def sides(self) -> tuple[Tensor, Tensor]:
        """Return the neighbours' weights by source and by destination."""
        return self.neighbour[0], self.neighbour[-1]

    def totals(self) -> tuple[Tensor, Tensor]:
        """Return the own weights and the biases, added up over both relations."""
        own, bias = self.own.sum(0), self.bias.sum(0)
        return (own, bias) if len(self.bias) == 2 else (2 * own, 2 * bias)


class FlowLayer(nn.Module):
    """Values of flows from their own and from those of their two hosts."""

    def __init__(self, flows: int, hosts: int, out: int, *, relations: int) -> None:
        super().__init__()
        self.relations = Relations(hosts, flows, out, relations=relations)

    def parts(self, hosts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return own weights [out, flows' width], biases [out], what hosts send [2 nodes, out]."""
        src, dst = self.relations.sides()
        return *self.relations.totals(), torch.cat([hosts @ src.t(), hosts @ dst.t()])

    def forward(self, view: View, flows: Tensor, hosts: Tensor) -> Tensor:
        """Return [flows, out] before any activation."""
        own, bias, sent = self.parts(hosts)
        if view.keep is not None:
            return meet(sent, view.links, view.keep).addmm_(flows, own.t()).add_(bias)
        # Each flow has two links, so what hosts send can bring the bias along.
        return meet(sent + 0.5 * bias, view.links, None).addmm_(flows, own.t())


class SageLayer(nn.Module):
    """Values of flows and hosts from their own and their neighbours'."""

    def __init__(self, flows: int, hosts: int, out: int, *, relations: int) -> None:
        super().__init__()
        self.to_flows = FlowLayer(flows, hosts, out, relations=relations)
        self.to_hosts = Relations(flows, hosts, out, relations=relations)

    def forward(self, view: View, flows: Tensor, hosts: Tensor) -> tuple[Tensor, Tensor]:
        """Return [flows, out] and [nodes, out] before any activation."""
        own, bias = self.to_hosts.totals()
        weight = torch.cat([own, *self.to_hosts.sides()], 1)
        arrived = torch.cat([hosts, view.mean(flows, 0), view.mean(flows, 1)], 1)
        return self.to_flows(view, flows, hosts), functional.linear(arrived, weight, bias)


class FirstLayer(SageLayer):
    """The first layer, whose inputs carry no gradient: features, the token, and ones of hosts.

    What a flow gets from a host is constant, so cut links and masks are columns of its input; what
    a host gets are means of these columns. Nothing per flow is copied.
    """

    def __init__(self, features: int, ones: int, out: int, *, relations: int) -> None:
        super().__init__(features, ones, out, relations=relations)
        self.token = nn.Parameter(torch.empty(features))

    def initialise(self, rng: torch.Generator) -> None:
        """Start from a token of zeros, as GraphMAE does."""
        del rng
        self.token.zero_()

    def start(self, view: View) -> tuple[Tensor, Tensor]:
        """Return [flows, out] and [nodes, out] before any activation."""
        return self._flows(view), self._hosts(view)

    def _flows(self, view: View) -> Tensor:
        own, bias = self.to_flows.relations.totals()
        src, dst = (side.sum(1) for side in self.to_flows.relations.sides())  # of ones
        bias = bias + src + dst
        if view.keep is None:
            return functional.linear(view.inputs, own, bias)
        columns = torch.stack([own @ self.token, -src, -dst, bias], 1)
        return view.inputs @ torch.cat([own, columns], 1).t()

    def _hosts(self, view: View) -> Tensor:
        own, bias = self.to_hosts.totals()
        weights = []
        for side in self.to_hosts.sides():
            weights.append(side)
            if view.keep is not None:
                weights.append((side @ self.token)[:, None])
        arrived = torch.cat(view.means, 1)
        return functional.linear(arrived, torch.cat(weights, 1), bias + own.sum(1))


class Heads(nn.Module):
    """Means and log variances of z, each node from its own values."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.flow_mean, self.flow_logvar = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.host_mean, self.host_logvar = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)

    def forward(self, view: View, flows: Tensor, hosts: Tensor) -> Latent:
        """Return the distributions; log variances are not clamped yet."""
        del view
        return Latent(
            Normal(self.flow_mean(flows), self.flow_logvar(flows)),
            Normal(self.host_mean(hosts), self.host_logvar(hosts)),
        )


class SageHeads(nn.Module):
    """Means and log variances of z, from own and neighbours' values."""

    def __init__(self, hidden: int, *, relations: int) -> None:
        super().__init__()
        self.mean = SageLayer(hidden, hidden, hidden, relations=relations)
        self.logvar = SageLayer(hidden, hidden, hidden, relations=relations)

    def forward(self, view: View, flows: Tensor, hosts: Tensor) -> Latent:
        """Return the distributions; log variances are not clamped yet."""
        means, logvars = self.mean(view, flows, hosts), self.logvar(view, flows, hosts)
        return Latent(*(Normal(*both) for both in zip(means, logvars, strict=True)))


class Network(nn.Module):
    """Encoder, heads, feature decoder and structure decoder.

    Shapes:
        link_weight: [2, hidden], w of s = sum_k w_k z_flow,k z_host,k + b, by source, destination
        link_bias: [2], b
    """

    def __init__(self, features: int, config: AutoGraphADConfig) -> None:
        super().__init__()
        hidden, relations = config.hidden, 2 if config.distinct_relations else 1
        self.first = FirstLayer(features, config.host_width, hidden, relations=relations)
        self.later = nn.ModuleList(
            SageLayer(hidden, hidden, hidden, relations=relations) for _ in range(config.layers - 1)
        )
        self.heads = (
            Heads(hidden) if config.heads == "linear" else SageHeads(hidden, relations=relations)
        )
        self.decoder = FlowLayer(hidden, hidden, features, relations=relations)
        self.link_weight = nn.Parameter(torch.empty(relations, hidden))
        self.link_bias = nn.Parameter(torch.empty(relations))

    def initialise(self, rng: torch.Generator) -> None:
        """Start from the plain inner product."""
        del rng
        self.link_weight.fill_(1.0)
        self.link_bias.zero_()

    def encode(self, view: View) -> Latent:
        """Return the distributions of z."""
        flows, hosts = (values.relu_() for values in self.first.start(view))
        for layer in self.later:
            flows, hosts = (values.relu_() for values in layer(view, flows, hosts))
        made: Latent = self.heads(view, flows, hosts)
        return Latent(*(Normal(n.mean, _clamped(n.logvar)) for n in made))

    def decode(self, view: View, flows: Tensor, hosts: Tensor) -> Tensor:
        """Return the features of flows from z of flows and hosts, [flows, features]."""
        decoded: Tensor = self.decoder(view, flows, hosts)
        return decoded

    def link_table(self, hosts: Tensor) -> Tensor:
        """Return w * z of hosts as sources, then as destinations, [2 nodes, hidden]."""
        weight = self.link_weight
        return torch.cat([hosts * weight[0], hosts * weight[-1]])

    def link_biases(self) -> Tensor:
        """Return b by source and by destination, [2]."""
        return self.link_bias if len(self.link_bias) == 2 else self.link_bias.repeat(2)


def _clamped(logvar: Tensor) -> Tensor:
    """Return log variances within their limits.

    On a CPU, where looking is cheap, what is within them already is returned as it is: the gradient
    of `clamp` takes three passes. A GPU would have to wait for the answer.
    """
    if logvar.device.type == "cpu" and logvar.numel():
        low, high = logvar.detach().aminmax()
        if low.item() >= -LOGVAR and high.item() <= LOGVAR:  # false also where one is no number
            return logvar
    return logvar.clamp(-LOGVAR, LOGVAR)
