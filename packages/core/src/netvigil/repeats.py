"""Flows that repeat an earlier one exactly: found by a key per row, without any label.

Two flows are the same when every column is equal but those that say where a flow came from: its id,
its file, its row. A data set with many of them lets a model be tested on rows that it was taught.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.addresses import combine, flow_keys
from netvigil.store import FlowStore

PROVENANCE = ("flow_id", "source_uid", "source_file", "source_row")
_NULL = np.uint64(0x6C6C756E_6C6C756E)  # "nullnull", which no counter or time is likely to be


def first_copies(store: FlowStore) -> NDArray[np.int64]:
    """Return the row of the first copy of each flow: its own row where nothing before equals it.

    Shapes:
        returns: int64 [flows], in the store's order; 8 bytes per flow for keys, as many for rows
    """
    keys = np.concatenate([row_keys(flows.table, skip=PROVENANCE) for flows in store.batches()])
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    rows: NDArray[np.int64] = first[place].astype(np.int64)
    return rows


def row_keys(table: pa.Table, *, skip: tuple[str, ...] = ()) -> NDArray[np.uint64]:
    """Return one key per row over all columns but `skip`, uint64 [rows]; a null counts.

    A row has the same key in any company, so keys of several batches compare.
    """
    columns: list[NDArray[Any]] = []
    for name in table.column_names:
        if name in skip:
            continue
        column = table[name]
        texts = pa.types.is_dictionary(column.type)
        columns.append(flow_keys(column) if texts else _bits(column))
    if not columns:
        return np.zeros(table.num_rows, np.uint64)
    return combine(*columns)


def _bits(column: pa.ChunkedArray) -> NDArray[Any]:
    if column.null_count == len(column):
        return np.full(len(column), _NULL)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: NDArray[Any] = column.fill_null(0).to_numpy()
    if values.dtype.kind == "f":
        values = (values + 0.0).view(f"u{values.dtype.itemsize}")  # -0.0 + 0.0 is 0.0
    if column.null_count:
        values = np.where(np.asarray(column.is_null()), _NULL, values.astype(np.uint64))
    return values
