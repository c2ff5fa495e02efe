"""Corruption: which flow's features each edge is given instead of its own, uniformly at random.

Deep graph infomax permutes the features across the edges of a graph (official Anomal-E notebook);
with several windows in a batch, within each window. Two words: a *slot* is the place of an edge at
the host that gathers it, and slots are counted host by host; an *item* is a feature row to be put
into a slot, and items are counted flow by flow. Where a flow is two edges (direction "both") it is
two items, a flow of a host with itself one. A window has as many slots as items.

`permute` draws the whole permutation at once. `pieces` draws the same distribution block by block
for a host's sums, without ever holding it: see there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Slots drawn at a time: 32k slots of two-way flows touch 3.4 MB of 52 features. Measured: random
# rows cost 5 ns where they stay in a core's cache, 30 ns and more beyond; drawing them 6 and 70 ns.
BLOCK = 32_768

# Below so many slots per (host, bucket), drawing each slot's bucket costs less than drawing counts.
SLOTS_PER_COUNT = 32


@dataclass(frozen=True)
class Slots:
    """The slots and items of some windows.

    Shapes:
        degree: int64 [nodes], the slots of each host; nodes count through all windows
        flow_ptr, node_ptr: int64 [windows + 1]
        loops: int64, ascending rows of the flows that are one item where others are two
        times: items of any other flow, 1 or 2
    """

    degree: NDArray[np.int64]
    flow_ptr: NDArray[np.int64]
    node_ptr: NDArray[np.int64]
    loops: NDArray[np.int64]
    times: int
    block: int = BLOCK

    @cached_property
    def ptr(self) -> NDArray[np.int64]:
        """Where each host's slots begin, int64 [nodes + 1]."""
        return np.concatenate([[0], np.cumsum(self.degree)])

    @cached_property
    def window_ptr(self) -> NDArray[np.int64]:
        """Where each window's slots, and its items too, begin, int64 [windows + 1]."""
        return self.ptr[self.node_ptr]

    @cached_property
    def single(self) -> NDArray[np.int64]:
        """The item numbers of `loops`, ascending."""
        return 2 * self.loops - np.arange(len(self.loops))

    def rows(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the flows of the items from `first` up to `last`, ascending, int64 [items]."""
        item = np.arange(first, last)
        if self.times == 1:
            return item
        # An item that comes after n single ones would be item + n if all flows were two items.
        inside = slice(*np.searchsorted(self.single, (first, last - 1)))
        item += inside.start
        if inside.start < inside.stop:
            later = np.zeros(len(item), np.int64)
            later[self.single[inside] - first + 1] = 1
            item += np.cumsum(later)
        return item >> 1

    def parts(self) -> Iterator[tuple[int, int]]:
        """Yield runs of whole windows, first and last, of at most `block` slots or one larger."""
        pointer, first = self.window_ptr, 0
        while first < len(pointer) - 1:
            last = int(np.searchsorted(pointer, pointer[first] + self.block, side="right")) - 1
            last = max(last, first + 1)
            yield first, last
            first = last


@dataclass(frozen=True)
class Corruption:
    """A drawn permutation.

    Shapes:
        row: int64 [slots], the flow whose features each slot is given; slots host by host
    """

    row: Tensor


@dataclass(frozen=True)
class Piece:
    """The part of a permutation that puts some consecutive flows' features into slots.

    Shapes:
        row: int64 [items], counted from flow `first`, host by host
        node: int64 [hosts], ascending; ptr: int64 [hosts + 1], where each host's rows begin
    """

    first: int
    last: int
    row: Tensor
    node: Tensor
    ptr: Tensor


def permute(slots: Slots, rng: torch.Generator) -> Corruption:
    """Draw a uniform permutation of each window's items over its slots, on the generator's device.

    One permutation of everything, sorted stably by window, is a uniform permutation within each
    window, independent of the others.
    """
    device = rng.device
    total = int(slots.window_ptr[-1])
    drawn = torch.randperm(total, generator=rng, device=device)
    sizes = np.diff(slots.window_ptr)
    if np.count_nonzero(sizes) > 1:
        counted = torch.from_numpy(sizes).to(device)
        window = torch.repeat_interleave(torch.arange(len(sizes), device=device), counted)
        drawn = drawn[torch.argsort(window[drawn], stable=True)]
    if slots.times == 2:
        drawn = (drawn + torch.bucketize(drawn, torch.from_numpy(slots.single).to(device))) >> 1
    return Corruption(drawn)


def pieces(slots: Slots, rng: torch.Generator) -> Iterator[Piece]:
    """Draw a uniform permutation for sums over a host's slots, a cache-sized piece at a time.

    Slots of one host are not told apart, so any arrangement of hosts over items will do that a
    uniform permutation of slots gives. Small windows are permuted together, as in `permute`. Of
    a large one each slot draws one of k buckets, alike and independently; the slots of a bucket are
    put in uniform random order; the buckets, one after another, are then a uniform permutation
    of all slots (Rao 1961, Sandelius 1962). They are laid over the items in flow order, so that
    bucket b is given the items that follow those of bucket b - 1: buckets of random size need no
    balancing, and the features are read once, in order. Within a bucket it is the items that are
    put in random order, which is the same.

    `rng` is a CPU generator. PyTorch draws below n by a remainder of 32 random bits, so a row's
    chance is off by at most n / 2^32 of itself: 10^-5 for a block.
    """
    for first, last in slots.parts():
        begin, end = int(slots.window_ptr[first]), int(slots.window_ptr[last])
        if end - begin > slots.block:
            yield from _streamed(slots, first, rng)
        elif end > begin:
            yield _together(slots, first, last, rng)


def _together(slots: Slots, first: int, last: int, rng: torch.Generator) -> Piece:
    begin, end = int(slots.window_ptr[first]), int(slots.window_ptr[last])
    drawn = torch.randperm(end - begin, generator=rng)
    sizes = np.diff(slots.window_ptr[first : last + 1])
    sizes = sizes[sizes > 0]
    if len(sizes) > 1:
        # numpy sorts 16 bits by radix, several times faster than wider numbers.
        kind = np.uint16 if len(sizes) <= 2**16 else np.int64
        window = np.repeat(np.arange(len(sizes), dtype=kind), sizes)
        drawn = drawn[torch.from_numpy(np.argsort(window[drawn.numpy()], kind="stable"))]
    nodes = slice(int(slots.node_ptr[first]), int(slots.node_ptr[last]))
    return _piece(
        slots,
        begin,
        drawn,
        np.arange(nodes.start, nodes.stop),
        slots.ptr[nodes.start : nodes.stop + 1] - begin,
    )


def _streamed(slots: Slots, window: int, rng: torch.Generator) -> Iterator[Piece]:
    nodes = np.arange(slots.node_ptr[window], slots.node_ptr[window + 1])
    degree = slots.degree[nodes]
    begin, total = int(slots.window_ptr[window]), int(degree.sum())
    buckets = -(-total // slots.block)
    seed = int(torch.randint(2**62, (1,), generator=rng))
    dice = np.random.Generator(np.random.SFC64(seed))
    if len(nodes) * buckets * SLOTS_PER_COUNT <= total:
        shares = _counted(nodes, degree, buckets, dice)
    else:
        shares = _dealt(nodes, degree, buckets, dice)
    for node, counts in shares:
        ptr = np.concatenate([[0], np.cumsum(counts)])
        if ptr[-1]:
            yield _piece(slots, begin, torch.randperm(int(ptr[-1]), generator=rng), node, ptr)
        begin += int(ptr[-1])


Shares = Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]


def _counted(
    nodes: NDArray[np.int64], degree: NDArray[np.int64], buckets: int, dice: np.random.Generator
) -> Shares:
    """Draw how many of a host's slots fall into each bucket: multinomial."""
    counts = dice.multinomial(degree, np.full(buckets, 1 / buckets))
    for bucket in range(buckets):
        yield nodes, np.ascontiguousarray(counts[:, bucket])


def _dealt(
    nodes: NDArray[np.int64], degree: NDArray[np.int64], buckets: int, dice: np.random.Generator
) -> Shares:
    """Draw the bucket of every slot; sorting 8 or 16 bits is a radix sort."""
    kind = np.uint8 if buckets <= 2**8 else np.uint16 if buckets <= 2**16 else np.int64
    bucket = dice.integers(0, buckets, int(degree.sum()), dtype=kind)
    sizes = np.bincount(bucket, minlength=buckets)
    host = np.repeat(np.arange(len(nodes), dtype=np.int32), degree)
    host = host[np.argsort(bucket, kind="stable")]
    del bucket
    begin = 0
    for size in sizes.tolist():
        mine = host[begin : begin + size]
        starts = np.flatnonzero(np.diff(mine, prepend=-1))
        yield nodes[mine[starts]], np.diff(starts, append=size)
        begin += size


def _piece(
    slots: Slots, begin: int, drawn: Tensor, node: NDArray[np.int64], ptr: NDArray[np.int64]
) -> Piece:
    """Turn drawn numbers of items, from item `begin` on, into rows of flows."""
    end = begin + len(drawn)
    if slots.times == 1:
        first, last, row = begin, end, drawn
    elif not len(slots.loops):
        first, last = begin >> 1, (end + 1) >> 1
        row = (drawn + (begin - 2 * first)) >> 1
    else:
        rows = slots.rows(begin, end)
        first, last = int(rows[0]), int(rows[-1]) + 1
        row = torch.from_numpy(rows - first).index_select(0, drawn)
    return Piece(first, last, row, torch.from_numpy(node), torch.from_numpy(ptr))
