"""A batch of windows as AutoGraphAD needs it: what stays the same in every epoch, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.graphs import GraphBatch, Grouping
from netvigil.torch.segments import segment_sum
from netvigil_autographad.links import Links

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
        links: the true links, cut ones included: to the source and the destination of each flow
        keep: float32 [2 flows], 0 where one of `links` is cut; None: all are kept
    """

    graph: GraphBatch
    inputs: Tensor
    means: Sides
    per_flow: Sides
    links: Links
    keep: Tensor | None = None

    def mean(self, values: Tensor, side: int) -> Tensor:
        """Average flows' values over the kept links of each node, [nodes, dim]."""
        kept = None if self.keep is None else self.keep[side::2]
        return segment_sum(values, groups(self.graph)[side], kept) * self.per_flow[side]


@dataclass(frozen=True)
class WindowBatch:
    """A graph, its clean view, and where negative links can be drawn.

    Shapes:
        first: int64 [flows], the first node of the flow's window
        others: float32 [flows], nodes of the flow's window but one
        true: float32 [flows, 2], source and destination, counted from `first`
        drawn: the draws and the view of static training, once they are drawn
    """

    graph: GraphBatch
    clean: View
    first: Tensor
    others: Tensor
    true: Tensor
    drawn: list[tuple[Draws, View]] = field(default_factory=list)

    @property
    def flows(self) -> int:
        """Number of flows."""
        return self.graph.flows

    @property
    def nbytes(self) -> int:
        """Memory, with a static augmented view."""
        flows, features = self.graph.x.shape
        # Inputs twice; both groupings, links and draws; means per node, twice.
        return 4 * flows * (2 * features + 4 + 46) + 4 * self.graph.nodes * (4 * features + 16)

    @staticmethod
    def of(graphs: WindowGraphs, device: torch.device) -> WindowBatch:
        """Copy windows to a device."""
        graph = GraphBatch.of(graphs, device)
        size = torch.diff(graph.node_ptr)
        per_window = torch.diff(graph.flow_ptr)
        first = torch.repeat_interleave(graph.node_ptr[:-1], per_window)
        others = torch.repeat_interleave((size - 1).float(), per_window)
        true = torch.stack([group.node for group in groups(graph)], 1) - first[:, None]
        return WindowBatch(graph, clean_view(graph), first, others, true.float())


def groups(graph: GraphBatch) -> tuple[Grouping, Grouping]:
    """Return the groupings by source and by destination host, in the order of `Sides`."""
    return graph.src, graph.dst


def clean_view(graph: GraphBatch) -> View:
    """Return the view with every link and no mask."""
    src, dst = groups(graph)
    per_flow = (_inverse(src.degree, graph.x), _inverse(dst.degree, graph.x))
    links = Links.true(src, dst)
    sums = links.to_hosts(graph.x).tensor_split(2)
    return View(graph, graph.x, (sums[0] * per_flow[0], sums[1] * per_flow[1]), per_flow, links)


def augmented_view(clean: View, marks: Tensor) -> View:
    """Return a clean view with links cut, in both directions, and flows masked.

    Shapes:
        marks: float32 [flows, 3], 1 where the features are hidden, where the link to the source,
            and where that to the destination host is cut
    """
    graph = clean.graph
    flows, features = graph.x.shape
    inputs = graph.x.new_empty(flows, features + 4)
    torch.mul(graph.x, 1 - marks[:, :1], out=inputs[:, :features])
    inputs[:, features:-1] = marks
    inputs[:, -1] = 1
    keep = (1 - marks[:, 1:]).view(-1)
    src, dst = clean.links.to_hosts(inputs, keep).tensor_split(2)
    per_flow = (_inverse(src[:, -1], graph.x), _inverse(dst[:, -1], graph.x))
    means = (src[:, : features + 1] * per_flow[0], dst[:, : features + 1] * per_flow[1])
    return View(graph, inputs, means, per_flow, clean.links, keep)


def _inverse(count: Tensor, like: Tensor) -> Tensor:
    return count.clamp(min=1).to(like.dtype).reciprocal()[:, None]
