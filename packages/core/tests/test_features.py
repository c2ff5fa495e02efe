"""What a model may see: shortcuts are denied unless named, and the order of columns is kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from netvigil.contracts import FlowInfo, FlowTable
from netvigil.contracts.flows import CANONICAL
from netvigil.errors import ConfigError
from netvigil.features import CORE35, NUMERIC, FeatureContract, extract, select_features, shortcut
from netvigil.testing.strategies import flow_tables

from . import fakes

COLUMNS = (*CANONICAL, "conn_state", "x_a", "x_sttl", "x_min_ttl", "c_service", "source_row")
CATEGORIES = ("conn_state", "c_service")


def select(**options):
    return select_features(COLUMNS, CATEGORIES, **options)


class TestAuto:
    def test_counters_features_and_categories_but_no_shortcut(self):
        found = select()
        assert found.numeric == (*(n for n in NUMERIC if n != "protocol"), "x_a")
        assert found.categories == ("protocol", "conn_state", "c_service")
        assert dict(found.denied) == {"x_sttl": "TTL", "x_min_ttl": "TTL"}

    def test_addresses_ports_times_and_ids_are_not_even_offered(self):
        found = select()
        taken = {*found.numeric, *found.categories}
        assert not taken & {
            "flow_id",
            "start",
            "end",
            "src_ip",
            "dst_ip",
            "src_port",
            "dst_port",
            "source_row",
        }

    def test_a_shortcut_joins_by_being_named(self):
        found = select(allow_shortcuts=("x_sttl", "dst_port"))
        assert "x_sttl" in found.numeric
        assert "dst_port" in found.numeric
        assert dict(found.denied) == {"x_min_ttl": "TTL"}
        assert found.allowed_shortcuts == ("x_sttl", "dst_port")

    def test_names_beyond_iana_stand_beside_the_protocol_number(self):
        found = select_features([*CANONICAL, "c_protocol"], ["c_protocol"])
        assert found.categories == ("protocol", "c_protocol")


class TestLists:
    def test_the_order_is_kept(self):
        assert select(feature_set=("x_a", "fwd_bytes")).numeric == ("x_a", "fwd_bytes")

    def test_a_shortcut_in_a_list_is_an_error_until_it_is_allowed(self):
        with pytest.raises(ConfigError, match=r"x_sttl \(TTL\)"):
            select(feature_set=("x_a", "x_sttl"))
        found = select(feature_set=("x_a", "x_sttl"), allow_shortcuts=("x_sttl",))
        assert found.numeric == ("x_a", "x_sttl")

    @pytest.mark.parametrize("options", [{"feature_set": ("x_b",)}, {"allow_shortcuts": ("x_b",)}])
    def test_a_column_that_is_not_there(self, options):
        with pytest.raises(ConfigError, match="Did you mean 'x_a'") as caught:
            select(**options)
        assert "'x_b'" in str(caught.value)
        assert "features." in str(caught.value)

    def test_an_unknown_set(self):
        with pytest.raises(ConfigError, match="Did you mean 'auto'"):
            select(feature_set="auot")

    def test_nothing_left(self):
        with pytest.raises(ConfigError, match="No feature is left"):
            select(feature_set=())

    def test_core35_has_35_and_names_what_is_missing(self):
        assert len(CORE35) == len(set(CORE35)) == 35
        with pytest.raises(ConfigError, match="x_ip_version"):
            select(feature_set="core35")
        # Readers give some of them their canonical names.
        offered = [n for n in CORE35 if "src2dst_bytes" not in n] + ["fwd_bytes"]
        found = select_features(offered, [], feature_set="core35")
        assert len(found.numeric) == 35
        assert "fwd_bytes" in found.numeric
        assert "protocol" in found.numeric


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x_sttl", "TTL"),
        ("x_ct_state_ttl", "TTL"),
        ("src_port", "port"),
        ("x_stime", "time"),
        ("x_stcpb", "sequence number"),
        ("x_flow_id", "identifier"),
        ("x_vlan_id", "identifier"),
        ("c_src_ip", "address"),
        ("x_is_sm_ips_ports", "port"),
        ("x_ftp_command_ret_code", "answer code"),
        ("x_bidirectional_mean_ps", None),
        ("x_tcprtt", None),
        ("x_sload", None),
        ("fwd_bytes", None),
        # One of core35: a protocol version says nothing about who talks.
        ("x_ip_version", None),
        ("x_ip", "address"),
    ],
)
def test_shortcuts_by_name(name, why):
    assert shortcut(name) == why


@hypothesis_settings(max_examples=15, deadline=None)
@given(flow_tables())
def test_extract_takes_exactly_the_columns_and_turns_nulls_into_nan(flows):
    contract = FeatureContract(
        numeric=("x_mean_ps", "fwd_bytes"), categories=("c_service", "protocol")
    )
    found = extract(flows, contract)
    assert found.names == contract.numeric
    for k, name in enumerate(contract.numeric):
        wanted = [np.nan if v is None else np.float32(v) for v in flows.table[name].to_pylist()]
        assert np.array_equal(found.x[:, k], np.array(wanted, np.float32), equal_nan=True)
    assert list(found.categories) == ["c_service", "protocol"]
    assert found.categories["c_service"].to_pylist() == flows.table["c_service"].to_pylist()
    numbers = flows.table["protocol"].to_pylist()
    texts = found.categories["protocol"].cast(pa.string()).to_pylist()
    assert texts == [None if n is None else str(n) for n in numbers]


def test_a_large_counter_beside_a_missing_one_is_rounded_not_refused():
    """A counter is rounded to the same bits whether or not its batch holds a null."""
    counts = [2**24 + 1, 2**40 + 3, 2**63 + 2**39 + 1]
    found = []
    for values in (counts, [*counts, None]):
        n = len(values)
        columns = {name: pa.nulls(n, kind) for name, kind in CANONICAL.items()}
        columns |= {"flow_id": pa.array(range(n)), "fwd_bytes": pa.array(values, pa.uint64())}
        flows = FlowTable(pa.table(columns), FlowInfo("test", time_basis="row-order"))
        found.append(extract(flows, FeatureContract(numeric=("fwd_bytes",), categories=())).x)
    assert found[0].tobytes() == found[1][:3].tobytes()
    assert np.isnan(found[1][3, 0])


def test_the_digest_tells_feature_lists_apart():
    lists = [(("a", "b"), ()), (("a",), ("b",)), (("b", "a"), ()), (("ab",), ())]
    digests = {FeatureContract(numeric=n, categories=c).digest() for n, c in lists}
    assert len(digests) == 4


def test_what_a_source_lacks_is_listed():
    contract = FeatureContract(numeric=("x_a", "x_b"), categories=("c_d",))
    assert contract.missing_from(["x_b", "z"]) == ["x_a", "c_d"]


def test_a_time_is_a_feature_only_where_it_is_allowed_and_there_is_a_clock():
    rows = {**fakes.traffic(3), "start_us": [fakes.EPOCH_US + s for s in (0, 1_500_000, 9_000_000)]}
    rows["end_us"] = [start + 250_000 for start in rows["start_us"]]
    flows = fakes.make_flows({k: v for k, v in rows.items() if k != "label"})
    allowed = {"allow_shortcuts": ["start", "end"]}
    found = select_features(flows.table.column_names, [], origin_us=fakes.EPOCH_US, **allowed)
    assert found.numeric[-2:] == ("start", "end")
    assert extract(flows, found).x[:, -2:].tolist() == [[0, 0.25], [1.5, 1.75], [9, 9.25]]
    with pytest.raises(ConfigError, match="no clock, so start and end cannot be a feature"):
        select_features(flows.table.column_names, [], **allowed)
    plain = select_features(flows.table.column_names, [], origin_us=fakes.EPOCH_US)
    assert plain.origin_us is None
    assert not {"start", "end"} & {*plain.numeric}
