"""`GraphRnn` (You et al. 2018, arXiv 1802.08773): links of a graph, one node after the other.

| paper | here |
|---|---|
| graph-level RNN over the adjacency vectors of nodes | `Links.graph`, a GRU |
| simplified form, GraphRNN-S: all links of a node at once | `Links.edges`, an MLP of Bernoulli |

It makes no features: those of real train nodes of the class are drawn again. How many links there
are is what the model decides, and none is cut off, so the distance of densities is a true figure.

Differences from the paper: snapshots share their addresses, so nodes come in the order of these and
not in breadth-first order, of which there are many; each may be linked with all before it. Links
are directed: a node's vector has those that it sends to earlier ones, then those it receives. The
graph-level GRU also sees which node comes next and its class, and the chance of a link gets a term
of the two classes, since graphs are made for given classes. Graphs have as many nodes as there are
addresses, so nothing says where they end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from netvigil.errors import ContractError
from netvigil.protocols import Watch
from netvigil.torch.device import resolve_device, threads_for
from netvigil.torch.generators import build, generator
from netvigil_cggm.rivals import ByClass, Rows
from netvigil_cggm.snapshots import Snapshots
from netvigil_cggm.steps import descend, play

BLOCK = 256  # snapshots made at a time


@dataclass(frozen=True)
class GraphRnnSettings:
    """How `GraphRnn` learns; a batch is of snapshots."""

    steps: int = 600
    batch: int = 32
    hidden: int = 64
    learning_rate: float = 3e-3
    device: str = "cpu"


class Gru(nn.GRU):
    """A GRU of one layer, as PyTorch starts it."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, batch_first=True)

    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            weight.uniform_(-bound, bound, generator=rng)


class Pairs(nn.Module):
    """What the classes of two nodes add to the logit of a link, from row to column."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Start from no difference."""
        del rng
        self.weight.fill_(0.0)

    def forward(self, label: Tensor) -> Tensor:
        """Return [snapshots, nodes, nodes] for labels [snapshots, nodes]."""
        return self.weight[label[:, :, None], label[:, None, :]]


class Links(nn.Module):
    """The chances of a node's links to the nodes before it, given those of the nodes before it."""

    def __init__(self, nodes: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.nodes, self.classes = nodes, classes
        self.graph = Gru(2 * nodes + classes + nodes, hidden)
        self.edges = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2 * nodes)
        )
        self.pairs = Pairs(classes)

    def forward(
        self, before: Tensor, label: Tensor, first: int, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits of what a run of nodes sends to and receives from all, and the GRU's state.

        Shapes:
            before: float32 [snapshots, run, 2, nodes], the vector of the node before each
            label: int64 [snapshots, nodes], of all; the run starts at node `first`
            returns: [snapshots, run, 2, nodes]; only columns of earlier nodes mean anything
        """
        run = slice(first, first + before.shape[1])
        place = torch.eye(self.nodes, device=before.device)[run].expand(len(label), -1, -1)
        known = one_hot(label[:, run], self.classes).to(before.dtype)
        h, state = self.graph(torch.cat([before.flatten(2), known, place], 2), state)
        logits = self.edges(h).view(*h.shape[:2], 2, self.nodes)
        by_class = self.pairs(label)
        both = torch.stack([by_class[:, run], by_class.transpose(1, 2)[:, run]], 2)
        return logits + both, state


def vectors(links: Tensor) -> Tensor:
    """Return what each node sends to and receives from the nodes before it.

    Shapes:
        links: float32 [snapshots, nodes, nodes]; returns [snapshots, nodes, 2, nodes]
    """
    return torch.stack([links.tril(-1), links.transpose(1, 2).tril(-1)], 2)


class GraphRnn(ByClass):
    """Features of real nodes, and links of an autoregressive network, as many as it decides.

    Raises:
        ConfigError: A device that is not there.
        ContractError: Labels for another number of nodes than were learnt.
        TrainingError: A loss that is not finite.
    """

    def __init__(self, settings: GraphRnnSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or GraphRnnSettings()
        self.network_: Links | None = None
        self._device = resolve_device(self.settings.device)
        self._watch = Watch()

    def watch(self, watch: Watch) -> None:
        """Report the next `fit_snapshots` to `watch`."""
        self._watch = watch

    def fit_snapshots(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Keep the nodes of each class, and learn links."""
        super().fit_snapshots(snapshots, seed=seed)
        s, device = self.settings, self._device
        label = torch.tensor(snapshots.label, device=device)
        wanted = vectors(torch.tensor(snapshots.links, dtype=torch.float32, device=device))
        nodes, classes = snapshots.nodes, len(snapshots.classes)
        network = build(lambda: Links(nodes, classes, s.hidden), generator(seed, 0), device)
        dice = generator(seed, 1, device=device)
        optimizer = torch.optim.Adam(network.parameters(), lr=s.learning_rate)
        earlier = torch.ones(nodes, nodes, device=device).tril(-1)[:, None, :]
        size = min(s.batch, len(snapshots))

        def step() -> dict[str, float]:
            rows = torch.randint(len(wanted), (size,), generator=dice, device=device)
            truth = wanted[rows]
            before = torch.cat([torch.zeros_like(truth[:, :1]), truth[:, :-1]], 1)
            logits, _ = network(before, label[rows], 0)
            loss = binary_cross_entropy_with_logits(logits, truth, earlier.expand_as(truth))
            # The mean over pairs: half of all entries lie behind a node and count for nothing.
            return {"links": descend(loss * nodes / (nodes - 1) * 2, optimizer)}

        with threads_for(size * nodes, device):
            play(step, s.steps, name="graphrnn", seed=seed, watch=self._watch)
        self.network_ = network.eval()
        return self

    def _make(
        self, label: NDArray[np.int64], edges: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Rows, NDArray[np.bool_]]:
        """Draw features again, and links node by node; `edges` is not asked for."""
        del edges
        network = self.network_
        assert network is not None
        if label.shape[1] != network.nodes:
            msg = f"Labels for {label.shape[1]} nodes, and {network.nodes} were learnt."
            raise ContractError(msg)
        x = self._features(label, rng)
        dice = generator(int(rng.integers(2**63)), device=self._device)
        links = np.empty((*label.shape, label.shape[1]), np.bool_)
        for first in range(0, len(label), BLOCK):
            here = slice(first, first + BLOCK)
            given = torch.tensor(label[here], device=self._device)
            links[here] = unroll(network, given, dice).cpu().numpy()
        return x, links


def unroll(network: Links, label: Tensor, dice: torch.Generator) -> Tensor:
    """Draw links node by node, bool [snapshots, nodes, nodes], for labels [snapshots, nodes]."""
    many, nodes = label.shape
    links = torch.zeros(many, nodes, nodes, dtype=torch.bool, device=label.device)
    before, state = torch.zeros(many, 1, 2, nodes, device=label.device), None
    with torch.no_grad():
        for node in range(nodes):
            logits, state = network(before, label, node, state)
            luck = torch.rand(logits.shape, generator=dice, device=label.device)
            drawn = luck < logits.sigmoid()
            drawn[..., node:] = False
            links[:, node] |= drawn[:, 0, 0]
            links[:, :, node] |= drawn[:, 0, 1]
            before = drawn.float()
    return links
