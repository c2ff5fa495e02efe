"""How many threads arithmetic may take, where it would show in the last bits or on the clock."""

from __future__ import annotations

from collections.abc import Iterator
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
