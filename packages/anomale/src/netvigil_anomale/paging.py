"""Streaming through memory-mapped arrays without growing the process.

Pages of a mapped file that were read count as memory of the process until they are let go; the
operating system keeps them cached, so reading them again is cheap.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def map_of(array: NDArray[Any]) -> mmap.mmap | None:
    """Return the memory map that an array is a view of, or None where it lies in plain memory."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, mmap.mmap) else None


def release(array: NDArray[Any]) -> None:
    """Let go of the pages that lie wholly inside a C-contiguous array of a read-only memory map.

    Does nothing for other arrays, or where the system knows no `madvise`. The values stay as they
    are: they are read from the file again when needed.
    """
    mapped = map_of(array)
    if mapped is None or array.flags.writeable or not hasattr(mapped, "madvise"):
        return
    start = array.__array_interface__["data"][0] - _address(mapped)
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)


def _address(mapped: mmap.mmap) -> int:
    view = np.frombuffer(mapped, np.uint8)
    return int(view.__array_interface__["data"][0])
