"""Work on the distinct values of a text column, once each, instead of on every row.

Traffic repeats itself: a million flows hold a few names of protocols, states and flags.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc


def encode(column: pl.Series) -> pa.DictionaryArray:
    """Return a text column as Arrow dictionary<int32, string> with the nulls it has."""
    arrow = column.to_arrow()
    if not pa.types.is_dictionary(arrow.type):
        arrow = arrow.cast(pa.large_string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        arrow.indices.cast(pa.int32()), arrow.dictionary.cast(pa.string())
    )


def recode(
    codes: pa.DictionaryArray, change: Callable[[pl.Series], pl.Series]
) -> pa.DictionaryArray:
    """Apply `change` to the dictionary; values that become equal or null are merged."""
    old = _series(codes.dictionary)
    new = change(old)
    if new.null_count() == 0 and new.equals(old):
        return codes
    merged = new.to_arrow().cast(pa.string()).dictionary_encode()
    indices = pc.take(merged.indices, codes.indices)
    return pa.DictionaryArray.from_arrays(indices, merged.dictionary)


def by_distinct(
    column: pl.Series,
    change: Callable[[pl.Series], pl.Series],
    dtype: type[pl.DataType] | pl.DataType,
) -> pl.Series:
    """Return `change(column)` for a row-wise `change`, computed once per distinct value.

    `change` gets the distinct texts (no nulls) and returns a series of `dtype` of the same length.
    """
    codes = encode(column)
    values = change(_series(codes.dictionary)).cast(dtype)
    padded = values.extend(pl.Series([None], dtype=dtype))
    rows = codes.indices.fill_null(len(padded) - 1).to_numpy()
    return padded.gather(rows.astype(np.uint32)).alias(column.name)


def _series(values: pa.Array) -> pl.Series:
    # An empty Arrow array would come back without its type.
    return pl.Series("values", pl.from_arrow(values), dtype=pl.String)
