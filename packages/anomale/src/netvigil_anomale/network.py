"""E-GraphSAGE with edge features, and the discriminator of deep graph infomax: shapes only.

Source: Caville et al., Anomal-E (Knowledge-Based Systems 258:110030, section 3) and its official
notebook; Lo et al., E-GraphSAGE (arXiv 2103.16329) for messages with node states.

| paper | here |
|---|---|
| x_v, constant ones as wide as the edge features | never stored: `Gather.first` |
| h_N(v), mean of incoming edge features | `gathered` |
| h_v = ReLU(W_apply [x_v, h_N(v)] + b) | `Gather` |
| z_uv = W_edge [h_u, h_v] + b | `EdgeSage.edge` |
| D(z, s) = z^T W s | `Discriminator` |

As in the official code every layer sees the flows' own features again, beside the previous layer's
host states, and only the last layer's W_edge counts; the others are not made here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from netvigil_anomale.config import AnomalEConfig


class ReluLinear(nn.Linear):
    """A linear map before a ReLU: Xavier-uniform weight with gain sqrt(2), PyTorch's own bias."""

    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weight and the bias."""
        nn.init.xavier_uniform_(self.weight, gain=math.sqrt(2.0), generator=rng)
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.bias, -bound, bound, generator=rng)


class Gather(nn.Module):
    """One round of messages: host states from the previous ones and what the hosts gather.

    With `message`, an edge's message is W_msg [h_other, e] + b; without, e itself. Both are linear,
    so their mean over a host's edges needs the means of h_other and e only.
    """

    message: ReluLinear | None

    def __init__(self, states: int, features: int, hidden: int, *, node_messages: bool) -> None:
        super().__init__()
        self.message = ReluLinear(states + features, hidden) if node_messages else None
        self.update = ReluLinear(states + (hidden if node_messages else features), hidden)

    def forward(self, states: Tensor, gathered: Tensor) -> Tensor:
        """Return new host states.

        Shapes:
            states: [nodes, states], or [1, states] where all are equal; gathered: [nodes, features
                or hidden]; returns: [nodes, hidden]
        """
        width = states.shape[1]
        weight = self.update.weight
        own = linear(states, weight[:, :width], self.update.bias)
        return torch.relu(linear(gathered, weight[:, width:]) + own)


class EdgeSage(nn.Module):
    """E-GraphSAGE: rounds of `Gather`, then an embedding per edge from the hosts at its ends."""

    def __init__(self, features: int, config: AnomalEConfig) -> None:
        super().__init__()
        self.features = features
        self.own_edge = config.own_edge
        widths = [features] + [config.hidden] * (config.layers - 1)
        self.rounds = nn.ModuleList(
            Gather(width, features, config.hidden, node_messages=config.messages == "node-edge")
            for width in widths
        )
        own = features if config.own_edge else 0
        self.edge = nn.Linear(2 * config.hidden + own, config.embedding)

    @property
    def gathers(self) -> list[Gather]:
        """The rounds, in order."""
        return [part for part in self.rounds if isinstance(part, Gather)]

    def node_states(self, gathered: Callable[[Gather, Tensor], Tensor]) -> Tensor:
        """Return the last host states, [nodes, hidden].

        `gathered(round, states)` returns the mean message of each host in a round, given the states
        before it: [1, features] of ones in the first (equal for all), then [nodes, hidden].
        """
        states = self.edge.weight.new_ones(1, self.features)
        for part in self.gathers:
            states = part(states, gathered(part, states))
        return states

    def ends(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return W_edge cut by what it multiplies: source, destination, own features or None.

        Shapes:
            [embedding, hidden] twice, [embedding, features]
        """
        hidden = self.gathers[-1].update.out_features
        weight = self.edge.weight
        own = weight[:, 2 * hidden :] if self.own_edge else None
        return weight[:, :hidden], weight[:, hidden : 2 * hidden], own


class Discriminator(nn.Module):
    """D(z, s) = z^T W s, W uniform in +-1/sqrt(dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dim))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weight."""
        bound = 1 / math.sqrt(len(self.weight))
        nn.init.uniform_(self.weight, -bound, bound, generator=rng)

    def forward(self, summary: Tensor) -> Tensor:
        """Return W s of each window, so that a logit is a scalar product with z.

        Shapes:
            summary: [windows, dim]; returns: [windows, dim]
        """
        return summary @ self.weight.T


class Infomax(nn.Module):
    """What is trained: the encoder, kept afterwards, and the discriminator, which is not."""

    def __init__(self, features: int, config: AnomalEConfig) -> None:
        super().__init__()
        self.sage = EdgeSage(features, config)
        self.discriminator = Discriminator(config.embedding)
