"""The algebraic form: the published loss by sums per host and per host pair.

Without `own_edge` a flow's embedding depends on its two hosts, and host states on the mean of the
features a host gathers. So:

- the clean means never change and are computed once per batch;
- the corrupted means need one pass over the features per step (`corruption.pieces`);
- equal pairs have equal logits, so the loss is a sum over distinct pairs, weighted by their counts;
- z is linear in the host states, so with q = W s the logit z.q is a_u + b_v + c, where a and b are
  one number per host: no [pairs, embedding] tensor exists.

Cost per step: that pass, bound by memory; the rest grows with hosts and pairs. With `own_edge` the
last point still holds: a logit gains e . r, r = W_own^T q, one number per flow; edges are then not
merged, and the permutation is drawn whole, because it matters which edge of a host is given what.
Equal to the plain form (`edge_batch`) up to float32 rounding, given the same permutation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import linear

from netvigil.contracts import WindowGraphs
from netvigil.torch.graphs import Grouping
from netvigil.torch.segments import segment_sum, spread
from netvigil_anomale import paging
from netvigil_anomale.config import Direction
from netvigil_anomale.corruption import BLOCK, Corruption, Piece, Slots, permute, pieces
from netvigil_anomale.losses import infomax_loss
from netvigil_anomale.network import EdgeSage, Gather, Infomax
from netvigil_anomale.pairs import (
    Edges,
    Pairs,
    flow_edges,
    gathered_sums,
    gathering,
    loops_of,
)

# On a GPU one thread block sums one bag: hosts with many flows are cut into bags of this size.
GPU_BAG = 512


@dataclass(frozen=True)
class HostGraph:
    """What the hosts of some windows gather, and from whom.

    Shapes:
        mean: float32 [nodes, features], of the flows that a host gathers, 0 for none
        degree: float32 [nodes, 1], how many these are
        gatherer, other: groupings of the edges by the host that gathers and by the other one
        count: float32 [edges], how often each distinct edge occurs
    """

    mean: Tensor
    degree: Tensor
    gatherer: Grouping
    other: Grouping
    count: Tensor

    @staticmethod
    def of(
        graphs: WindowGraphs, pairs: Pairs, direction: Direction, device: torch.device
    ) -> HostGraph:
        """Read the features of windows once."""
        nodes = len(graphs.node_key)
        edges = pairs.edges.both_ways() if direction == "both" else pairs.edges
        gatherer, other = (torch.from_numpy(n).to(device) for n in gathering(edges, direction))
        count = torch.from_numpy(edges.count).to(device)
        degree = torch.zeros(nodes, dtype=torch.int64, device=device).index_add_(0, gatherer, count)
        sums = gathered_sums(graphs, pairs, direction).to(device)
        return HostGraph(
            mean=sums / degree.clamp(min=1)[:, None],
            degree=degree.to(torch.float32)[:, None],
            gatherer=Grouping.of(gatherer, nodes),
            other=Grouping.of(other, nodes),
            count=count.to(torch.float32),
        )

    def messages(self, part: Gather, states: Tensor) -> Tensor:
        """Return the mean message of each host, as `EdgeSage.node_states` asks for it.

        Messages are linear, so their mean is the message of the means; a host that gathers nothing
        gets zeros.
        """
        if part.message is None:
            return self.mean
        weight, width = part.message.weight, states.shape[1]
        if len(states) == 1:  # all hosts are alike before the first round
            others = linear(states, weight[:, :width], part.message.bias)
        else:
            summed = segment_sum(spread(states, self.other), self.gatherer, self.count)
            others = linear(summed / self.degree.clamp(min=1), weight[:, :width], part.message.bias)
        return (others + linear(self.mean, weight[:, width:])) * (self.degree > 0)


@dataclass(frozen=True)
class Own:
    """What `own_edge` adds to a batch.

    Shapes:
        flow: int64 [edges], the flow that an edge stands for
        mean: float32 [windows, features], over the edges of a window
        flow_window: grouping of the flows by window
        place: int64 [slots], the edge of each slot
    """

    flow: Tensor
    mean: Tensor
    flow_window: Grouping
    place: Tensor


@dataclass(frozen=True)
class PairBatch:
    """Some windows as hosts and distinct edges, for training by `Infomax`.

    The features stay with the windows they came from and are not counted in `nbytes`, except on a
    GPU or with `own_edge`, where they are a copy.

    Shapes:
        x: float32 [flows, features], an array of the windows, or a tensor where it is a copy
        src, dst: int64 [edges]; window_of_edge: int64 [edges]
        weight: float32 [edges], the share of all edges that are alike this one
        sends, receives: float32 [nodes], the share of its window's edges that leave or reach a host
        by_window: grouping of the hosts by window
    """

    flows: int
    x: NDArray[np.float32] | Tensor
    slots: Slots
    hosts: HostGraph
    src: Tensor
    dst: Tensor
    window_of_edge: Tensor
    weight: Tensor
    sends: Tensor
    receives: Tensor
    by_window: Grouping
    own: Own | None = None

    @staticmethod
    def of(
        graphs: WindowGraphs,
        direction: Direction,
        device: torch.device | str = "cpu",
        *,
        own_edge: bool = False,
        block: int = BLOCK,
    ) -> PairBatch:
        """Find the pairs of windows and sum the clean features."""
        device = torch.device(device)
        pairs = Pairs.of(graphs)
        hosts = HostGraph.of(graphs, pairs, direction, device)
        alike = flow_edges(graphs) if own_edge else pairs.edges
        edges = alike.both_ways() if direction == "both" else alike
        by_window = _grouped(graphs.node_ptr, device)
        copied = own_edge or device.type != "cpu"
        tensor = {
            name: torch.from_numpy(array).to(device)
            for name, array in _shares(edges, graphs).items()
        }
        return PairBatch(
            flows=len(graphs.flow_id),
            x=torch.from_numpy(np.array(graphs.flow_x)).to(device) if copied else graphs.flow_x,
            slots=_slots(graphs, edges, direction, block),
            hosts=hosts,
            src=tensor["src"],
            dst=tensor["dst"],
            window_of_edge=tensor["window"],
            weight=tensor["weight"],
            sends=tensor["sends"],
            receives=tensor["receives"],
            by_window=by_window,
            own=_own(graphs, edges, hosts, by_window, direction) if own_edge else None,
        )

    @property
    def nbytes(self) -> int:
        """Memory that the batch holds beyond the windows it was made of."""
        kept = [self.src, self.dst, self.window_of_edge, self.weight, self.sends, self.receives]
        kept += [self.hosts.mean, self.hosts.degree, self.hosts.count]
        groups = [self.hosts.gatherer, self.hosts.other, self.by_window]
        if self.own is not None:
            kept += [self.own.flow, self.own.place]
            groups.append(self.own.flow_window)
        for group in groups:
            kept += [group.order, group.ptr, group.node]
        own = sum(tensor.nbytes for tensor in kept) + 2 * self.slots.degree.nbytes
        return own + (self.x.nbytes if isinstance(self.x, Tensor) else 0)

    def losses(
        self, network: Infomax, rng: torch.Generator, corruption: Corruption | None = None
    ) -> Mapping[str, Tensor]:
        """Return the loss under a permutation, or one drawn from `rng`."""
        if corruption is None and (self.own is not None or self.weight.device.type != "cpu"):
            corruption = permute(self.slots, rng)
        corrupted = replace(self.hosts, mean=self._corrupted_mean(rng, corruption))
        sage = network.sage
        clean_states = sage.node_states(self.hosts.messages)
        corrupted_states = sage.node_states(corrupted.messages)
        to_src, to_dst, to_own = sage.ends()
        mean_src = segment_sum(clean_states * self.sends[:, None], self.by_window)
        mean_dst = segment_sum(clean_states * self.receives[:, None], self.by_window)
        mean = linear(mean_src, to_src, sage.edge.bias) + linear(mean_dst, to_dst)
        if self.own is not None and to_own is not None:
            mean = mean + linear(self.own.mean, to_own)
        probe = network.discriminator(torch.sigmoid(mean))
        answers = (probe @ to_src, probe @ to_dst, probe @ sage.edge.bias)
        clean = self._logits(clean_states, *answers)
        fooled = self._logits(corrupted_states, *answers)
        if self.own is not None and to_own is not None and corruption is not None:
            mine = self._own_logits(self.own, probe @ to_own)
            shuffled = torch.empty_like(self.own.flow)
            shuffled[self.own.place] = corruption.row
            clean = clean + mine.index_select(0, self.own.flow)
            fooled = fooled + mine.index_select(0, shuffled)
        return infomax_loss(clean, fooled, self.weight)

    def _logits(self, states: Tensor, src: Tensor, dst: Tensor, rest: Tensor) -> Tensor:
        """Return z . W s of each distinct edge, without z and without its own features."""
        if len(rest) == 1:
            leaving, reaching = states @ src[0], states @ dst[0]
        else:
            leaving = (states * spread(src, self.by_window)).sum(1)
            reaching = (states * spread(dst, self.by_window)).sum(1)
        ends = leaving.index_select(0, self.src) + reaching.index_select(0, self.dst)
        return ends + rest.index_select(0, self.window_of_edge)

    def _own_logits(self, own: Own, answer: Tensor) -> Tensor:
        """Return what each flow's own features add, [flows]."""
        assert isinstance(self.x, Tensor)
        if len(answer) == 1:
            return self.x @ answer[0]
        return (self.x * spread(answer, own.flow_window)).sum(1)

    def _corrupted_mean(self, rng: torch.Generator, corruption: Corruption | None) -> Tensor:
        if isinstance(self.x, Tensor):
            assert corruption is not None
            sums = _bagged(self.x, corruption.row, self.slots.degree)
        else:
            drawn = pieces(self.slots, rng) if corruption is None else [self._whole(corruption)]
            sums = corrupted_sums(self.x, drawn, len(self.slots.degree))
        return sums / self.hosts.degree.clamp(min=1)

    def _whole(self, corruption: Corruption) -> Piece:
        nodes = torch.arange(len(self.slots.degree))
        return Piece(0, self.flows, corruption.row, nodes, torch.from_numpy(self.slots.ptr))


