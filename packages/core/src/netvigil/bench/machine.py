"""How fast this machine moves bytes and computes, and what identifies it in a history.

Each rate is the best that NumPy or pyarrow does here, with one thread or all, in the case that
suits it best. What a case needs at these rates is a time that nobody's code beats by much.
"""

from __future__ import annotations

import hashlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.bench import paces
from netvigil.bench.limits import KINDS, Limit, Needs
from netvigil.bench.paces import best, pace
from netvigil.errors import PluginError

COPIED = 256 << 20
"""Bytes of each of the two arrays of the copy: far beyond any cache."""
SIDE = 1_536
"""Rows and columns of the matrices multiplied."""
STEPS = 300_000


@dataclass(frozen=True)
class Rates:
    """What the machine does in a second, at its best.

    Shapes:
        bandwidth: bytes read plus bytes written by a copy, with one thread or all; of one besides
        operations: float32 additions and multiplications of a matrix product, all threads
        lookups: `numpy.take` of float32 from a table that stays in the nearest cache
        matched: `pyarrow.compute.index_in` of int64 keys, a tenth of which are among 4,096
        sorted: `numpy.sort` of 131,072 int64 keys
        logarithms: `numpy.log` of float32
        drawn: random 32-bit numbers of NumPy's default generator
        decoded: bytes of float32 columns that pyarrow reads from Parquet (LZ4, no dictionary)
        steps: iterations of a plain Python loop, the speed of the interpreter
        threads: of the pools
        bus: bytes from memory to a GPU; None where the machine itself is measured
    """

    bandwidth: float
    bandwidth_of_one: float
    operations: float
    lookups: float
    matched: float
    sorted: float
    logarithms: float
    drawn: float
    decoded: float
    steps: float
    threads: int
    bus: float | None = None

    def limit(self, needs: Needs) -> Limit:
        """Return the time that nothing on this machine goes below, moving or computing.

        Bytes move while cores compute, so the longer of the two counts. Kinds of computing take
        turns on the same cores, at rates that take all of them, so their times add up; code that
        does two kinds in one pass may win back a little of the smaller one.
        """
        moving, way = needs.moved / self.bandwidth, "memory"
        if self.bus is not None and self.bus < self.bandwidth:
            moving, way = needs.moved / self.bus, "bus"
        taken = {name: getattr(needs, name) / getattr(self, name) for name in KINDS}
        computing = sum(taken.values())
        if moving >= computing:
            return Limit(moving, way)
        return Limit(computing, KINDS[max(taken, key=lambda name: taken[name])])


def rates(threads: int | None = None) -> Rates:
    """Measure this machine; takes about four seconds and 512 MB."""
    count = threads or len(cpus())
    one = _bandwidth(1)
    with ThreadPoolExecutor(count) as pool:
        shared = partial(pace, pool, count)
        return Rates(
            bandwidth=max(one, _bandwidth(count)),
            bandwidth_of_one=one,
            operations=_operations(count),
            lookups=shared(paces.lookups),
            matched=shared(paces.matched),
            sorted=shared(paces.in_order),
            logarithms=shared(paces.logarithms),
            drawn=shared(paces.drawn),
            decoded=shared(paces.decoded),
            steps=STEPS / best(_loop),
            threads=count,
        )


def card() -> Any:
    """Return the module that measures a GPU.

    Raises:
        PluginError: PyTorch is not installed.
    """
    try:
        return import_module("netvigil.torch.card")  # by name: core does without its extra `torch`
    except ModuleNotFoundError as error:
        msg = "A GPU is measured through PyTorch, which is not installed."
        raise PluginError(msg, where=str(error), do="pip install 'netvigil[torch]'") from error


def cpus() -> list[int]:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def fingerprint() -> dict[str, Any]:
    """Describe the machine and the libraries, with a digest that tells machines apart."""
    from netvigil.evaluation.receipt import hardware, versions

    described = {**hardware().model_dump(), "machine": platform.machine()}
    digest = hashlib.sha256(repr(sorted(described.items())).encode()).hexdigest()[:12]
    return {"id": digest, **described, "versions": versions()}


def _bandwidth(threads: int) -> float:
    source = np.ones(COPIED // 8)
    target = np.empty_like(source)
    pieces = list(
        zip(np.array_split(source, threads), np.array_split(target, threads), strict=True)
    )
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            for done in [pool.submit(_copy, a, b) for a, b in pieces]:
                done.result()

        copy()
        return 2 * source.nbytes / best(copy)


def _copy(source: NDArray[np.float64], target: NDArray[np.float64]) -> None:
    np.copyto(target, source)


def _operations(threads: int) -> float:
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    left, right = (rng.random((SIDE, SIDE), np.float32) for _ in range(2))
    with threadpool_limits(threads):
        return 2 * SIDE**3 / best(lambda: left @ right)


def _loop() -> int:
    total = 0
    for number in range(STEPS):
        total += number & 7
    return total
