"""Distinct values of a stream: counted up to a limit, estimated beyond it, in fixed memory.

The k smallest hashes of the values stay (Bar-Yossef et al., RANDOM 2002). Fewer than k of them are
all there are; otherwise the k-th smallest says how densely the hashes lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.addresses import combine, mix, text_keys

KEPT = 4096
"""Hashes kept: 32 kB a column, and a standard error of 1 / sqrt(k - 2), which is 1.6 %."""
LONG = 64
"""Characters up to which a text is hashed whole; of a longer one head, tail and length count, as
hashing takes memory for the longest of all."""


class Distinct:
    """How many values there are, and of texts how many bytes they take.

    Example:
        >>> seen = Distinct(4)
        >>> seen.add(pa.chunked_array([["a", "b", "a", None]]))
        >>> seen.count, seen.exact, seen.size
        (2, True, 2)
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._keys: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._sizes: NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def exact(self) -> bool:
        """Whether the count is one, and no estimate."""
        return len(self._keys) < self.kept

    @property
    def count(self) -> int:
        """Return how many distinct values came."""
        if self.exact:
            return len(self._keys)
        return round((self.kept - 1) * 2.0**64 / float(self._keys[-1]))

    @property
    def size(self) -> int:
        """Return the bytes of the distinct texts together, estimated as their count is."""
        if not len(self._sizes):
            return 0
        return round(float(self._sizes.mean()) * self.count)

    def add(self, values: pa.ChunkedArray) -> None:
        """Look at some values; a null is none."""
        if pa.types.is_dictionary(values.type):
            for chunk in values.chunks:
                self._add_texts(chunk.dictionary.take(pc.unique(chunk.indices).drop_null()))
        elif pa.types.is_string(values.type):
            self._add_texts(pc.unique(values).drop_null())
        else:
            self._add_numbers(values)

    def _add_numbers(self, values: pa.ChunkedArray) -> None:
        # Once the sketch is full, nearly every hash is too large: hashing all is then the quicker.
        if self.exact:
            values = pa.chunked_array([pc.unique(values)])
        bits = _bits(values.drop_null().to_numpy())
        self._merge(mix(bits), np.zeros(len(bits), np.int64))

    def _add_texts(self, texts: pa.Array) -> None:
        if not len(texts):
            return
        sizes = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
        if sizes.max() <= LONG:
            keys = text_keys(texts)
        else:
            ends = (
                pc.utf8_slice_codeunits(texts, 0, LONG),
                pc.utf8_slice_codeunits(texts, -LONG, None),
            )
            keys = combine(*map(text_keys, ends), sizes)
        self._merge(keys, sizes)

    def _merge(self, keys: NDArray[np.uint64], sizes: NDArray[np.int64]) -> None:
        if not self.exact:
            small = keys < self._keys[-1]
            keys, sizes = keys[small], sizes[small]
        if not len(keys):
            return
        merged, first = np.unique(np.concatenate([self._keys, keys]), return_index=True)
        self._sizes = np.concatenate([self._sizes, sizes])[first[: self.kept]]
        self._keys = merged[: self.kept]


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    if values.dtype.kind == "M":
        values = values.astype(np.int64)
    if values.dtype.kind == "f":
        return (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    return values.astype(np.uint64)
