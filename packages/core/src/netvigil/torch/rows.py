"""Flows as rows of flat tensors, in random order: what a method learns from that knows no graph.

Each epoch takes every row once, in an order drawn from the seed and the epoch alone. Rows of up to
`ROW_BYTES` together lie in memory, on the device, and any order of them is equally likely. More of
them go to a temporary file: blocks of consecutive rows are then read in random order, as many at a
time as fit into half of that memory, and their rows are shuffled together.
"""

from __future__ import annotations

import itertools
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs, WindowStream

ROW_BYTES = 512 * 2**20  # as much as batches of windows may hold
BLOCK = 4_096  # rows read at once from a file: a megabyte of 52 features
JUDGED = 16_384  # rows of a validation step at least: nothing is learnt from its size

Columns = Callable[[WindowGraphs], tuple[NDArray[Any], ...]]


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some flows of anywhere in the train range.

    Shapes:
        columns: [flows, ...] each, what the learner's `columns` gave
    """

    columns: tuple[Tensor, ...]

    @property
    def flows(self) -> int:
        """Number of flows."""
        return len(self.columns[0])

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(column.nbytes for column in self.columns)


class Rows:
    """The columns of all flows of a stream, in time order, in memory or in a temporary file."""

    def __init__(
        self,
        windows: WindowStream,
        columns: Columns,
        *,
        flows: int,
        device: torch.device,
        most_bytes: int | None = None,
    ) -> None:
        self.flows, self._device = flows, device
        self._most_bytes = ROW_BYTES if most_bytes is None else most_bytes
        self._kept: tuple[Tensor, ...] | None = None
        self._file: _RowFile | None = None
        first = 0
        for graphs in windows:
            arrays = columns(graphs)
            if self._kept is None and self._file is None:
                self._allocate(arrays)
            last = first + len(graphs.flow_id)
            if self._file is not None:
                self._file.append(arrays)
            elif self._kept is not None:
                for kept, array in zip(self._kept, arrays, strict=True):
                    kept[first:last].copy_(torch.from_numpy(_own(array)))
            first = last

    def _allocate(self, arrays: tuple[NDArray[Any], ...]) -> None:
        row_bytes = sum(a.itemsize * int(np.prod(a.shape[1:])) for a in arrays)
        if self.flows * row_bytes > self._most_bytes:
            self._file = _RowFile(arrays)
            # Half for the rows that wait, half for their copy in shuffled order.
            self._pool = max(self._most_bytes // 2 // max(row_bytes, 1) // BLOCK, 1) * BLOCK
            return
        self._kept = tuple(
            torch.empty(
                (self.flows, *a.shape[1:]),
                dtype=torch.from_numpy(a[:0].copy()).dtype,
                device=self._device,
            )
            for a in arrays
        )

    @property
    def in_memory(self) -> bool:
        """Whether all rows lie in memory."""
        return self._file is None

    def ordered(self, first: int, last: int, *, flows: int) -> Iterator[RowBatch]:
        """Yield the rows `first` to `last` in time order, in steps of at most `flows`."""
        for begin in range(first, last, flows):
            end = min(begin + flows, last)
            if self._file is not None:
                yield RowBatch(self._to_device(self._file.read([(begin, end)])))
            elif self._kept is not None:
                yield RowBatch(tuple(column[begin:end] for column in self._kept))

    def shuffled(
        self, first: int, last: int, *, flows: int, rng: torch.Generator
    ) -> Iterator[RowBatch]:
        """Yield the rows `first` to `last` in random order, in steps of at most `flows`.

        Steps differ in size by one row at most, so that none is left with a few rows: the noise of
        its gradient would count as much as any other's. `rng` is a CPU generator.
        """
        if self._file is None:
            if self._kept is not None:
                order = torch.randperm(last - first, generator=rng).add_(first)
                yield from _steps(self._kept, order.to(self._device), flows)
            return
        starts = torch.arange(first, last, BLOCK)
        starts, at_once = starts[torch.randperm(len(starts), generator=rng)], self._pool // BLOCK
        for pool in range(0, len(starts), at_once):
            chosen = starts[pool : pool + at_once].tolist()
            blocks = [(start, min(start + BLOCK, last)) for start in chosen]
            columns = self._to_device(self._file.read(blocks))
            order = torch.randperm(len(columns[0]), generator=rng)
            yield from _steps(columns, order.to(self._device), flows)

    def _to_device(self, columns: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(column.to(self._device) for column in columns)


class _RowFile:
    """Columns of rows, each in a temporary file that vanishes with this object."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._kinds = [(a.dtype, a.shape[1:]) for a in arrays]
        self._files: list[IO[bytes]] = []
        for _ in arrays:
            file = tempfile.TemporaryFile(prefix="netvigil-rows-")  # noqa: SIM115 - see finalize
            weakref.finalize(self, file.close)
            self._files.append(file)

    def append(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write further rows."""
        for file, array in zip(self._files, arrays, strict=True):
            file.write(np.ascontiguousarray(array).data)

    def read(self, blocks: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Return the rows of some blocks, given by their first and last row, one after another."""
        rows, columns = sum(last - first for first, last in blocks), []
        for file, (dtype, shape) in zip(self._files, self._kinds, strict=True):
            found = np.empty((rows, *shape), dtype)
            width, begin = dtype.itemsize * int(np.prod(shape)), 0
            for first, last in blocks:
                file.seek(first * width)
                file.readinto(found[begin : begin + last - first].data.cast("B"))  # type: ignore[attr-defined]  # typeshed's IO lacks it
                begin += last - first
            columns.append(torch.from_numpy(found))
        return tuple(columns)


def _steps(columns: tuple[Tensor, ...], order: Tensor, flows: int) -> Iterator[RowBatch]:
    rows = len(order)
    steps = -(-rows // flows)
    bounds = [step * rows // steps for step in range(steps + 1)]
    for begin, end in itertools.pairwise(bounds):
        yield RowBatch(tuple(column.index_select(0, order[begin:end]) for column in columns))


def _own(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that PyTorch takes without a warning: it knows no read-only memory."""
    return array if array.flags.writeable else array.copy()
