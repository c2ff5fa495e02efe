"""How fast a GPU moves bytes and computes, and how much of a call it was at work.

Each rate is what PyTorch does there at its best, as `machine` has the CPU's. A case begins with
arrays in the machine's memory and ends with some there, so its bytes cross the bus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from netvigil.bench import machine
from netvigil.bench.machine import Rates
from netvigil.bench.paces import ENTRIES, best
from netvigil.torch.device import resolve_device, settle

BYTES = 1 << 30
"""Of each of two tensors that are copied: far beyond the cache of any card."""
SIDE = 8_192
"""Rows and columns of the matrices multiplied, in float32 without tensor cores."""
ITEMS = 1 << 24


def rates(device: str) -> Rates:
    """Measure a GPU; decoding and Python are the machine's. Takes seconds, and 4 GB of the GPU.

    Raises:
        ConfigError: There is no such GPU.
    """
    place = resolve_device(device)
    rng = torch.Generator(place).manual_seed(0)
    keys = torch.randint(1 << 62, (ITEMS,), generator=rng, device=place)
    known = keys[:ENTRIES].sort().values
    table = torch.rand(ENTRIES, generator=rng, device=place)
    where, reals = keys % ENTRIES, 1 + torch.rand(ITEMS, generator=rng, device=place)
    there = torch.empty(BYTES // 4, device=place)
    here = torch.ones(BYTES // 4, pin_memory=place.type == "cuda")
    square = torch.rand(SIDE, SIDE, generator=rng, device=place)

    def each(work: Callable[[], object], amount: float) -> float:
        def whole() -> None:
            work()
            settle(device)

        whole()
        return amount / best(whole)

    copied = each(partial(torch.empty_like(there).copy_, there), 2 * BYTES)
    return replace(
        machine.rates(),
        bandwidth=copied,
        bandwidth_of_one=copied,
        bus=each(partial(there.copy_, here, non_blocking=True), BYTES),
        operations=each(lambda: square @ square, 2 * SIDE**3),
        lookups=each(lambda: table.index_select(0, where), ITEMS),
        matched=each(lambda: torch.searchsorted(known, keys), ITEMS),
        sorted=each(keys.sort, ITEMS),
        logarithms=each(reals.log, ITEMS),
        drawn=each(lambda: where.random_(1 << 32, generator=rng), ITEMS),
    )


def observed(work: Callable[[], object], *, device: str) -> dict[str, Any]:
    """Call once; return the seconds that the GPU computed or copied, and its peak memory in MB."""
    place = resolve_device(device)
    torch.cuda.reset_peak_memory_stats(place)
    before = torch.cuda.memory_allocated(place)
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as seen:
        work()
        settle(device)
    there = [event for event in seen.events() if event.device_type.name == "CUDA"]
    return {
        "busy_s": sum(event.time_range.elapsed_us() for event in there) / 1e6,
        "peak_mb": (torch.cuda.max_memory_allocated(place) - before) / 1e6,
    }
