"""Links between flows and their two hosts, and the two products along them.

Hosts are rows of tables [2 nodes, dim]: each as a source, then as a destination. Seen as [nodes,
2 dim] the same memory holds both side by side, so that one product with a matrix serves both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from netvigil.torch.graphs import GraphBatch, Grouping


class Links(NamedTuple):
    """The links of a batch in the orders that both products want; on a CPU.

    Shapes:
        row: int64 [2 flows], the row of the table of each flow's source, then destination, in turn
        ptr: int64 [flows], where each flow's two links begin in `row`
        flow: int64 [2 flows], the flows of the first row, then those of the second, ...
        row_ptr: int64 [2 nodes], where each row's flows begin in `flow`
        mean: float32 [2 nodes, 1], one over the flows of each row
    """

    row: Tensor
    ptr: Tensor
    flow: Tensor
    row_ptr: Tensor
    mean: Tensor

    @staticmethod
    def of(graph: GraphBatch) -> Links:
        """Take the links of windows that have flows."""
        row = torch.stack([2 * graph.src.node, 2 * graph.dst.node + 1], 1).view(-1)
        by_row = Grouping.of(row, 2 * graph.nodes)
        return Links(
            row=row,
            ptr=torch.arange(0, len(row), 2),
            flow=by_row.order >> 1,
            row_ptr=by_row.ptr[:-1],
            mean=by_row.degree.clamp(min=1).float().reciprocal()[:, None],
        )

    def to_flows(self, table: Tensor) -> Tensor:
        """Add up the two rows of each flow, [flows, dim]; the table is one of [nodes, 2 dim]."""
        dim = table.shape[1] // 2
        return torch.embedding_bag(table.view(-1, dim), self.row, self.ptr, mode=0)[0]

    def to_hosts(self, values: Tensor) -> Tensor:
        """Add up the flows of each row, [nodes, 2 dim]."""
        rows = torch.embedding_bag(values, self.flow, self.row_ptr, mode=0)[0]
        return rows.view(-1, 2 * values.shape[1])

    def means(self, values: Tensor) -> Tensor:
        """Average the flows of each row, [nodes, 2 dim]; 0 of none."""
        summed = self.to_hosts(values)
        summed.view(-1, values.shape[1]).mul_(self.mean)
        return summed
