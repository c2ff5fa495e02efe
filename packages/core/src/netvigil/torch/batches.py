"""Batches: runs of consecutive whole windows, kept as tensors while memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import WindowGraphs, WindowStream
from netvigil.torch.learners import Batch

CACHE_BYTES = 512 * 2**20  # what batches may hold between epochs; the rest is made anew in each


B = TypeVar("B", bound=Batch)


def runs(graphs: WindowGraphs, flows: int, windows: int | None = None) -> Iterator[WindowGraphs]:
    """Yield runs of whole windows of at most `flows` flows (or one larger window).

    With `windows`, also of at most so many windows. Every window appears once, in order; the large
    arrays are views.
    """
    pointer, first = graphs.flow_ptr, 0
    while first < len(graphs):
        last = int(np.searchsorted(pointer, pointer[first] + flows, side="right")) - 1
        if windows is not None:
            last = min(last, first + windows)
        last = max(last, first + 1)
        yield graphs[first:last]
        first = last


def flows_per_window(windows: WindowStream) -> NDArray[np.int64]:
    """Return the number of flows of every window of a stream, int64 [windows]."""
    sizes = [np.zeros(0, np.int64), *(np.diff(graphs.flow_ptr) for graphs in windows)]
    return np.concatenate(sizes)


class Batches(Generic[B]):
    """The windows `first` to `last` of a stream as batches, to be walked through in every epoch.

    Runs without a flow are left out. Batches of up to `cache_bytes` together are kept; the others
    are made again in each walk, so that memory does not grow with the length of the stream.
    """

    def __init__(
        self,
        stream: WindowStream,
        make: Callable[[WindowGraphs], B],
        *,
        first: int,
        last: int,
        flows: int,
        windows: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._stream, self._make = stream, make
        self._first, self._last = first, last
        self._flows, self._windows = flows, windows
        self._left = cache_bytes
        self._kept: dict[int, B] = {}
        self._total: int | None = None

    def __iter__(self) -> Iterator[B]:
        """Yield every batch, in time order."""
        if len(self._kept) == self._total:
            yield from self._kept.values()
            return
        number = -1
        for number, graphs in enumerate(self._runs()):
            batch = self._kept.get(number)
            if batch is None:
                batch = self._make(graphs)
                # Only in the first walk: what did not fit then would push out nothing later.
                if self._total is None and batch.nbytes <= self._left:
                    self._left -= batch.nbytes
                    self._kept[number] = batch
            yield batch
        self._total = number + 1

    def largest(self) -> B:
        """Make the batch with the most flows."""
        return self._make(max(self._runs(), key=lambda graphs: len(graphs.flow_id)))

    def _runs(self) -> Iterator[WindowGraphs]:
        offset = 0
        for graphs in self._stream:
            first, last = max(self._first - offset, 0), min(self._last - offset, len(graphs))
            offset += len(graphs)
            if first < last:
                for run in runs(graphs[first:last], self._flows, self._windows):
                    if len(run.flow_id):
                        yield run
