"""How many threads arithmetic may take, where it would show in the last bits or on the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any


@cache
def _blas() -> Any:
    """Find NumPy's BLAS; looking through the loaded libraries takes milliseconds, so once."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Multiply on one thread: for small blocks on a busy machine two were ten times slower."""
    with _blas().limit(limits=1):
        yield


@cache
def _openmp() -> Any:
    """Find scikit-learn's OpenMP, which must be loaded by then."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")


def side_by_side(work: Callable[[int], None], blocks: int) -> None:
    """Do `work` on each block, several at a time, each of them on one OpenMP thread.

    scikit-learn's searches share a block's rows out among threads when there are many and the flows
    it is searched in when there are few; on one thread a block's result depends on its shape alone,
    and whole blocks keep the processors as busy. Take no more than OpenMP itself would.
    """

    def alone(block: int) -> None:
        with _openmp().limit(limits=1):  # of the thread that asks, and of no other
            work(block)

    threads = max((library["num_threads"] for library in _openmp().info()), default=1)
    if threads == 1 or blocks < 2:
        for block in range(blocks):
            alone(block)
        return
    with ThreadPoolExecutor(min(threads, blocks)) as pool:
        for _ in pool.map(alone, range(blocks)):  # raises what a block raised
            pass


@contextmanager
def few_openmp_threads() -> Iterator[None]:
    """Run k-means on two threads at most.

    scikit-learn's threads add their part of a sum in the order they end. Of two parts either order
    gives the same bits; of three it does not, and one seed would give two models.
    """
    from threadpoolctl import ThreadpoolController

    openmp = ThreadpoolController().select(user_api="openmp")
    now = max((library["num_threads"] for library in openmp.info()), default=1)
    with openmp.limit(limits=min(2, now)):
        yield
