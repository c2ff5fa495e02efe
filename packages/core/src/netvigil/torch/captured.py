"""Steps of training as CUDA graphs: launching the kernels of a small step takes longest.

A step of 256 flows through an autoencoder was sixty kernels of three microseconds, one every twenty
(H200). A graph launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from netvigil.torch.rows import RowBatch

Work = Callable[[RowBatch], Tensor]
Record = Callable[[Callable[[], Tensor], torch.Generator], Callable[[], Tensor]]


@dataclass(frozen=True)
class _Graph:
    """The rows that a replay reads, and the replay."""

    rows: RowBatch
    replay: Callable[[], Tensor]


def record(work: Callable[[], Tensor], rng: torch.Generator) -> Callable[[], Tensor]:
    """Record what `work` does on the GPU, without doing it; what is returned does it.

    Random numbers of `rng` go on from call to call. Numbers of Python are what they are now.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(rng.device)  # type: ignore[no-untyped-call]
    graph.register_generator_state(rng)
    stream.wait_stream(torch.cuda.current_stream(rng.device))
    with torch.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            result = work()
        finally:
            graph.capture_end()
    torch.cuda.current_stream(rng.device).wait_stream(stream)

    def replay() -> Tensor:
        graph.replay()
        return result.clone()  # the next replay writes there again

    return replay


class Captured:
    """Takes steps that differ in their rows alone: of each size the first, and replays for others.

    What else changes, such as the rate of an epoch, needs another of these. `rng` is what the steps
    draw from, on the GPU.
    """

    def __init__(self, work: Work, rng: torch.Generator, record: Record = record) -> None:
        self._work, self._rng, self._record = work, rng, record
        self._graphs: dict[int, _Graph | None] = {}

    def __call__(self, batch: RowBatch) -> Tensor:
        """Take a step and return its loss terms."""
        if batch.flows not in self._graphs:  # libraries set themselves up at their first call
            self._graphs[batch.flows] = None
            return self._work(batch)
        graph = self._graphs[batch.flows]
        if graph is None:
            graph = self._graphs[batch.flows] = self._capture(batch)
        for kept, given in zip(graph.rows.columns, batch.columns, strict=True):
            kept.copy_(given)
        return graph.replay()

    def _capture(self, batch: RowBatch) -> _Graph:
        rows = RowBatch(tuple(column.clone() for column in batch.columns))
        return _Graph(rows, self._record(lambda: self._work(rows), self._rng))
