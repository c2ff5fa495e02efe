"""What a step sees: windows of flows and hosts, host features, and a class per flow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.graphs import GraphBatch, Grouping
from netvigil.torch.segments import segment_sum
from netvigil_heterognn.hosts import host_features


@dataclass(frozen=True)
class HeteroBatch:
    """Some consecutive windows as one disjoint union of graphs.

    Shapes:
        hosts: float32 [nodes, host features]; y: int64 [flows], the class, -1 where unknown
    """

    graph: GraphBatch
    hosts: Tensor
    y: Tensor

    @property
    def flows(self) -> int:
        """Number of flows."""
        return self.graph.flows

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.graph.nbytes + self.hosts.nbytes + self.y.nbytes

    @cached_property
    def _shares(self) -> tuple[Tensor, Tensor]:
        """One over the number of flows of each flow's source, and of its destination, [flows]."""
        src, dst = (
            g.degree.clamp(min=1).float().reciprocal()[g.node]
            for g in (self.graph.src, self.graph.dst)
        )
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

    @staticmethod
    def of(
        graphs: WindowGraphs,
        device: torch.device | str,
        *,
        codes: NDArray[np.int64] | None = None,
        described: bool = True,
    ) -> HeteroBatch:
        """Make tensors of windows; without `described` every host starts from a one."""
        graph = GraphBatch.of(graphs, device)
        nodes = len(graphs.node_key)
        features = host_features(graphs) if described else np.ones((nodes, 1), np.float32)
        y = np.full(len(graphs.flow_id), -1, np.int64) if codes is None else codes
        return HeteroBatch(
            graph, torch.from_numpy(features).to(device), torch.from_numpy(y).to(device)
        )
