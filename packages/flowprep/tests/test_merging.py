"""Merged values find their places, whatever their type and whether any is unknown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil_flowprep.merging import merge

PIECES = 5
OF_PIECE = np.array([0, 1, 0, 2, 1])  # three flows: pieces 0 and 2, 1 and 4, and 3 alone
FIRST = np.array([0, 1, 3])
COLUMNS = {
    "fwd_bytes": (pa.uint64(), [1, 2, 3, 4, 5], [4, 7, 4]),
    "bwd_bytes": (pa.uint64(), [1, None, 3, None, None], [4, None, None]),
    "tcp_flags": (pa.uint8(), [1, 2, 4, 8, 1], [5, 3, 8]),
    "end": (pa.timestamp("us", tz="UTC"), [10, 20, 30, 40, 50], [30, 50, 40]),
    "x_bytes": (pa.float32(), [1.5, 2, 3, 4, 5], [4.5, 7, 4]),
    "x_lost_packets": (pa.float32(), [None, 2, None, None, 5], [None, 7, None]),
    "conn_state": (pa.dictionary(pa.int32(), pa.string()), [*"abcde"], [*"ced"]),
    "l7_proto": (
        pa.dictionary(pa.int32(), pa.string()),
        [None, "a", "b", None, "c"],
        ["b", "a", None],
    ),
    "server_name": (pa.string(), [None, "a", "b", None, "c"], ["b", "a", None]),
    "icmp_code": (pa.bool_(), [None, True, False, True, False], [False, True, True]),
}


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_is_merged_in_its_place(name, chunks):
    kind, pieces, flows = COLUMNS[name]
    parts = [pieces] if chunks == 1 else [pieces[:2], pieces[2:]]
    column = pa.chunked_array([_array(part, kind) for part in parts], kind)
    reverse = np.zeros(PIECES, np.bool_)
    made = merge(pa.table({name: column}), of_piece=OF_PIECE, first=FIRST, reverse=reverse)
    assert made.schema.field(name).type == kind
    expected = pa.chunked_array([_array(flows, kind)])
    assert made[name].cast(_plain(kind)).equals(expected.cast(_plain(kind)))


def _array(values, kind):
    return (
        pa.array(values, _plain(kind)).dictionary_encode()
        if _text(kind)
        else pa.array(values, kind)
    )


def _plain(kind):
    return kind.value_type if _text(kind) else kind


def _text(kind):
    return pa.types.is_dictionary(kind)
