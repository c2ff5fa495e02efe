"""Anomal-E the straightforward way: full tensors over every edge, in plain torch.

Every flow becomes an edge each way (a self-loop one edge), as in the published pipeline. Each epoch
adds up all edge features per node twice, clean and shuffled, embeds every edge in 256 numbers and
discriminates each embedding. The permutations may be given, so that the loss curve can be compared
with another implementation's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netvigil.contracts import WindowGraphs


@dataclass(frozen=True)
class Edges:
    """One graph; the second half of the edges are the flows turned round, without self-loops.

    Shapes:
        x: float32 [edges, features]; src, dst: int64 [edges]
        degree: float32 [nodes, 1], incoming edges, at least 1
    """

    x: Tensor
    src: Tensor
    dst: Tensor
    degree: Tensor
    flows: int

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.degree)

    @staticmethod
    def of(graphs: WindowGraphs, device: str = "cpu") -> Edges:
        """Double the flows of one window, on a device."""
        x = torch.tensor(graphs.flow_x, device=device)
        src, dst = (torch.tensor(rows, device=device) for rows in graphs.node_rows())
        turned = src != dst
        source = torch.cat([src, dst[turned]])
        target = torch.cat([dst, src[turned]])
        degree = torch.bincount(target, minlength=len(graphs.node_key)).clamp(min=1)
        both = torch.cat([x, x[turned]])
        return Edges(both, source, target, degree.float()[:, None], len(x))


class Network(nn.Module):
    """One E-GraphSAGE layer with an edge embedding, and DGI's discriminator."""

    def __init__(
        self,
        features: int,
        *,
        hidden: int = 128,
        dim: int = 256,
        own_edge: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.apply_node = nn.Linear(2 * features, hidden)
        self.own_edge = own_edge
        self.edge = nn.Linear(2 * hidden + (features if own_edge else 0), dim)
        for layer in (self.apply_node, self.edge):
            nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain("relu"), rng)
        side = dim**-0.5
        self.discriminator = nn.Parameter(
            torch.empty(dim, dim).uniform_(-side, side, generator=rng)
        )

    def embed(self, edges: Edges, x: Tensor) -> Tensor:
        """Embed every edge, [edges, dim], with these features on the edges."""
        summed = x.new_zeros(edges.nodes, x.shape[1]).index_add_(0, edges.dst, x)
        ones = x.new_ones(edges.nodes, x.shape[1])
        h = self.apply_node(torch.cat([ones, summed / edges.degree], 1)).relu()
        parts = [h[edges.src], h[edges.dst], *([x] if self.own_edge else [])]
        embedded: Tensor = self.edge(torch.cat(parts, 1))
        return embedded

    def loss(self, edges: Edges, permutation: Tensor) -> Tensor:
        """Compute DGI's loss for one permutation of the edge features."""
        clean = self.embed(edges, edges.x)
        corrupted = self.embed(edges, edges.x[permutation])
        judge = self.discriminator @ clean.mean(0).sigmoid()
        positive, negative = clean @ judge, corrupted @ judge
        bce = nn.functional.binary_cross_entropy_with_logits
        found: Tensor = bce(positive, torch.ones_like(positive))
        return found + bce(negative, torch.zeros_like(negative))


def train(
    network: Network,
    edges: Edges,
    *,
    epochs: int,
    learning_rate: float = 1e-3,
    permutation: Callable[[int], Tensor] | None = None,
    seed: int = 0,
) -> list[float]:
    """Train on the whole graph, end with the weights of the best loss, and return the losses.

    `permutation` gives the order of the edge features in an epoch; drawn from `seed` where absent.
    """
    rng = torch.Generator(edges.x.device).manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    best, weights, curve = float("inf"), network.state_dict(), []
    for epoch in range(epochs):
        if permutation is None:
            order = torch.randperm(len(edges.x), generator=rng, device=edges.x.device)
        else:
            order = permutation(epoch)
        optimizer.zero_grad()
        loss = network.loss(edges, order)
        curve.append(loss.item())
        if curve[-1] < best:
            best = curve[-1]
            weights = {name: value.clone() for name, value in network.state_dict().items()}
        torch.autograd.backward(loss)
        optimizer.step()
    network.load_state_dict(weights)
    return curve


@torch.no_grad()
def embed(network: Network, edges: Edges) -> Tensor:
    """Embed the flows, each by its edge from source to destination, [flows, dim]."""
    return network.embed(edges, edges.x)[: edges.flows]
