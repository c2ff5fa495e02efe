"""A million real flows: UNSW-NB15's first 20,000 rows, repeated with later times."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from netvigil.contracts import FlowTable
from netvigil.contracts.flows import TIMESTAMP
from netvigil_flowprep import plugin

SHIFT_S = 802  # the length of the excerpt, so that repetitions follow one another


def data_folder() -> Path:
    """Return the folder of real data, or skip."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("NETVIGIL_DATA") or default)
    if not folder.is_dir():
        pytest.skip("no real data: set NETVIGIL_DATA to the folder that DATA.md describes")
    return folder


def source() -> Path:
    """Return the file that is tiled: 20,000 lines of 49 columns, without a header."""
    return data_folder() / "unsw-nb15" / "UNSW-NB15_1.first20000.csv"


@cache
def tiled(copies: int) -> FlowTable:
    """Return 20,000 flows per copy, in start order."""
    part = next(p for p in plugin.netvigil_flow_readers() if p.name == "unsw-nb15")
    batches = [b.flows for b in part.make(part.config()).read(source(), batch_rows=100_000)]
    table = pa.concat_tables([b.table for b in batches]).unify_dictionaries().combine_chunks()
    rows = len(table)
    place = np.tile(np.arange(rows), copies)
    shift = np.repeat(np.arange(copies), rows) * SHIFT_S * 1_000_000
    start, end = (table[n].cast(pa.int64()).to_numpy()[place] + shift for n in ("start", "end"))
    order = np.argsort(start, kind="stable")
    whole = table.take(pa.array(place[order])).combine_chunks()
    for name, values in (
        ("flow_id", pa.array(np.arange(len(order)))),
        ("start", pa.array(start[order]).cast(TIMESTAMP)),
        ("end", pa.array(end[order]).cast(TIMESTAMP)),
    ):
        whole = whole.set_column(whole.schema.get_field_index(name), name, values)
    return FlowTable(whole, batches[0].info)
