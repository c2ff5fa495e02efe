"""Stable 64-bit keys for addresses and tuples of keys, so that hosts compare across files and runs.

A dictionary code means something in one table only; a key means the same host everywhere, needs no
vocabulary that grows with the capture, and collides for a million hosts with probability 3e-8.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# splitmix64 (Steele, Lea and Flood, OOPSLA 2014): increments and mixing multipliers.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_START = np.uint64(0x6E65747669676C00)  # "netvigl\0": a constant, so that keys compare across runs


def mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of each key over all 64 (the splitmix64 finaliser), uint64 [n] -> [n]."""
    keys = keys + _GAMMA
    keys = (keys ^ (keys >> np.uint64(30))) * _MIX_1
    keys = (keys ^ (keys >> np.uint64(27))) * _MIX_2
    return keys ^ (keys >> np.uint64(31))


def combine(*columns: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return one key per row of several integer columns; the order of columns matters.

    Example:
        >>> a, b = np.array([1, 2], np.uint64), np.array([2, 1], np.uint64)
        >>> bool((combine(a, b) == combine(b, a)).any())
        False
    """
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = mix(key ^ mix(column.astype(np.uint64)))
    return key


def text_keys(texts: pa.Array) -> NDArray[np.uint64]:
    """Return the key of each string, uint64 [n]; the key of a null is 0.

    `texts` are distinct values (a dictionary), not one per flow; hashing runs over all of them at
    once, eight bytes at a time.
    """
    raw = np.array([(text or "").encode() for text in texts.to_pylist()], dtype=np.bytes_)
    if not len(raw):
        return np.empty(0, np.uint64)
    width = -(-raw.dtype.itemsize // 8) * 8
    words = raw.astype(f"S{width}").view(np.uint64).reshape(len(raw), -1)
    key = np.full(len(raw), _START, np.uint64)
    for column in words.T:
        # Padding words are zero; skipping them keeps the key independent of the longest string
        # around.
        key = np.where(column == 0, key, mix(key ^ mix(column)))
    key[np.asarray(texts.is_null())] = 0
    return key


def flow_keys(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return the key of each flow's address in a dictionary column, uint64 [flows]; null is 0."""
    unified = (
        column.unify_dictionaries().combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    )
    if not len(unified):
        return np.empty(0, np.uint64)
    keys = np.append(text_keys(unified.dictionary), np.uint64(0))
    codes: NDArray[np.int32] = unified.indices.fill_null(len(keys) - 1).to_numpy()
    return keys[codes]
