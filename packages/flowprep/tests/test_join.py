from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import FlowTable, LabelTable
from netvigil.errors import ConfigError, ContractError
from netvigil.testing.strategies import flow_tables, label_tables
from netvigil_flowprep.join import Timeout, TimeoutConfig, join, join_batches

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def _piece(start, end, src=A, sport=1000, dst=B, dport=80, **more):
    ends = {"src_ip": src, "src_port": sport, "dst_ip": dst, "dst_port": dport}
    return {"start": start, "end": end, "duration_s": end - start, "protocol": 6, **ends, **more}


def _back(start, end, **more):
    return _piece(start, end, B, 80, A, 1000, **more)


@given(flow_tables())
def test_a_timeout_of_zero_changes_nothing(flows):
    joined = join(flows, timeout_s=0)
    assert joined.flows is flows
    assert joined.new_id.tolist() == flows.flow_id.tolist()


@given(flow_tables(), st.sampled_from((1e-6, 1, 200, 1e6)))
def test_ids_order_totals_and_lonely_flows(flows, timeout_s):
    joined = join(flows, timeout_s=timeout_s)
    assert set(joined.new_id.tolist()) == set(joined.flows.flow_id.tolist())
    assert joined.old_id.tolist() == flows.flow_id.tolist()
    # A flow that was joined to nothing is the same bit for bit.
    ids, counts = np.unique(joined.new_id, return_counts=True)
    lonely = ids[counts == 1]
    before = flows.take(np.isin(flows.flow_id, lonely)).table
    after = joined.flows.take(np.isin(joined.flows.flow_id, lonely)).table
    assert before.to_pylist() == after.to_pylist()
    for kind in ("packets", "bytes"):
        assert _sum(flows, kind) == _sum(joined.flows, kind)


def _sum(flows, kind):
    # Modulo 2^64: the strategy draws counters up to 2^63.
    values = [flows.table[f"{side}_{kind}"].fill_null(0).to_numpy() for side in ("fwd", "bwd")]
    return int(np.sum(np.concatenate(values), dtype=np.uint64))


def _gaps_of_runs(flows, joined, timeout_s):
    end_of: dict[int, int] = {}
    for new, start, end in zip(joined.new_id, flows.start_us, flows.end_us, strict=True):
        if new in end_of:
            yield max(start - end_of[new], 0) / 1e6
        end_of[new] = max(end, end_of.get(new, end))


@given(flow_tables(), st.sampled_from((1e-6, 1, 200, 1e6)))
def test_gaps_inside_a_flow_are_below_the_timeout_and_outside_are_not(flows, timeout_s):
    joined = join(flows, timeout_s=timeout_s)
    assert all(gap < timeout_s for gap in _gaps_of_runs(flows, joined, timeout_s))
    again = join(joined.flows, timeout_s=timeout_s)
    assert len(again.flows) == len(joined.flows)


@given(flow_tables(max_flows=20), st.integers(1, 8), st.sampled_from((1, 200, 1e6)))
def test_batches_give_what_the_whole_gives(flows, size, timeout_s):
    batches = [flows.slice(first, size) for first in range(0, len(flows), size)]
    parts = list(join_batches(batches, timeout_s=timeout_s))
    rows = [row for part in parts for row in part.flows.table.to_pylist()]
    whole = join(flows, timeout_s=timeout_s)
    by_id = {row["flow_id"]: row for row in whole.flows.table.to_pylist()}
    assert len(rows) == len(by_id)
    assert {row["flow_id"]: row for row in rows} == by_id
    mapping = {o: n for part in parts for o, n in zip(part.old_id, part.new_id, strict=True)}
    assert mapping == dict(zip(whole.old_id, whole.new_id, strict=True))


PACKETS = st.lists(
    st.tuples(st.booleans(), st.integers(40, 1500), st.floats(0.001, 5)), min_size=2, max_size=25
)


