"""Hypothesis strategies for contracts: small tables that hold every legal oddity.

Hypothesis is no dependency of netvigil; tests bring it (`pip install hypothesis`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from netvigil.contracts import FlowInfo, FlowTable, LabelTable
from netvigil.contracts.flows import TEXT, TIMESTAMP
from netvigil.errors import NetvigilError

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    _what = "netvigil.testing.strategies needs hypothesis, which is not installed."
    raise NetvigilError(
        _what, do="Add it to your test dependencies: pip install hypothesis"
    ) from error

ADDRESSES = (
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.30",
    "2001:db8::1",
    "198.18.0.1",
    "EXT_SERVER",
    "12345_67",
)
COUNTER = st.one_of(st.none(), st.integers(0, 50), st.integers(0, 2**63))
EPOCH_US = 1_772_000_000_000_000


@st.composite
def flow_tables(
    draw: st.DrawFn,
    *,
    min_flows: int = 0,
    max_flows: int = 12,
    clock: bool = True,
    addresses: bool = True,
) -> FlowTable:
    """Draw flow tables: equal and distant starts, null ports and counters, self-loops, no flows.

    `clock=False` gives tables whose source has only a row order; `addresses=False` ones without
    endpoints.
    """
    n = draw(st.integers(min_flows, max_flows))
    ids = draw(st.lists(st.integers(0, 10**12), min_size=n, max_size=n, unique=True))
    # Few distinct starts make ties; large steps make gaps longer than any window.
    steps = draw(_column(st.sampled_from((0, 0, 1, 1_000_000, 179_999_999, 10**10)), n))
    start = EPOCH_US + np.cumsum(np.array(steps, np.int64))
    length = np.array(draw(_column(st.sampled_from((0, 1, 1_500_000, 10**9)), n)), np.int64)
    hosts = st.sampled_from(ADDRESSES) if addresses else st.none()
    port = st.one_of(st.none(), st.sampled_from((0, 53, 443, 65_535)))
    real = st.one_of(
        st.none(),
        st.floats(
            width=32, allow_nan=False, allow_infinity=False, max_value=2.0**99, min_value=-(2.0**99)
        ),
    )
    columns: dict[str, pa.Array] = {
        "flow_id": pa.array(sorted(ids), pa.int64()),
        "start": pa.array(start, pa.int64()).view(TIMESTAMP) if clock else pa.nulls(n, TIMESTAMP),
        "end": pa.array(start + length, pa.int64()).view(TIMESTAMP)
        if clock
        else pa.nulls(n, TIMESTAMP),
        "duration_s": pa.array(length / 1e6, pa.float64()),
    }
    drawn = (
        *(("src_ip", TEXT, hosts), ("dst_ip", TEXT, hosts)),
        *(("src_port", pa.uint16(), port), ("dst_port", pa.uint16(), port)),
        ("protocol", pa.uint8(), st.one_of(st.none(), st.sampled_from((1, 6, 17, 58)))),
        *(
            (name, pa.uint64(), COUNTER)
            for name in ("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes")
        ),
        ("conn_state", TEXT, st.one_of(st.none(), st.sampled_from(("SF", "S0", "REJ")))),
        *(("x_mean_ps", pa.float32(), real), ("x_psh_packets", pa.float32(), real)),
        ("c_service", TEXT, st.one_of(st.none(), st.sampled_from(("dns", "http", "-")))),
    )
    for name, kind, values in drawn:
        columns[name] = pa.array(draw(_column(values, n)), kind)
    info = FlowInfo(format="strategy", time_basis="clock" if clock else "row-order")
    return FlowTable(pa.table(columns), info)


@st.composite
def label_tables(draw: st.DrawFn, flow_id: np.ndarray[Any, Any]) -> LabelTable:
    """Draw truth about some of these flows, in any order; the others stay unknown."""
    chosen = [i for i in flow_id.tolist() if draw(st.booleans())]
    ids = np.array(draw(st.permutations(chosen)), np.int64)
    attack = np.array(draw(_column(st.booleans(), len(ids))), np.bool_)
    names = draw(_column(st.sampled_from(("scan", "flood", None)), len(ids)))
    return LabelTable.of(ids, attack, pa.array(names, pa.string()))


def _column(values: st.SearchStrategy[Any], n: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=n, max_size=n)
