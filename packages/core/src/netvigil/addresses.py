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
BLOCK = 16_384
"""Rows at a time: the few arrays between columns and keys fit into a core's own cache."""
_START = np.uint64(0x6E65747669676C00)  # "netvigl\0": a constant, so that keys compare across runs


def mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of each key over all 64 (the splitmix64 finaliser), uint64 [n] -> [n]."""
    keys = keys + _GAMMA
    shifted = np.right_shift(keys, np.uint64(30))
    keys ^= shifted
    keys *= _MIX_1
    keys ^= np.right_shift(keys, np.uint64(27), out=shifted)
    keys *= _MIX_2
    keys ^= np.right_shift(keys, np.uint64(31), out=shifted)
    return keys


def combine(*columns: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return one key per row of several integer columns; the order of columns matters.

    Example:
        >>> a, b = np.array([1, 2], np.uint64), np.array([2, 1], np.uint64)
        >>> bool((combine(a, b) == combine(b, a)).any())
        False
    """
    combined = np.empty(len(columns[0]), np.uint64)
    for first in range(0, len(combined), BLOCK):
        here = slice(first, first + BLOCK)
        key = np.zeros(len(combined[here]), np.uint64)
        for column in columns:
            key = mix(key ^ mix(column[here].astype(np.uint64)))
        combined[here] = key
    return combined


def text_keys(texts: pa.Array) -> NDArray[np.uint64]:
    """Return the key of each string, uint64 [n]; the key of a null is 0.

    `texts` are distinct values (a dictionary), not one per flow; hashing runs over all of them at
    once, eight bytes at a time.
    """
    if not len(texts):
        return np.empty(0, np.uint64)
    key = np.full(len(texts), _START, np.uint64)
    for column in _words(texts).T:
        # Padding words are zero; skipping them keeps the key independent of the longest string
        # around.
        key = np.where(column == 0, key, mix(key ^ mix(column)))
    key[np.asarray(texts.is_null())] = 0
    return key


def _words(texts: pa.Array) -> NDArray[np.uint64]:
    """Return the bytes of each string, eight to a word and zeros behind, uint64 [n, words]."""
    texts = texts.cast(pa.large_string()).fill_null("")
    _, ends, data = texts.buffers()
    place = np.frombuffer(ends, np.int64, len(texts) + 1, 8 * texts.offset)
    size = np.diff(place)
    raw = np.zeros((len(texts), max(1, -(-int(size.max()) // 8)) * 8), np.uint8)
    if size.any():
        raw[np.arange(raw.shape[1]) < size[:, None]] = np.frombuffer(data, np.uint8)[
            place[0] : place[-1]
        ]
    return raw.view(np.uint64)


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