@given(PACKETS, st.data())
def test_joining_the_pieces_of_a_cut_conversation_restores_it(make_flows_once, packets, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(packets) - 1), max_size=4)))
    times = np.cumsum([gap for _, _, gap in packets])
    bounds = [0, *cuts, len(packets)]
    pieces = [
        _meter(packets[a:b], times[a:b], backwards=data.draw(st.booleans()) and a > 0)
        for a, b in pairwise(bounds)
    ]
    joined = join(make_flows_once(pieces), timeout_s=6).flows.table.to_pylist()
    (row,) = joined
    whole = _meter(packets, times, backwards=False)
    for name, value in whole.items():
        if name in ("start", "end"):
            continue
        close = value if isinstance(value, str) else pytest.approx(value, rel=1e-4, abs=1e-3)
        assert row[name] == close, name


@pytest.fixture(scope="module")
def make_flows_once(request):
    """The factory of `make_flows`, which keeps nothing between examples."""
    manager = request.session._fixturemanager
    (definition,) = manager.getfixturedefs("make_flows", request.node)
    return definition.func()


def _meter(packets, times, *, backwards):
    """Meter packets as an exporter would, in the direction of A or of B."""
    sides = {"src2dst": [], "dst2src": []}
    for forward, size, _ in packets:
        sides["src2dst" if forward != backwards else "dst2src"].append(size)
    sides["bidirectional"] = sides["src2dst"] + sides["dst2src"]
    row = (_back if backwards else _piece)(round(times[0], 6), round(times[-1], 6))
    for name, sizes in (("fwd", sides["src2dst"]), ("bwd", sides["dst2src"])):
        row |= {f"{name}_packets": len(sizes), f"{name}_bytes": sum(sizes)}
    for name, sizes in sides.items():
        row |= {
            f"x_{name}_min_ps": min(sizes, default=0),
            f"x_{name}_max_ps": max(sizes, default=0),
            f"x_{name}_mean_ps": float(np.mean(sizes)) if sizes else 0.0,
            f"x_{name}_stddev_ps": float(np.std(sizes, ddof=1)) if len(sizes) > 1 else 0.0,
            f"x_{name}_psh_packets": float(sum(s > 1000 for s in sizes)),
        }
    flags = {side: int(sum({1 << (s % 8) for s in sizes})) for side, sizes in sides.items()}
    return row | {
        "tcp_flags": flags["bidirectional"],
        "fwd_tcp_flags": flags["src2dst"],
        "bwd_tcp_flags": flags["dst2src"],
    }


def test_gap_statistics_are_weighted_by_gaps_and_lone_packets_have_none(make_flows):
    def piece(start, packets, low, mean):
        counts = {"fwd_packets": packets, "bwd_packets": 0}
        return _piece(start, start, **counts, x_flow_iat_min=low, x_flow_iat_mean=mean)

    flows = make_flows([piece(0, 3, 4.0, 6.0), piece(1, 1, 0.0, 0.0), piece(2, 5, 5.0, 9.0)])
    (row,) = join(flows, timeout_s=5).flows.table.to_pylist()
    assert (row["x_flow_iat_min"], row["x_flow_iat_mean"]) == (4.0, (2 * 6 + 4 * 9) / 6)
    alone = join(make_flows([piece(0, 1, 0.0, 0.0), piece(1, 1, 0.0, 0.0)]), timeout_s=5)
    assert alone.flows.table["x_flow_iat_min"].to_pylist() == [0.0]


def test_direction_first_known_last_known_and_rates(make_flows):
    flows = make_flows(
        [
            _piece(0, 2, fwd_packets=3, conn_state="S0", x_fwd_pkts_s=1.5, x_init_fwd_win=10.0),
            _back(3, 9, fwd_packets=4, bwd_packets=1, conn_state="SF", x_bwd_pkts_s=1.0,
                  x_fwd_pkts_s=9.0, x_init_bwd_win=20.0, l7_proto="http"),
        ]
    )  # fmt: skip
    (row,) = join(flows, timeout_s=2).flows.table.to_pylist()
    assert (row["src_ip"], row["src_port"], row["dst_port"]) == (A, 1000, 80)
    assert (row["fwd_packets"], row["bwd_packets"]) == (4, 4)
    assert (row["conn_state"], row["l7_proto"], row["duration_s"]) == ("SF", "http", 9.0)
    assert row["x_fwd_pkts_s"] == pytest.approx((1.5 * 2 + 1.0 * 6) / 8)
    assert row["x_init_fwd_win"] == 10


