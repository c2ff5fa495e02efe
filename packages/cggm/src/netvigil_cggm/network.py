"""Generator T and discriminator D of CGGM, batched over snapshots.

| paper | here |
|---|---|
| A_o, A_g | `noise` and its thinned form, see `thin` |
| X_o, X*_o | noise, and what `Convolution` makes of it |
| Q, K, V, Z | inside `Attention` |
| C, C* | labels, and their `Embedding` |
| T, D | `Generator`, `Critic` |

Differences from the paper: its softmax(Q^T K) V has no fitting shapes for nodes, so there are two
readings of it; the output passes a sigmoid, since features lie in [0, 1]; D gives one number and no
softmax, as a Wasserstein critic does; the label embedding ends in a leaky ReLU, see `Embedding`.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot

from netvigil_cggm.config import CggmConfig

Kind = Literal["feature", "node"]
LEAK = 0.2  # slope of leaky ReLUs below 0


def thin(noise: Tensor, edges: Tensor) -> Tensor:
    """Keep exactly the `edges` largest entries of each matrix, off the diagonal.

    Shapes:
        noise: [snapshots, nodes, nodes], any finite numbers; edges: int64 [snapshots]
        returns: 0 and 1 of the type of `noise`

    Example:
        >>> thin(torch.tensor([[[0.9, 0.1], [0.3, 0.8]]]), torch.tensor([1]))
        tensor([[[0., 0.],
                 [1., 0.]]])
    """
    nodes = noise.shape[-1]
    loop = torch.eye(nodes, dtype=torch.bool, device=noise.device)
    flat = noise.masked_fill(loop, -math.inf).flatten(1)
    # Places, not a cut: equal numbers would be kept or lost together.
    order = flat.argsort(dim=1, descending=True, stable=True)
    kept = (torch.arange(flat.shape[1], device=noise.device) < edges[:, None]).to(noise.dtype)
    return torch.zeros_like(flat).scatter(1, order, kept).view_as(noise)


def normalised(links: Tensor) -> Tensor:
    """Return D^-1/2 (A + I) D^-1/2 of links made symmetric, [snapshots, nodes, nodes]."""
    both = torch.maximum(links, links.transpose(1, 2))
    loop = torch.eye(links.shape[-1], dtype=links.dtype, device=links.device)
    both = both * (1 - loop) + loop
    scale = both.sum(-1).rsqrt()
    return both * scale[:, :, None] * scale[:, None, :]


class Convolution(nn.Module):
    """One graph convolution: links times X W + b, through a leaky ReLU (slope 0.2)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(features, width)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        """Mix neighbours.

        Shapes:
            x: [snapshots, nodes, features]; links: [snapshots, nodes, nodes], `normalised`
            returns: [snapshots, nodes, width]
        """
        mixed: Tensor = links @ self.weigh(x)
        return leaky_relu(mixed, LEAK)


class Attention(nn.Module):
    """Attention in heads, over features or over nodes; the width stays.

    Where heads do not divide the width, each is rounded up and a linear map leads back.
    """

    def __init__(self, width: int, heads: int, kind: Kind) -> None:
        super().__init__()
        self.heads, self.kind = heads, kind
        inner = heads * math.ceil(width / heads)
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.back = nn.Linear(inner, width) if inner != width else None

    def forward(self, x: Tensor) -> Tensor:
        """Attend, [snapshots, nodes, width] to the same."""
        q, k, v = (self._split(part(x)) for part in (self.query, self.key, self.value))
        if self.kind == "feature":
            score = q.transpose(-1, -2) @ k / math.sqrt(x.shape[1])  # [S, heads, w, w]
            z = v @ score.softmax(-1).transpose(-1, -2)
        else:
            score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # [S, heads, nodes, nodes]
            z = score.softmax(-1) @ v
        z = z.transpose(1, 2).flatten(2)  # [S, nodes, heads * w]
        if self.back is not None:
            z = self.back(z)
        return z

    def _split(self, x: Tensor) -> Tensor:
        """Turn [S, nodes, heads * w] into [S, heads, nodes, w]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Alive(nn.Linear):
    """A linear map whose outputs start above 0: behind its ReLU no feature of a class is dead."""

    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights as PyTorch does, and start from a bias of 1."""
        bound = 1 / math.sqrt(self.in_features)
        self.weight.uniform_(-bound, bound, generator=rng)
        self.bias.fill_(1.0)