def corrupted_sums(x: NDArray[np.float32], drawn: Iterable[Piece], nodes: int) -> Tensor:
    """Sum the features that each host's slots are given, float32 [nodes, features].

    A piece's rows are copied out in order and then summed at random within the cache; the pages of
    a memory map are let go behind it.
    """
    sums = torch.zeros(nodes, x.shape[1])
    buffer = torch.empty(0, x.shape[1])
    for piece in drawn:
        rows = piece.last - piece.first
        if rows > len(buffer):
            buffer = torch.empty(rows + rows // 8, x.shape[1])
        here = buffer[:rows]
        np.copyto(here.numpy(), x[piece.first : piece.last])
        bags = torch.embedding_bag(here, piece.row, piece.ptr[:-1])[0]
        first, last = int(piece.node[0]), int(piece.node[-1]) + 1
        if last - first == len(piece.node):
            sums[first:last] += bags
        else:
            sums.index_add_(0, piece.node, bags)
        paging.release(x[piece.first : piece.last])
    return sums


def _bagged(x: Tensor, row: Tensor, degree: NDArray[np.int64]) -> Tensor:
    """Sum rows host by host, in two rounds of bags, so that a GPU's are alike in size."""
    bags = -(-degree // GPU_BAG)
    starts = np.concatenate([[0], np.cumsum(degree)])[:-1]
    within = np.arange(int(bags.sum())) - np.repeat(np.cumsum(bags) - bags, bags)
    offsets = torch.from_numpy(np.repeat(starts, bags) + within * GPU_BAG).to(x.device)
    partial = torch.embedding_bag(x, row, offsets)[0]
    every = torch.arange(len(partial), device=x.device)
    ends = torch.from_numpy(np.cumsum(bags) - bags).to(x.device)
    return torch.embedding_bag(partial, every, ends)[0]


def _slots(graphs: WindowGraphs, edges: Edges, direction: Direction, block: int) -> Slots:
    degree = np.zeros(len(graphs.node_key), np.int64)
    np.add.at(degree, gathering(edges, direction)[0], edges.count)
    twice = direction == "both"
    return Slots(
        degree=degree,
        flow_ptr=np.array(graphs.flow_ptr),
        node_ptr=np.array(graphs.node_ptr),
        loops=loops_of(graphs) if twice else np.empty(0, np.int64),
        times=2 if twice else 1,
        block=block,
    )


def _shares(edges: Edges, graphs: WindowGraphs) -> dict[str, NDArray[Any]]:
    """Weigh edges in all windows, and hosts within their own."""
    windows, nodes = len(graphs), len(graphs.node_key)
    size = np.bincount(edges.window, edges.count, windows)
    share = edges.count / size[edges.window]
    return {
        "src": edges.src,
        "dst": edges.dst,
        "window": edges.window,
        "weight": (edges.count / max(edges.count.sum(), 1)).astype(np.float32),
        "sends": np.bincount(edges.src, share, nodes).astype(np.float32),
        "receives": np.bincount(edges.dst, share, nodes).astype(np.float32),
    }


def _own(
    graphs: WindowGraphs,
    edges: Edges,
    hosts: HostGraph,
    by_window: Grouping,
    direction: Direction,
) -> Own:
    device = hosts.mean.device
    flow = np.arange(len(graphs.flow_id))
    if direction == "both":
        loops = loops_of(graphs)
        flow = np.concatenate([flow, np.delete(flow, loops)])
    # Every edge is gathered once, so what the hosts gather adds up to all edges of the window.
    sums = segment_sum(hosts.mean * hosts.degree, by_window)
    count = segment_sum(hosts.degree, by_window)
    place = np.argsort(gathering(edges, direction)[0], kind="stable")
    return Own(
        flow=torch.from_numpy(flow).to(device),
        mean=sums / count.clamp(min=1),
        flow_window=_grouped(graphs.flow_ptr, device),
        place=torch.from_numpy(place).to(device),
    )


def _grouped(pointer: NDArray[np.int64], device: torch.device) -> Grouping:
    """Group rows that already stand window by window."""
    ptr = torch.from_numpy(np.array(pointer)).to(device)
    window = torch.repeat_interleave(torch.arange(len(ptr) - 1, device=device), torch.diff(ptr))
    return Grouping(torch.arange(len(window), device=device), ptr, window)


def embed_pairs(sage: EdgeSage, hosts: HostGraph, src: Tensor, dst: Tensor) -> Tensor:
    """Return the embedding of each pair, without own features, [pairs, embedding]."""
    states = sage.node_states(hosts.messages)
    to_src, to_dst, _ = sage.ends()
    return linear(states, to_src, sage.edge.bias)[src] + linear(states, to_dst)[dst]