def test_a_reversed_piece_of_a_unidirectional_source_gives_the_backward_counters(make_flows):
    flows = make_flows(
        [_piece(0, 1, fwd_packets=5, fwd_bytes=50), _back(0.5, 1.5, fwd_packets=3, fwd_bytes=30)],
        direction="uni",
    )
    joined = join(flows, timeout_s=1).flows
    (row,) = joined.table.to_pylist()
    assert (row["fwd_packets"], row["bwd_packets"], row["bwd_bytes"]) == (5, 3, 30)
    assert joined.info.direction == "bi"


def test_the_gap_counts_from_the_latest_end_and_must_be_below_the_timeout(make_flows):
    rows = [_piece(0, 100), _piece(10, 11), _piece(105, 106), _piece(111, 112)]
    joined = join(make_flows(rows), timeout_s=5.0)
    assert joined.new_id.tolist() == [0, 0, 2, 3]
    assert join(make_flows(rows), timeout_s=5.000001).new_id.tolist() == [0, 0, 0, 0]


def test_other_ports_protocols_and_unknown_hosts_stay_apart(make_flows):
    rows = [
        _piece(0, 1),
        _piece(0, 1, sport=1001),
        _piece(0, 1, dst=C),
        {**_piece(0, 1), "protocol": 17},
        _piece(0, 1, src=None),
        _piece(0, 1, src=None),
    ]
    assert len(join(make_flows(rows), timeout_s=60).flows) == len(rows)


def test_flows_without_a_clock_or_with_a_negative_timeout_are_refused(make_flows):
    with pytest.raises(ContractError, match="no clock"):
        join(make_flows([_piece(0, 1)], clock=False), timeout_s=1)
    with pytest.raises(ConfigError, match="negative"):
        join(make_flows([_piece(0, 1)]), timeout_s=-1)


def test_labels_follow_and_an_attack_wins(make_flows):
    rows = [_piece(n, n, sport=1000 + n // 2) for n in range(8)]
    joined = join(make_flows(rows), timeout_s=5)
    assert joined.new_id.tolist() == [0, 0, 2, 2, 4, 4, 6, 6]
    labels = LabelTable.of(
        np.array([0, 1, 2, 3, 4, 5, 6]),
        np.array([False, True, True, True, False, False, False]),
        pa.array([None, "scan", "flood", "scan", None, None, None]),
    )
    found = joined.relabel(labels).align(np.array([0, 2, 4, 6]))
    assert found.known.tolist() == [True, True, True, False]  # flow 7 is unknown, so 6 is
    assert found.attack.tolist() == ["scan", "flood", "", ""]


@given(flow_tables(), st.data())
def test_labels_of_unjoined_flows_stay(flows, data):
    labels = data.draw(label_tables(flows.flow_id))
    followed = join(flows, timeout_s=0).relabel(labels).align(flows.flow_id)
    expected = labels.align(flows.flow_id)
    assert followed.known.tolist() == expected.known.tolist()
    assert followed.attack.tolist() == expected.attack.tolist()


def test_the_part_joins_a_stream(make_flows):
    flows = make_flows([_piece(0, 1), _piece(2, 3), _piece(200, 201)])
    found = list(Timeout(TimeoutConfig(timeout_s=5)).join([flows.slice(0, 1), flows.slice(1)]))
    assert [row for part in found for row in part.new_id.tolist()] == [0, 0, 2]
    assert TimeoutConfig().timeout_s == 120


def test_the_provenance_of_the_table_is_kept(make_flows):
    flows = make_flows([_piece(0, 1), _piece(1, 2)])
    joined = join(flows, timeout_s=5)
    assert joined.flows.info == replace(flows.info)
    assert isinstance(joined.flows, FlowTable)
