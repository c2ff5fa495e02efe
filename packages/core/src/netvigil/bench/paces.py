"""How often a second this machine computes what `Needs` counts, by what a library does best.

Each kind is a function of a seed that returns how many items one call is, and the call.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ATTEMPTS, SECONDS = 5, 0.1
ENTRIES = 4_096
"""Of the table in which places are looked up and keys are found: it fits the nearest cache."""
ROWS = 1 << 17
"""Keys, numbers and rows of each thread: most of them fit a core's own cache."""
COLUMNS = 16
Work = Callable[[], object]


def best(work: Work) -> float:
    """Return the least seconds of five calls, or of as many as fit into a tenth of a second.

    Short calls need more of them: on a busy machine five in a row can all be disturbed.
    """
    times: list[float] = []
    while len(times) < ATTEMPTS or sum(times) < SECONDS:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def pace(pool: ThreadPoolExecutor, threads: int, make: Callable[[int], tuple[int, Work]]) -> float:
    """Return items per second of one thread, or of all at once, each on data of its own."""
    made = [make(seed) for seed in range(threads)]
    items = made[0][0]

    def together() -> None:
        for done in [pool.submit(work) for _, work in made]:
            done.result()

    together()
    return max(items / best(made[0][1]), threads * items / best(together))


def lookups(seed: int) -> tuple[int, Work]:
    """Look places up in a table of float32."""
    rng = np.random.default_rng(seed)
    table, place = rng.random(ENTRIES, np.float32), rng.integers(0, ENTRIES, ROWS // 4)
    target, repeats = np.empty(len(place), np.float32), 16

    def work() -> None:
        for _ in range(repeats):
            table.take(place, out=target, mode="clip")  # what is checked is copied once more

    return repeats * len(place), work


def matched(seed: int) -> tuple[int, Work]:
    """Find int64 keys, a tenth of which are in a table."""
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 1 << 62, ENTRIES)
    asked = rng.integers(0, 1 << 62, ROWS)
    asked[::10] = known[rng.integers(0, ENTRIES, len(asked[::10]))]
    keys, values = pa.array(asked), pa.array(known)
    return ROWS, lambda: pc.index_in(keys, value_set=values)


def in_order(seed: int) -> tuple[int, Work]:
    """Put int64 keys in order."""
    keys = np.random.default_rng(seed).integers(0, 1 << 62, ROWS)
    return ROWS, lambda: np.sort(keys)


def logarithms(seed: int) -> tuple[int, Work]:
    """Take logarithms of float32."""
    values = 1 + np.random.default_rng(seed).random(ROWS, np.float32)
    target = np.empty_like(values)
    return ROWS, lambda: np.log(values, out=target)


def drawn(seed: int) -> tuple[int, Work]:
    """Draw 32-bit numbers."""
    rng = np.random.default_rng(seed)
    return ROWS, lambda: rng.integers(0, 1 << 32, ROWS, np.uint32)


def decoded(seed: int) -> tuple[int, Work]:
    """Read columns like those of flows, half of them few small numbers and half hardly equal."""
    rng = np.random.default_rng(seed)
    few = [rng.poisson(3.0, ROWS).astype(np.float32) for _ in range(COLUMNS // 2)]
    many = [rng.random(ROWS, np.float32) for _ in range(COLUMNS // 2)]
    table = pa.table([pa.array(x) for x in few + many], [str(n) for n in range(COLUMNS)])
    file = io.BytesIO()
    pq.write_table(table, file, compression="lz4", use_dictionary=False)
    written = pa.py_buffer(file.getvalue())

    def work() -> None:
        with pq.ParquetFile(pa.BufferReader(written)) as opened:
            opened.read(use_threads=False)

    return table.nbytes, work
