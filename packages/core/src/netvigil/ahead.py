"""Work in threads of its own: the next block is made while the caller handles this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _End:
    """What comes after the last item."""


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items in order, making each next one in a thread of its own.

    Worth it where making an item leaves Python's lock alone most of the time (reading, polars,
    Arrow). At most two items are alive at once; an error comes up at the item it belongs to. A
    generator is closed when this one is, after the item that it is at.
    """
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="netvigil-read") as pool:
            coming = pool.submit(next, items, _End)
            while (item := coming.result()) is not _End:
                coming = pool.submit(next, items, _End)
                yield item  # type: ignore[misc] # next() gives an item or _End, which is not here
    finally:
        if isinstance(items, Generator):
            items.close()


def pooled(work: Callable[[T], R], items: Iterator[T], *, threads: int) -> Iterator[R]:
    """Yield `work` of each item, in order, by so many threads, while the caller makes the next one.

    With no thread the caller does it all. At most two items more than threads are alive at once.
    """
    if not threads:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="netvigil-work") as pool:
        coming: deque[Future[R]] = deque()
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
