"""What a step sees: windows of flows and hosts, host features, and a class per flow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.batches import runs
from netvigil.torch.graphs import GraphBatch, Grouping
from netvigil.torch.segments import segment_sum
from netvigil_heterognn.hosts import host_features
from netvigil_heterognn.links import Links

BLOCK = 4_500
"""Flows of a block on a CPU, in whole windows: what the layers of so many hold stays in its caches,
and whole steps of 16,384 flows took a third longer."""


@dataclass(frozen=True)
class HeteroBatch:
    """Some consecutive windows as one disjoint union of graphs.

    Shapes:
        hosts: float32 [nodes, host features]; y: int64 [flows], the class, -1 where unknown
        share: float32 [flows], the weight of each flow in the loss, 0 where unknown
    """

    graph: GraphBatch
    hosts: Tensor
    y: Tensor
    share: Tensor

    @property
    def flows(self) -> int:
        """Number of flows."""
        return self.graph.flows

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors, and of what `fused.py` keeps beside them."""
        kept = 48 * self.flows + 8 * self.graph.nodes * (self.graph.x.shape[1] + 3)
        return self.graph.nbytes + self.hosts.nbytes + self.y.nbytes + self.share.nbytes + kept

    @cached_property
    def _shares(self) -> tuple[Tensor, Tensor]:
        """One over the number of flows of each flow's source, and of its destination, [flows]."""
        src, dst = (g.degree.clamp(min=1).float().reciprocal()[g.node] for g in self.sides)
        return src, dst

    def mean_sent(self, values: Tensor) -> Tensor:
        """Return the mean over the flows that each host sends, [nodes, dim]; 0 of none."""
        return segment_sum(values, self.graph.src, self._shares[0])

    def mean_received(self, values: Tensor) -> Tensor:
        """Return the mean over the flows that each host receives, [nodes, dim]; 0 of none."""
        return segment_sum(values, self.graph.dst, self._shares[1])

    @property
    def sides(self) -> tuple[Grouping, Grouping]:
        """Flows by source and by destination host."""
        return self.graph.src, self.graph.dst

    @cached_property
    def links(self) -> Links:
        """The links, as `fused.py` wants them."""
        return Links.of(self.graph)

    @cached_property
    def means(self) -> Tensor:
        """Mean features of the flows that a host sends, and receives, [nodes, 2 features]."""
        return self.links.means(self.graph.x)

    @cached_property
    def target(self) -> Tensor:
        """The place of each flow's class in [classes, flows] laid flat; of class 0 if unknown."""
        return self.y.clamp(min=0) * self.flows + torch.arange(self.flows)

    @staticmethod
    def of(
        graphs: WindowGraphs,
        device: torch.device | str,
        *,
        codes: NDArray[np.int64] | None = None,
        share: NDArray[np.float32] | None = None,
        described: bool = True,
    ) -> HeteroBatch:
        """Make tensors of windows; without `described` every host starts from a one."""
        graph, flows = GraphBatch.of(graphs, device), len(graphs.flow_id)
        described = described and graph.nodes > 0
        hosts = host_features(graphs, graph) if described else graph.x.new_ones(graph.nodes, 1)
        codes = np.full(flows, -1, np.int64) if codes is None else codes
        share = np.zeros(flows, np.float32) if share is None else share
        return HeteroBatch(
            graph, hosts, torch.from_numpy(codes).to(device), torch.from_numpy(share).to(device)
        )


@dataclass(frozen=True)
class Blocks:
    """The windows of one step, in blocks: one on a GPU, and on a CPU as many as its caches want."""

    blocks: tuple[HeteroBatch, ...]

    @property
    def flows(self) -> int:
        """Number of flows."""
        return sum(block.flows for block in self.blocks)

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(block.nbytes for block in self.blocks)

    @staticmethod
    def of(
        graphs: WindowGraphs,
        device: torch.device,
        *,
        codes: NDArray[np.int64],
        share: NDArray[np.float32],
        described: bool,
    ) -> Blocks:
        """Make tensors of windows, whose shares add up to 1; blocks without a flow are left out."""
        made, first = [], 0
        for run in runs(graphs, BLOCK if device.type == "cpu" else len(graphs.flow_id)):
            here = slice(first, first + len(run.flow_id))
            first = here.stop
            if here.start < here.stop:
                made.append(
                    HeteroBatch.of(
                        run, device, codes=codes[here], share=share[here], described=described
                    )
                )
        return Blocks(tuple(made))
