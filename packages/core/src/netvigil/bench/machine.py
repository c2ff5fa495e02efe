"""How fast this machine moves bytes and computes, and what identifies it in a history."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.bench.limits import Needs

COPIED = 256 << 20
"""Bytes of each of the two arrays of the copy: far beyond any cache."""
SIDE = 1_536
"""Rows and columns of the matrices multiplied."""
STEPS = 300_000
ATTEMPTS = 5


@dataclass(frozen=True)
class Rates:
    """What the machine does in a second, best of five.

    Shapes:
        bandwidth: bytes read plus bytes written by a copy, with one thread or all; of one besides
        operations: float32 additions and multiplications of a matrix product, all threads
        steps: iterations of a plain Python loop, the speed of the interpreter
        threads: of the pools
    """

    bandwidth: float
    bandwidth_of_one: float
    operations: float
    steps: float
    threads: int

    def least_seconds(self, needs: Needs) -> float:
        """Return the time that nothing on this machine can go below: moving or computing."""
        return max(needs.moved / self.bandwidth, needs.operations / self.operations)


def rates(threads: int | None = None) -> Rates:
    """Measure this machine; takes about two seconds and 512 MB."""
    count = threads or len(cpus())
    one = _bandwidth(1)
    return Rates(
        bandwidth=max(one, _bandwidth(count)),
        bandwidth_of_one=one,
        operations=_operations(count),
        steps=STEPS / _best(_loop),
        threads=count,
    )


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


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ATTEMPTS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


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
        return 2 * source.nbytes / _best(copy)


def _copy(source: NDArray[np.float64], target: NDArray[np.float64]) -> None:
    np.copyto(target, source)


def _operations(threads: int) -> float:
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    left, right = (rng.random((SIDE, SIDE), np.float32) for _ in range(2))
    with threadpool_limits(threads):
        return 2 * SIDE**3 / _best(lambda: left @ right)


def _loop() -> int:
    total = 0
    for number in range(STEPS):
        total += number & 7
    return total
