"""Rows are equal when every column is, whatever stands beside them and wherever they came from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import FlowTable
from netvigil.repeats import PROVENANCE, first_copies, row_keys

from . import fakes


def rows(*bytes_: int | None, first_id: int = 0) -> FlowTable:
    """Make flows that differ in nothing but id and bytes."""
    n = len(bytes_)
    values = {
        "start_us": [fakes.EPOCH_US] * n,
        "end_us": [fakes.EPOCH_US] * n,
        "src": ["10.0.0.1"] * n,
        "dst": ["10.0.0.2"] * n,
        "sport": [1] * n,
        "dport": [2] * n,
        "packets": [3] * n,
        "bytes": list(bytes_),
    }
    return fakes.make_flows(values, first_id=first_id)


def test_each_flow_names_its_first_copy(tmp_path):
    store = fakes.write_store(tmp_path / "f.parquet", rows(5, 6, 5), rows(6, 7, 5, first_id=3))
    assert first_copies(store).tolist() == [0, 1, 0, 1, 4, 0]


def test_a_missing_value_is_a_value(tmp_path):
    store = fakes.write_store(tmp_path / "f.parquet", rows(None, 0, None, 0))
    assert first_copies(store).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("company", [(), (None,), (0, None), (9, 9)])
def test_the_key_of_a_row_does_not_depend_on_its_company(company):
    def key(value):
        return row_keys(rows(value, *company).table, skip=PROVENANCE)[0]

    alone = row_keys(rows(4, first_id=70).table, skip=PROVENANCE)[0]
    missing = row_keys(rows(None).table, skip=PROVENANCE)[0]
    assert key(4) == alone
    assert key(None) == missing
    assert len({alone, missing, key(0)}) == 3


def test_minus_zero_is_zero_and_no_column_is_no_difference():
    table = pa.table({"x_a": pa.array([0.0, -0.0, 1.0], pa.float32())})
    keys = row_keys(table)
    assert keys[0] == keys[1] != keys[2]
    assert np.array_equal(row_keys(table, skip=("x_a",)), np.zeros(3, np.uint64))
