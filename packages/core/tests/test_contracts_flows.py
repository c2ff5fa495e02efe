"""`FlowTable` refuses each broken invariant, keeps legal oddities, and slices without copying."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netvigil.contracts import CANONICAL, OPTIONAL, FlowBatch, FlowInfo, FlowTable, ReadReport
from netvigil.contracts.flows import EXAMPLES, TEXT
from netvigil.errors import ContractError
from netvigil.testing.strategies import flow_tables

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

# Enough to meet every oddity, without a limit of time on a busy machine.
FEW = settings(max_examples=40, deadline=None)

SOME = flow_tables(min_flows=3)


def swapped(flows, name, values):
    table = flows.table
    return table.set_column(table.column_names.index(name), name, values)


def ids(flows, change):
    numbers = flows.flow_id.copy()
    change(numbers)
    return swapped(flows, "flow_id", pa.array(numbers))


def times(flows, name, change):
    us = flows.table[name].cast(pa.int64()).to_numpy().copy()
    change(us)
    return swapped(flows, name, pa.array(us).view(CANONICAL[name]))


@FEW
@given(flow_tables())
def test_legal_tables_are_accepted_with_their_oddities(flows):
    again = FlowTable(flows.table, flows.info)
    assert len(again) == flows.table.num_rows
    assert again.feature_names == ("x_mean_ps", "x_psh_packets")
    assert again.category_names == ("conn_state", "c_service")
    assert np.array_equal(again.start_us, np.sort(again.start_us))


@FEW
@given(SOME, st.sampled_from(sorted(CANONICAL)))
def test_every_canonical_column_is_needed(flows, name):
    with pytest.raises(ContractError, match=rf"lacks the columns.*{name}"):
        FlowTable(flows.table.drop_columns([name]), flows.info)


@FEW
@given(SOME, st.sampled_from(sorted(CANONICAL)))
def test_every_canonical_column_has_its_type(flows, name):
    wrong = pa.array([0] * len(flows), pa.int16())
    with pytest.raises(ContractError, match=rf"'{name}' is int16, not"):
        FlowTable(swapped(flows, name, wrong), flows.info)


@FEW
@given(SOME)
def test_ids_are_unique_and_present(flows):
    with pytest.raises(ContractError, match="share one flow_id"):
        FlowTable(ids(flows, lambda n: n.__setitem__(0, n[-1])), flows.info)
    holed = pa.array([None, *flows.flow_id[1:].tolist()], pa.int64())
    with pytest.raises(ContractError, match="1 flows have no flow_id"):
        FlowTable(swapped(flows, "flow_id", holed), flows.info)


@FEW
@given(SOME)
def test_ids_need_not_increase(flows):
    FlowTable(swapped(flows, "flow_id", pa.array(flows.flow_id[::-1].copy())), flows.info)


@FEW
@given(SOME)
def test_rows_are_in_start_order(flows):
    assume(flows.start_us[0] < flows.start_us[-1])
    rows = pa.array(np.arange(len(flows))[::-1])
    with pytest.raises(ContractError, match="order of their start"):
        FlowTable(flows.table.take(rows), flows.info)


@FEW
@given(SOME, st.data())
def test_no_flow_ends_before_it_starts(flows, data):
    row = data.draw(st.integers(0, len(flows) - 1))
    bad = times(flows, "end", lambda us: us.__setitem__(row, flows.start_us[row] - 1))
    with pytest.raises(ContractError, match="1 flows end before"):
        FlowTable(bad, flows.info)


@FEW
@given(SOME, st.sampled_from(["start", "end"]))
def test_a_clock_has_no_gaps(flows, name):
    none = pa.nulls(len(flows), CANONICAL[name])
    with pytest.raises(ContractError, match="no start or end"):
        FlowTable(swapped(flows, name, none), flows.info)


@FEW
@given(SOME)
def test_without_a_clock_no_time_is_invented(flows):
    info = FlowInfo(format="x", time_basis="row-order")
    with pytest.raises(ContractError, match="without a clock"):
        FlowTable(flows.table, info)


@FEW
@given(flow_tables(clock=False))
def test_row_order_tables_have_no_times_to_give(flows):
    with pytest.raises(ContractError, match="only a row order"):
        _ = flows.start_us
    with pytest.raises(ContractError, match="count windows"):
        _ = flows.end_us


@FEW
@given(SOME, st.data(), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_features_are_finite_or_null(flows, data, value):
    row = data.draw(st.integers(0, len(flows) - 1))
    x = np.ones(len(flows), np.float32)
    x[row] = value
    with pytest.raises(ContractError, match="'x_mean_ps' holds NaN or infinity"):
        FlowTable(swapped(flows, "x_mean_ps", pa.array(x)), flows.info)
    nulls = pa.array(x, mask=~np.isfinite(x))
    FlowTable(swapped(flows, "x_mean_ps", nulls), flows.info)


def test_huge_but_finite_features_are_accepted():
    flows = small()
    huge = pa.array(np.full(len(flows), 3.4e38, np.float32))
    FlowTable(swapped(flows, "x_mean_ps", huge), flows.info)


@pytest.mark.parametrize(
    "name",
    [
        "label",
        "Label",
        "attack_cat",
        "x_label",
        "c_attack",
        "x_is_attack",
        "x_malicious",
        "c_labels",
    ],
)
def test_no_label_travels_with_flows(name):
    kind = TEXT if name.startswith("c_") else pa.float32()
    table = small().table.append_column(name, pa.nulls(len(small()), kind))
    with pytest.raises(ContractError, match=r"looks like a label|no place for"):
        FlowTable(table, small().info)


@pytest.mark.parametrize("name", ["x_attachments", "c_labelled_net", "x_syn_flood_guard"])
def test_names_that_only_resemble_labels_are_fine(name):
    kind = TEXT if name.startswith("c_") else pa.float32()
    FlowTable(small().table.append_column(name, pa.nulls(len(small()), kind)), small().info)


@pytest.mark.parametrize("name", ["bytes", "X_upper", "x_", "x_with space", "sport"])
def test_columns_without_a_place_are_refused(name):
    table = small().table.append_column(name, pa.nulls(len(small()), pa.float32()))
    with pytest.raises(ContractError, match="no place for a column"):
        FlowTable(table, small().info)


def test_two_columns_of_one_name_are_refused():
    table = small().table.append_column("x_mean_ps", pa.nulls(len(small()), pa.float32()))
    with pytest.raises(ContractError, match="two columns of one name"):
        FlowTable(table, small().info)


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_optional_columns_have_their_types(name):
    table = small().table
    if name in table.column_names:
        table = table.drop_columns([name])
    FlowTable(table.append_column(name, pa.nulls(len(small()), OPTIONAL[name])), small().info)
    wrong = table.append_column(name, pa.nulls(len(small()), pa.int16()))
    with pytest.raises(ContractError, match=f"'{name}' is int16"):
        FlowTable(wrong, small().info)


@FEW
@given(flow_tables(), st.data())
def test_slices_are_views_and_takes_keep_identity(flows, data):
    low = data.draw(st.integers(0, len(flows)))
    length = data.draw(st.integers(0, len(flows) - low))
    part = flows.slice(low, length)
    assert np.array_equal(part.flow_id, flows.flow_id[low : low + length])
    if length:
        assert np.shares_memory(part.flow_id, flows.flow_id)
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(flows), max_size=len(flows))), bool
    )
    assert np.array_equal(flows.take(mask).flow_id, flows.flow_id[mask])
    rows = np.flatnonzero(mask)
    assert flows.take(mask).table.equals(flows.take(rows).table)


@FEW
@given(
    st.sampled_from(["zeek", 'näme with "quotes"']),
    st.sampled_from(["clock", "row-order"]),
    st.sampled_from(["l2", "ip", "l4", "payload", "unknown"]),
    st.sampled_from(["bi", "uni", "unknown"]),
)
def test_info_survives_as_metadata(name, basis, layer, direction):
    info = FlowInfo(name, basis, layer, direction)
    assert FlowInfo.from_metadata(info.to_metadata()) == info


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "no netvigil flow metadata"),
        ({b"pandas": b"{}"}, "no netvigil flow metadata"),
        ({b"netvigil.flows": b'{"version": 2, "format": "x"}'}, "schema version 2"),
    ],
)
def test_foreign_metadata_is_refused(metadata, words):
    with pytest.raises(ContractError, match=words):
        FlowInfo.from_metadata(metadata)


REPORTS = st.builds(
    ReadReport,
    read=st.integers(0, 99),
    repaired=st.integers(0, 99),
    rejected=st.integers(0, 99),
    repairs=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)),
    rejects=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)),
    examples=st.lists(st.text(max_size=3), max_size=6).map(tuple),
    skipped_files=st.lists(st.text(max_size=3), max_size=3).map(tuple),
)


@FEW
@given(REPORTS, REPORTS, REPORTS)
def test_accounts_add_up_in_any_grouping(a, b, c):
    assert (a + b) + c == a + (b + c)
    total = a + b
    assert total.read == a.read + b.read
    assert sum(total.rejects.values()) == sum(a.rejects.values()) + sum(b.rejects.values())
    assert len(total.examples) <= EXAMPLES
    assert total.skipped_files == a.skipped_files + b.skipped_files
    assert a + ReadReport() == a
    assert ReadReport(**total.to_json()).to_json() == total.to_json()


def test_a_batch_carries_its_label_text_apart():
    batch = FlowBatch(small(), ReadReport(read=2))
    assert batch.inline is None
    assert not set(batch.flows.table.column_names) & {"label", "attack"}


def small():
    """Two flows, by hand."""
    n = 2
    columns = {name: pa.nulls(n, kind) for name, kind in CANONICAL.items()}
    columns["flow_id"] = pa.array([0, 1], pa.int64())
    for name in ("start", "end"):
        columns[name] = pa.array([5, 6], pa.int64()).view(CANONICAL[name])
    columns["x_mean_ps"] = pa.array([1.0, None], pa.float32())
    return FlowTable(pa.table(columns), FlowInfo(format="by-hand"))
