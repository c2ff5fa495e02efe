from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import FlowTable
from netvigil.errors import ConfigError
from netvigil.planting import COUNTERS, KINDS, plant
from netvigil.testing.strategies import flow_tables
from netvigil.testing.synthetic import traffic

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


@pytest.fixture(scope="module")
def flows() -> FlowTable:
    return traffic(4000, seed=0).flows


def changed(before: FlowTable, after: FlowTable, column: str) -> np.ndarray:
    """Which flows differ in a column; nulls are equal to each other."""
    a, b = (f.table[column].combine_chunks() for f in (before, after))
    if pa.types.is_dictionary(a.type):
        a, b = a.cast(pa.string()), b.cast(pa.string())
    differ = pc.or_(pc.not_equal(a, b).fill_null(False), pc.xor(pc.is_null(a), pc.is_null(b)))
    return differ.to_numpy(zero_copy_only=False)


def rows_of(planted, kind: str) -> np.ndarray:
    return planted.labels.align(planted.flows.flow_id).attack == kind


def test_all_else_stays_and_only_late_flows_change(flows):
    planted = plant(flows, from_share=0.7, share=0.1, seed=1)
    truth = planted.labels.align(flows.flow_id)
    assert truth.known.all()
    assert not truth.is_attack[:2800].any()
    assert truth.is_attack.sum() == sum(planted.counts.values())
    assert sum(planted.counts.values()) + planted.given_up == 120
    assert planted.flows.flow_id.tolist() == flows.flow_id.tolist()
    assert planted.flows.start_us.tolist() == flows.start_us.tolist()
    for column in flows.table.column_names:
        assert not (changed(flows, planted.flows, column) & ~truth.is_attack).any(), column


def test_each_kind_is_strange_as_it_says_and_in_nothing_else(flows):
    planted = plant(flows, share=0.2, seed=2)
    source = flows.table["src_ip"].cast(pa.string()).to_pylist()
    target = flows.table["dst_ip"].cast(pa.string()).to_pylist()
    made = planted.flows.table
    new_source = made["src_ip"].cast(pa.string()).to_pylist()
    new_target = made["dst_ip"].cast(pa.string()).to_pylist()
    known, pairs = {*source, *target}, set(zip(source, target, strict=True))
    for row in np.flatnonzero(rows_of(planted, "new-source")):
        assert new_source[row] not in known
        assert new_target[row] == target[row]
    for row in np.flatnonzero(rows_of(planted, "new-pair")):
        assert new_source[row] == source[row]
        assert new_target[row] in known
        assert (source[row], new_target[row]) not in pairs
    grown = rows_of(planted, "volume")
    for column in COUNTERS:
        a, b = (t[column].fill_null(0).to_numpy()[grown] for t in (flows.table, made))
        assert (b >= 9 * a).all()
        assert (b[a > 0] > a[a > 0]).all()
    for column in ("src_ip", "dst_ip", "dst_port", "protocol"):
        strange = rows_of(planted, "volume") | rows_of(planted, "behaviour")
        assert not (changed(flows, planted.flows, column) & strange).any()
    assert all(planted.counts[kind] for kind in KINDS)


def test_the_seed_decides(flows):
    one, same, other = (plant(flows, seed=seed) for seed in (3, 3, 4))
    assert one.flows.table.equals(same.flows.table)
    assert one.labels.table.equals(same.labels.table)
    assert not one.labels.table.equals(other.labels.table)


@given(flow_tables(min_flows=8), st.sampled_from(KINDS), st.integers(0, 5))
def test_any_table_stays_a_flow_table_or_is_refused(flows, kind, seed):
    try:
        planted = plant(flows, from_share=0.2, share=0.5, kinds=(kind,), seed=seed)
    except ConfigError:
        return
    FlowTable(planted.flows.table, flows.info)  # checks every rule again
    assert len(planted.flows) == len(flows)
    late = len(flows) - int(0.2 * len(flows))
    assert sum(planted.counts.values()) + planted.given_up == round(0.5 * late)


def test_what_it_refuses(flows):
    with pytest.raises(ConfigError, match="would be made strange"):
        plant(flows.slice(0, 20), share=0.1)
    bare = flows.table
    for column in ("src_ip", "dst_ip"):
        place = bare.column_names.index(column)
        field = bare.schema.field(column)
        bare = bare.set_column(place, field, pa.nulls(len(bare), field.type))
    with pytest.raises(ConfigError, match="no addresses"):
        plant(FlowTable(bare, flows.info), kinds=("new-source",))
    assert plant(FlowTable(bare, flows.info), kinds=("volume",)).counts["volume"]
