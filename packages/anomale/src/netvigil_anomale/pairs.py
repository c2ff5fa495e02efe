"""The distinct ordered host pairs of windows, and what the hosts of a window gather.

Everything the published network makes of a flow depends on its two hosts alone, and a host's state
on the sum of the features it gathers. This file turns flows into pairs with counts and sums; it
reads the features once, block by block, and knows no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil_anomale import paging
from netvigil_anomale.config import Direction

ROWS = 131_072  # flows looked at together: 27 MB of 52 features
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Edges:
    """Edges between hosts, alike ones counted once; nodes count through all windows.

    Shapes:
        src, dst, count, window: int64 [pairs]
    """

    src: Ints
    dst: Ints
    count: Ints
    window: Ints

    def both_ways(self) -> Edges:
        """Return the edges and their reverses; those of a host with itself have none.

        So the official pipeline turns its undirected multigraph into a directed one.
        """
        other = self.src != self.dst
        return Edges(
            np.concatenate([self.src, self.dst[other]]),
            np.concatenate([self.dst, self.src[other]]),
            np.concatenate([self.count, self.count[other]]),
            np.concatenate([self.window, self.window[other]]),
        )


@dataclass(frozen=True)
class Pairs:
    """The ordered host pairs of some windows, by window, source and destination.

    Shapes:
        edges: [pairs]
        key: int64 [pairs], ascending; or [keys] with `dense`, the pair of each possible key
        base: int64 [windows + 1], the first key of each window; size: int64 [windows], its hosts
    """

    edges: Edges
    key: Ints
    base: Ints
    size: Ints
    dense: bool

    def rows(self, graphs: WindowGraphs, first: int, last: int) -> Ints:
        """Return the pair of each flow from `first` up to `last`, int64 [flows]."""
        key = _keys(graphs, self.base, self.size, first, last)
        return self.key[key] if self.dense else np.searchsorted(self.key, key)

    @staticmethod
    def of(graphs: WindowGraphs) -> Pairs:
        """Find the pairs of windows; memory grows with their number, not with that of flows."""
        size = np.diff(graphs.node_ptr)
        base = np.concatenate([[0], np.cumsum(size**2)])
        keys, flows = int(base[-1]), len(graphs.flow_id)
        # A table of all possible pairs is the fastest way to look one up, where it is small.
        dense = keys <= max(2 * flows, 2**16)
        if dense:
            counts = np.zeros(keys, np.int64)
            for first, last in blocks(flows):
                counts += np.bincount(_keys(graphs, base, size, first, last), minlength=keys)
            key = np.flatnonzero(counts)
            count = counts[key]
            counts[key] = np.arange(len(key))
        else:
            key, count = _merged(
                np.unique(_keys(graphs, base, size, first, last), return_counts=True)
                for first, last in blocks(flows, 8 * ROWS)
            )
        window = np.searchsorted(base, key, side="right") - 1
        src, dst = np.divmod(key - base[window], size[window])
        first_node = graphs.node_ptr[window]
        edges = Edges(src + first_node, dst + first_node, count, window)
        return Pairs(edges, counts if dense else key, base, size, dense)


def flow_edges(graphs: WindowGraphs) -> Edges:
    """Return each flow as an edge of its own, for where alike ones may not be merged."""
    src, dst = graphs.node_rows()
    return Edges(src, dst, np.ones(len(src), np.int64), graphs.window_of_flow())


def blocks(flows: int, rows: int = ROWS) -> Iterator[tuple[int, int]]:
    """Yield first and last of consecutive blocks of flows."""
    for first in range(0, flows, rows):
        yield first, min(first + rows, flows)


def _keys(graphs: WindowGraphs, base: Ints, size: Ints, first: int, last: int) -> Ints:
    """Number the pairs of flows: window by window, source by source."""
    src, dst = graphs.flow_src[first:last], graphs.flow_dst[first:last]
    if len(size) == 1:
        return src.astype(np.int64) * int(size[0]) + dst
    start, end = (int(np.searchsorted(graphs.flow_ptr, row, "right")) for row in (first, last - 1))
    windows = slice(start - 1, end)
    pointer = np.clip(graphs.flow_ptr[start - 1 : end + 1], first, last)
    flows = pointer[1:] - pointer[:-1]
    return np.repeat(base[windows], flows) + src * np.repeat(size[windows], flows) + dst


def _merged(parts: Iterator[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Add up counts of keys that come in parts."""
    key, count = np.empty(0, np.int64), np.empty(0, np.int64)
    for more, counts in parts:
        both, place = np.unique(np.concatenate([key, more]), return_inverse=True)
        total = np.zeros(len(both), np.int64)
        np.add.at(total, place, np.concatenate([count, counts]))
        key, count = both, total
    return key, count


def gathering(edges: Edges, direction: Direction) -> tuple[Ints, Ints]:
    """Return the host that gathers each edge, and the host at its other end."""
    return (edges.src, edges.dst) if direction == "out" else (edges.dst, edges.src)


def gathered_sums(graphs: WindowGraphs, pairs: Pairs, direction: Direction) -> Tensor:
    """Sum the features of the flows that each host gathers, float32 [nodes, features].

    Flows are summed by pair within a block, and the pairs' sums added to their hosts, so that a
    host with many flows is not summed one flow after another, which would cost float32 digits.
    """
    x = graphs.flow_x
    sums = torch.zeros(len(graphs.node_key), x.shape[1])
    few = len(pairs.edges.count) < 2**16
    for first, last in blocks(len(graphs.flow_id)):
        row = pairs.rows(graphs, first, last)
        # numpy sorts 16 bits by radix, which is the faster way and stable.
        order = np.argsort(row.astype(np.uint16), kind="stable") if few else np.argsort(row)
        row = row[order]
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        bags = torch.embedding_bag(
            torch.from_numpy(x[first:last].copy()),
            torch.from_numpy(order),
            torch.from_numpy(starts),
        )[0]
        pair = row[starts]
        src, dst = pairs.edges.src[pair], pairs.edges.dst[pair]
        if direction != "out":
            sums.index_add_(0, torch.from_numpy(dst), bags)
        if direction == "out":
            sums.index_add_(0, torch.from_numpy(src), bags)
        elif direction == "both":
            other = src != dst
            sums.index_add_(0, torch.from_numpy(src[other]), bags[torch.from_numpy(other)])
        paging.release(x[first:last])
    return sums


def loops_of(graphs: WindowGraphs) -> Ints:
    """Return the rows of flows of a host with itself, ascending."""
    found = [
        np.flatnonzero(graphs.flow_src[first:last] == graphs.flow_dst[first:last]) + first
        for first, last in blocks(len(graphs.flow_id), 8 * ROWS)
    ]
    return np.concatenate([np.empty(0, np.int64), *found])
