from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from netvigil.addresses import flow_keys
from netvigil.baselines import service_keys
from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.testing.conformance import checks_for
from netvigil.testing.strategies import flow_tables
from netvigil.windows import spool_windows
from netvigil_flowprep import plugin
from netvigil_flowprep.graphs import flow_host
from netvigil_flowprep.graphs.flow_host import FlowHost, FlowHostConfig
from netvigil_flowprep.graphs.windows import cut

PART = next(part for part in plugin.netvigil_graph_builders() if part.name == "flow-host")
SETTINGS = st.sampled_from(
    (
        *({}, {"window_s": 1e-6}, {"window_s": 180}, {"window_flows": 1}, {"window_flows": 3}),
        {"whole": True},
    )
)


def _features(flows, order="C"):
    x = np.arange(3 * len(flows), dtype=np.float32).reshape(-1, 3)
    return FlowFeatures(np.asarray(x, order=order), ("x_a", "x_b", "x_c"))


def _build(flows, *, first_row=0, order="C", **settings):
    builder = FlowHost(FlowHostConfig(**settings))
    window = builder.window_of(flows, first_row=first_row)
    return builder.build(flows, _features(flows, order), window), window


@given(flow_tables(), SETTINGS, st.booleans())
def test_agrees_with_a_loop_over_windows(flows, settings, by_sorting):
    if len(flows) and not flows.has_addresses:
        return
    cells, flow_host.CELLS_PER_FLOW = flow_host.CELLS_PER_FLOW, -1 if by_sorting else 1 << 20
    try:
        graphs, window = _build(flows, **settings)
    finally:
        flow_host.CELLS_PER_FLOW = cells
    source, target = flow_keys(flows.table["src_ip"]), flow_keys(flows.table["dst_ip"])
    numbers = sorted(set(window.tolist()))
    assert len(graphs) == len(numbers)
    for place, number in enumerate(numbers):
        rows = np.flatnonzero(window == number)
        one = graphs[place : place + 1]
        assert one.flow_id.tolist() == flows.flow_id[rows].tolist()
        assert one.node_key.tolist() == sorted({*source[rows].tolist(), *target[rows].tolist()})
        assert one.node_key[one.flow_src].tolist() == source[rows].tolist()
        assert one.node_key[one.flow_dst].tolist() == target[rows].tolist()
        assert np.array_equal(one.flow_x, _features(flows).x[rows])
        assert one.flow_service.tolist() == service_keys(flows)[rows].tolist()


