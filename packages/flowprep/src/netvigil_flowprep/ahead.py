"""Work one step ahead: the next block is read and parsed while the caller handles this one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class _End:
    """What comes after the last item."""


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items in order, making each next one in a thread of its own.

    Worth it where making an item leaves Python's lock alone most of the time (reading, polars,
    Arrow). At most two items are alive at once; an error comes up at the item it belongs to.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="netvigil-read") as pool:
        coming = pool.submit(next, items, _End)
        while (item := coming.result()) is not _End:
            coming = pool.submit(next, items, _End)
            yield item  # type: ignore[misc] # next() gives an item or _End, which is not here
