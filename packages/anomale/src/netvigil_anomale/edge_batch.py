"""The plain form: one tensor row per edge, as the method is written down.

It is what the algebraic form (`pair_batch`) is checked against, and `form = "plain"`. It holds
embeddings of all edges, twice: 1 kB a flow and more at the published width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.graphs import Grouping
from netvigil.torch.segments import segment_sum, spread
from netvigil_anomale.config import Direction
from netvigil_anomale.corruption import Corruption, Slots, permute
from netvigil_anomale.losses import infomax_loss
from netvigil_anomale.network import EdgeSage, Gather, Infomax


@dataclass(frozen=True)
class EdgeBatch:
    """Some windows, edge by edge: all flows, then (direction "both") their reverses.

    Shapes:
        x: float32 [flows, features]; flow: int64 [edges], the flow that an edge stands for
        src, dst: groupings of the edges by their hosts; by_window: of the edges by window
        gatherer, other: the one of `src` and `dst` that gathers the edge, and the other one
    """

    x: Tensor
    flow: Tensor
    src: Grouping
    dst: Grouping
    gatherer: Grouping
    other: Grouping
    by_window: Grouping
    slots: Slots

    @staticmethod
    def of(
        graphs: WindowGraphs, direction: Direction, device: torch.device | str = "cpu"
    ) -> EdgeBatch:
        """Copy windows into tensors; the arrays may be read-only."""
        source, destination = graphs.node_rows()
        flow = np.arange(len(source))
        window = graphs.window_of_flow()
        back = np.flatnonzero(source != destination) if direction == "both" else flow[:0]
        ends = (
            np.concatenate([source, destination[back]]),
            np.concatenate([destination, source[back]]),
        )
        nodes = len(graphs.node_key)
        src, dst = (Grouping.of(torch.from_numpy(end).to(device), nodes) for end in ends)
        gatherer, other = (src, dst) if direction == "out" else (dst, src)
        windows = torch.from_numpy(np.concatenate([window, window[back]])).to(device)
        loops = np.flatnonzero(source == destination) if direction == "both" else flow[:0]
        return EdgeBatch(
            x=torch.from_numpy(np.array(graphs.flow_x)).to(device),
            flow=torch.from_numpy(np.concatenate([flow, back])).to(device),
            src=src,
            dst=dst,
            gatherer=gatherer,
            other=other,
            by_window=Grouping.of(windows, len(graphs)),
            slots=Slots(
                degree=gatherer.degree.cpu().numpy(),
                flow_ptr=np.array(graphs.flow_ptr),
                node_ptr=np.array(graphs.node_ptr),
                loops=loops,
                times=2 if direction == "both" else 1,
            ),
        )

    @property
    def flows(self) -> int:
        """Number of flows."""
        return len(self.x)

    @property
    def nbytes(self) -> int:
        """Memory of the tensors."""
        groups = (self.src, self.dst, self.by_window)
        kept = [self.x, self.flow, *(t for g in groups for t in (g.order, g.ptr, g.node))]
        return sum(tensor.nbytes for tensor in kept)

    def losses(
        self, network: Infomax, rng: torch.Generator, corruption: Corruption | None = None
    ) -> Mapping[str, Tensor]:
        """Return the loss under a permutation, or one drawn from `rng`."""
        row = (corruption or permute(self.slots, rng)).row
        shuffled = torch.empty_like(self.flow)
        shuffled[self.gatherer.order] = row
        clean = self.embed(network.sage, self.x[self.flow])
        corrupted = self.embed(network.sage, self.x[shuffled])
        edges = self.by_window.degree.clamp(min=1)[:, None]
        summary = torch.sigmoid(segment_sum(clean, self.by_window) / edges)
        probe = spread(network.discriminator(summary), self.by_window)
        return infomax_loss((clean * probe).sum(1), (corrupted * probe).sum(1))

    def embed(self, sage: EdgeSage, features: Tensor) -> Tensor:
        """Return the embedding of each edge, given the features it carries.

        Shapes:
            features: [edges, features]; returns: [edges, embedding]
        """
        degree = self.gatherer.degree.clamp(min=1)[:, None]

        def gathered(part: Gather, states: Tensor) -> Tensor:
            messages = features
            if part.message is not None:
                others = states.expand(len(degree), -1)
                messages = part.message(torch.cat([spread(others, self.other), features], 1))
            return segment_sum(messages, self.gatherer) / degree

        states = sage.node_states(gathered)
        ends = [spread(states, self.src), spread(states, self.dst)]
        embedded: Tensor = sage.edge(torch.cat([*ends, *([features] if sage.own_edge else [])], 1))
        return embedded