@given(flow_tables(min_flows=1))
def test_time_windows_are_aligned_to_the_epoch(flows):
    if not flows.has_addresses:
        return
    graphs, window = _build(flows, window_s=180)
    assert np.all(graphs.window_start % 180_000_000 == 0)
    age = flows.start_us - graphs.window_start[graphs.window_of_flow()]
    assert np.all((age >= 0) & (age < 180_000_000))
    assert window.tolist() == (flows.start_us // 180_000_000).tolist()


@given(flow_tables(min_flows=2), st.data(), SETTINGS)
def test_batches_cut_between_windows_give_the_same_windows(flows, data, settings):
    whole, window = _build(flows, **settings) if flows.has_addresses else (None, None)
    if whole is None:
        return
    place = data.draw(st.integers(0, len(whole)))
    row = int(whole.flow_ptr[place])
    head, tail = flows.slice(0, row), flows.slice(row)
    if not (head.has_addresses and tail.has_addresses):
        return
    _, after = _build(tail, first_row=row, **settings)
    assert after.tolist() == window[row:].tolist()
    builder = FlowHost(FlowHostConfig(**settings))
    features = FlowFeatures(_features(flows).x[row:], _features(flows).names)
    second = builder.build(tail, features, after)
    for name in ("flow_id", "flow_src", "flow_dst", "window_start", "node_key", "flow_x"):
        assert np.array_equal(getattr(second, name), getattr(whole[place:], name)), name


def test_graphs_do_not_depend_on_how_dictionaries_are_written(make_flows):
    rows = [{"start": n, "end": n, "src_ip": s, "dst_ip": d} for n, (s, d) in enumerate(
        [("b", "a"), ("c", "b"), ("a", "a"), ("d", "c")])]  # fmt: skip
    flows = make_flows(rows)
    chunks = [flows.table.slice(0, 1), flows.table.slice(1)]
    chunked = pa.concat_tables(
        [FlowTable.trusted(c, flows.info).table.take(list(range(len(c)))) for c in chunks]
    )
    wide = pa.array(["z", "d", "c", "b", "a", "unused"])
    codes = {"a": 4, "b": 3, "c": 2, "d": 1}
    other = flows.table
    for name in ("src_ip", "dst_ip"):
        indices = pa.array([codes[text] for text in flows.table[name].to_pylist()], pa.int32())
        place = other.schema.get_field_index(name)
        other = other.set_column(place, name, pa.DictionaryArray.from_arrays(indices, wide))
    expected, _ = _build(flows)
    for table in (chunked, other):
        graphs, _ = _build(FlowTable(table, flows.info))
        assert graphs.node_key.tolist() == expected.node_key.tolist()
        assert graphs.flow_src.tolist() == expected.flow_src.tolist()
        assert graphs.flow_dst.tolist() == expected.flow_dst.tolist()


def test_an_unknown_address_is_the_host_of_key_zero(make_flows):
    flows = make_flows(
        [
            {"start": 0, "end": 0, "src_ip": "a", "dst_ip": None},
            {"start": 0, "end": 0, "src_ip": None, "dst_ip": "a"},
        ]
    )
    graphs, _ = _build(flows)
    assert graphs.node_key[0] == 0
    assert (graphs.flow_src.tolist(), graphs.flow_dst.tolist()) == ([1, 0], [0, 1])


def test_features_pass_without_a_copy_and_columns_are_turned_into_rows(make_flows):
    flows = make_flows([{"start": 0, "end": 0, "src_ip": "a", "dst_ip": "b"}] * 3)
    builder = FlowHost(FlowHostConfig())
    features = _features(flows)
    window = builder.window_of(flows, first_row=0)
    assert np.shares_memory(builder.build(flows, features, window).flow_x, features.x)
    assert np.array_equal(_build(flows, order="F")[0].flow_x, features.x)


def test_no_flows_give_no_windows(make_flows):
    graphs, _ = _build(
        make_flows([{"start": 0, "end": 0, "src_ip": "a", "dst_ip": "b"}]).slice(0, 0)
    )
    assert len(graphs) == 0


def test_features_with_gaps_are_refused(make_flows):
    flows = make_flows([{"start": 0, "end": 0, "src_ip": "a", "dst_ip": "b"}])
    builder = FlowHost(FlowHostConfig())
    gap = FlowFeatures(np.full((1, 1), np.nan, np.float32), ("x_a",))
    with pytest.raises(ContractError, match="NaN"):
        builder.build(flows, gap, np.zeros(1, np.int64))


def test_flows_without_addresses_are_refused_with_what_to_do(make_flows):
    flows = make_flows([{"start": 0, "end": 0}])
    with pytest.raises(IncompatiblePartsError, match="no addresses") as refusal:
        FlowHost(FlowHostConfig()).check(flows)
    assert "none" in refusal.value.do


def test_time_windows_need_a_clock_and_count_windows_do_not(make_flows):
    flows = make_flows([{"start": 0, "end": 0, "src_ip": "a", "dst_ip": "b"}] * 5, clock=False)
    with pytest.raises(IncompatiblePartsError, match="no clock"):
        FlowHost(FlowHostConfig()).check(flows)
    FlowHost(FlowHostConfig(window_flows=2)).check(flows)
    graphs, _ = _build(flows, window_flows=2, first_row=3)
    assert graphs.window_start.tolist() == [2, 4, 6]
    assert np.diff(graphs.flow_ptr).tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"window_s": 180, "stride_s": 60},
            "stride_s must equal window_s because each flow is scored once",
        ),
        ({"stride_s": 60}, "stride_s must equal window_s"),
        ({"window_s": 1, "window_flows": 1}, "not both"),
        ({"window_flows": 5, "stride_s": 180}, "leave it out"),
        ({"whole": True, "window_s": 180}, "leave window_s"),
        ({"whole": True, "window_flows": 9}, "leave window_s"),
        ({"window_s": 0}, "greater than 0"),
        ({"window_s": 1e-9}, "microsecond"),
    ],
)
def test_impossible_windows_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        FlowHostConfig(**settings)


def test_a_stride_equal_to_the_window_is_fine():
    assert FlowHostConfig(window_s=60, stride_s=60).window_s == 60
    assert FlowHostConfig(stride_s=180).stride_s == 180


def test_window_numbers_that_decrease_are_refused():
    with pytest.raises(ContractError, match="decrease"):
        cut(np.array([1, 0]))


@given(flow_tables(min_flows=1), st.data())
def test_the_whole_range_is_one_window_however_it_is_cut(flows, data):
    if not flows.has_addresses:
        return
    whole, window = _build(flows, whole=True)
    assert (len(whole), whole.window_start.tolist()) == (1, [0])
    assert not window.any()
    row = data.draw(st.integers(0, len(flows)))
    builder = FlowHost(FlowHostConfig(whole=True))
    pieces = [(0, flows.slice(0, row)), (row, flows.slice(row))]
    with TemporaryDirectory() as folder:
        spooled = spool_windows(
            [piece for piece in pieces if len(piece[1])],
            _same_features(flows),
            builder,
            Path(folder),
        )
        (again,) = spooled
        for name in ("flow_id", "flow_src", "flow_dst", "node_key", "node_ptr", "flow_x"):
            assert np.array_equal(getattr(again, name), getattr(whole, name)), name


def _same_features(flows):
    """Give a flow the same features in any piece of `flows`."""
    whole = _features(flows)
    place = {number: row for row, number in enumerate(flows.flow_id.tolist())}
    return lambda piece: FlowFeatures(
        whole.x[[place[number] for number in piece.flow_id.tolist()]], whole.names
    )


def test_the_whole_range_needs_no_clock_but_addresses(make_flows):
    rows = [{"start": 0, "end": 0, "src_ip": "a", "dst_ip": "b"}] * 5
    builder = FlowHost(FlowHostConfig(whole=True))
    builder.check(make_flows(rows, clock=False))
    graphs, _ = _build(make_flows(rows, clock=False), whole=True, first_row=3)
    assert graphs.window_start.tolist() == [0]
    with pytest.raises(IncompatiblePartsError, match="no addresses"):
        builder.check(make_flows([{"start": 0, "end": 0}]))


@pytest.mark.parametrize("config", [{}, {"window_s": 20, "stride_s": 20}, {"whole": True}], ids=str)
def test_conformance(config):
    for check in checks_for(PART, config=config):
        check(PART)
