"""A batch of windows as AutoGraphAD needs it: what stays the same in every epoch, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.graphs import GraphBatch, Grouping
from netvigil.torch.segments import segment_sum

if TYPE_CHECKING:
    from netvigil_autographad.augment import Draws

Sides = tuple[Tensor, Tensor]  # something of the links to source hosts and to destination hosts


@dataclass(frozen=True)
class View:
    """A graph as the network sees it: clean, or with links cut and flows masked.

    Shapes:
        inputs: float32 [flows, features], or in an augmented view [flows, features + 4] with 0 in
            place of masked features and, behind them, 1 where a flow is masked, where its link
            to the source is cut, where that to the destination is cut, and always
        means: float32 [nodes, features (+ 1)] each, the mean over the kept flows from and to a node
            of the inputs (and of masked)
        per_flow: float32 [nodes, 1] each, 1 / kept flows, or 1 where there is none
        rows: int64 [flows, 2], the flow's hosts in a table of all sources, then all destinations
        keep: float32 [flows] each, 0 where a link is cut; None: all are kept
    """

    graph: GraphBatch
    inputs: Tensor
    means: Sides
    per_flow: Sides
    rows: Tensor
    keep: Sides | None = None

    @cached_property
    def kept_rows(self) -> Tensor | None:
        """1 where `rows` stands for a kept link, 0 where it is cut, float32 [flows, 2]; or None."""
        return None if self.keep is None else torch.stack(self.keep, 1)

    def sums(self, values: Tensor) -> Tensor:
        """Add up flows' values over the kept links of each row of the table, [2 nodes, dim]."""
        keep = self.keep or (None, None)
        pairs = zip(groups(self.graph), keep, strict=True)
        return torch.cat([segment_sum(values, group, kept) for group, kept in pairs])

    def mean(self, values: Tensor, side: int) -> Tensor:
        """Average flows' values over the kept links of each node, [nodes, dim]."""
        kept = None if self.keep is None else self.keep[side]
        return segment_sum(values, groups(self.graph)[side], kept) * self.per_flow[side]


@dataclass(frozen=True)
class WindowBatch:
    """A graph, its clean view, and where negative links can be drawn.

    Shapes:
        first: int64 [flows], the first node of the flow's window
        others: float32 [flows], nodes of the flow's window but one
        drawn: the draws and the view of static training, once they are drawn
    """

    graph: GraphBatch
    clean: View
    first: Tensor
    others: Tensor
    drawn: list[tuple[Draws, View]] = field(default_factory=list)

    @property
    def flows(self) -> int:
        """Number of flows."""
        return self.graph.flows

    @property
    def nbytes(self) -> int:
        """Memory, with a static augmented view."""
        flows, features = self.graph.x.shape
        # Inputs twice, node and order of both groupings, links, draws; means per node, twice.
        return 4 * flows * (2 * features + 4 + 24) + 4 * self.graph.nodes * (4 * features + 12)

    @staticmethod
    def of(graphs: WindowGraphs, device: torch.device) -> WindowBatch:
        """Copy windows to a device."""
        graph = GraphBatch.of(graphs, device)
        size = torch.diff(graph.node_ptr)
        per_window = torch.diff(graph.flow_ptr)
        first = torch.repeat_interleave(graph.node_ptr[:-1], per_window)
        others = torch.repeat_interleave((size - 1).float(), per_window)
        return WindowBatch(graph, clean_view(graph), first, others)


def groups(graph: GraphBatch) -> tuple[Grouping, Grouping]:
    """Return the groupings by source and by destination host, in the order of `Sides`."""
    return graph.src, graph.dst


def clean_view(graph: GraphBatch) -> View:
    """Return the view with every link and no mask."""
    src, dst = groups(graph)
    per_flow = (_inverse(src.degree, graph.x), _inverse(dst.degree, graph.x))
    sums = (segment_sum(graph.x, src), segment_sum(graph.x, dst))
    rows = torch.stack([src.node, dst.node + graph.nodes], 1)
    return View(graph, graph.x, (sums[0] * per_flow[0], sums[1] * per_flow[1]), per_flow, rows)


def augmented_view(clean: View, cut: Tensor, masked: Tensor) -> View:
    """Return a clean view with links cut, in both directions, and flows masked.

    Shapes:
        cut: float32 [2, flows], 1 where the link to the source, destination host is cut
        masked: float32 [flows], 1 where the features are hidden
    """
    graph = clean.graph
    flows, features = graph.x.shape
    inputs = graph.x.new_empty(flows, features + 4)
    torch.mul(graph.x, (1 - masked)[:, None], out=inputs[:, :features])
    marks = torch.stack([masked, cut[0], cut[1], torch.ones_like(masked)], 1)
    inputs[:, features:] = marks
    keep = 1 - cut
    src, dst = (
        segment_sum(inputs, group, kept) for group, kept in zip(groups(graph), keep, strict=True)
    )
    per_flow = (_inverse(src[:, -1], graph.x), _inverse(dst[:, -1], graph.x))
    means = (src[:, : features + 1] * per_flow[0], dst[:, : features + 1] * per_flow[1])
    return View(graph, inputs, means, per_flow, clean.rows, (keep[0], keep[1]))


def _inverse(count: Tensor, like: Tensor) -> Tensor:
    return count.clamp(min=1).to(like.dtype).reciprocal()[:, None]
