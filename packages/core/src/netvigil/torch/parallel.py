"""Independent pieces of work side by side on the cores of a CPU.

PyTorch's own threads share one operation at a time. Operations on a block that fits into a cache
are over before a second thread has begun; whole blocks, one per thread, have no such seams.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

FEWEST = 4  # pieces for which starting threads pays
GPU_BLOCK = 131_072
"""Flows of a block on a GPU: its hundred kernels then take about as long as their launches; what is
between them fits into a gigabyte."""


def block_flows(device: torch.device, cached: int) -> int:
    """Return how many flows to encode at a time: `cached` fit the caches of a CPU."""
    return cached if device.type == "cpu" else GPU_BLOCK


def side_by_side(work: Callable[[int], None], pieces: int, device: torch.device) -> None:
    """Do `work(0)` to `work(pieces - 1)`, on a CPU by as many threads as PyTorch is told to use.

    Each thread computes alone, so a piece comes out the same whichever thread it falls to. The
    first error is raised. PyTorch's number of threads is what it was when this returns; meanwhile
    it is 1 for others too, as the libraries below know one number for the whole process.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or pieces < FEWEST:
        for number in range(pieces):
            work(number)
        return
    try:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(work, range(pieces)))
    finally:
        torch.set_num_threads(threads)