class Embedding(nn.Module):
    """C* = act(MLP(one-hot label)), [snapshots, nodes, features].

    Published is a ReLU (`slope` 0). Behind it a feature that the commonest class pulls below 0 is
    dead for all classes, and none of them ever learns it again; a slope keeps it alive.
    """

    def __init__(self, classes: int, hidden: int, features: int, slope: float) -> None:
        super().__init__()
        self.classes, self.slope = classes, slope
        self.first, self.second = nn.Linear(classes, hidden), Alive(hidden, features)

    def forward(self, label: Tensor) -> Tensor:
        """Embed labels, int64 [snapshots, nodes]."""
        # By class and then looked up: as many rows as there are classes, not nodes.
        known = torch.eye(self.classes, device=label.device)
        table = leaky_relu(self.second(self.first(known).relu()), self.slope)
        picked = one_hot(label, self.classes).to(table.dtype)
        embedded: Tensor = picked @ table
        return embedded


def slope_of(config: CggmConfig) -> float:
    """Return the slope below 0 of the label embedding's activation."""
    return 0.0 if config.embedding == "relu" else LEAK


class Made(NamedTuple):
    """Generated snapshots.

    Shapes:
        x: [snapshots, nodes, features], within [0, 1]; links: [snapshots, nodes, nodes], 0 or 1
    """

    x: Tensor
    links: Tensor


class Generator(nn.Module):
    """T: noise and labels to features and links."""

    def __init__(self, features: int, classes: int, config: CggmConfig) -> None:
        super().__init__()
        self.features, self.convolve, self.backbone = features, config.convolve, config.backbone
        if config.backbone == "linear":
            self.linear = nn.Linear(features, features)
        else:
            self.convolution = Convolution(features, features)
            self.attention = Attention(features, config.heads, config.attention)
        self.embedding = Embedding(classes, config.hidden, features, slope_of(config))

    def forward(self, label: Tensor, edges: Tensor, noise: Made) -> Made:
        """Make snapshots of these labels, with exactly so many links.

        Shapes:
            label: int64 [snapshots, nodes]; edges: int64 [snapshots]
            noise: uniform numbers of the shapes of what is made, see `draw_noise`
        """
        links = thin(noise.links, edges)
        if self.backbone == "linear":
            z = self.linear(noise.x)
        else:
            graph = links if self.convolve == "thinned" else noise.links
            z = self.attention(self.convolution(noise.x, normalised(graph)))
        return Made((z + self.embedding(label)).sigmoid(), links)


class Judged(NamedTuple):
    """What the critic says.

    Shapes:
        score: [snapshots], the mean over nodes; logit: [snapshots, nodes, 1]
        embedding: [snapshots, nodes, hidden]
    """

    score: Tensor
    logit: Tensor
    embedding: Tensor


class Critic(nn.Module):
    """D: features, labels and links to a number per snapshot; mirrors `Generator`."""

    def __init__(self, features: int, classes: int, config: CggmConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.embedding = Embedding(classes, hidden, features, slope_of(config))
        self.join = nn.Linear(2 * features, features)
        self.convolution = Convolution(features, features)
        self.attention = Attention(features, config.heads, config.attention)
        self.first, self.second = nn.Linear(features, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, label: Tensor, links: Tensor) -> Judged:
        """Judge snapshots.

        Shapes:
            x: [snapshots, nodes, features]; label: int64 [snapshots, nodes]
            links: [snapshots, nodes, nodes], `normalised`
        """
        joined = self.join(torch.cat([x, self.embedding(label)], -1))
        z = self.attention(self.convolution(joined, links))
        h = leaky_relu(self.second(leaky_relu(self.first(z), LEAK)), LEAK)
        logit = self.last(h)
        return Judged(logit.mean((1, 2)), logit, h)


def draw_noise(snapshots: int, nodes: int, features: int, rng: torch.Generator) -> Made:
    """Draw uniform features and links on the generator's device."""
    x = torch.rand(snapshots, nodes, features, generator=rng, device=rng.device)
    links = torch.rand(snapshots, nodes, nodes, generator=rng, device=rng.device)
    return Made(x, links)
