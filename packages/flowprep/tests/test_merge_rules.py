from __future__ import annotations

import pytest

from netvigil.contracts import CANONICAL, OPTIONAL
from netvigil_flowprep import merge_rules
from netvigil_flowprep.merge_rules import direction_of, mean_of, other_direction, rule_of


def test_every_canonical_and_optional_column_has_a_rule():
    assert set(merge_rules.CANONICAL) == {*CANONICAL, *OPTIONAL}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("x_bidirectional_stddev_piat_ms", "deviation"),
        ("x_fwd_packet_length_std", "deviation"),
        ("x_pkt_len_var", "variance"),
        ("x_bidirectional_mean_ps", "mean"),
        ("x_flow_iat_mean", "mean"),
        ("x_average_packet_size", "mean"),
        ("x_src2dst_min_ps", "min"),
        ("x_shortest_flow_pkt", "min"),
        ("x_longest_flow_pkt", "max"),
        ("x_tcp_win_max_in", "max"),
        ("x_src2dst_first_seen_ms", "min"),
        ("x_bidirectional_last_seen_ms", "max"),
        ("x_bidirectional_syn_packets", "sum"),
        ("x_num_pkts_up_to_128_bytes", "sum"),
        ("x_retransmitted_in_bytes", "sum"),
        ("x_syn_flag_count", "sum"),
        ("x_sloss", "sum"),
        ("x_flow_bytes_s", "rate"),
        ("x_sload", "rate"),
        ("x_src_to_dst_second_bytes", "rate"),
        ("x_src_to_dst_avg_throughput", "mean"),
        ("x_ct_srv_src", "max"),
        ("x_ip_version", "first"),
        ("x_swin", "first"),
        ("x_something_new", "mean"),
        ("c_protocol", "first"),
        ("conn_state", "last"),
    ],
)
def test_rules(name, rule):
    assert rule_of(name) == rule


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("fwd_packets", "bwd_packets"),
        ("x_fwd_iat_mean", "x_bwd_iat_mean"),
        ("x_src2dst_mean_ps", "x_dst2src_mean_ps"),
        ("x_retransmitted_in_bytes", "x_retransmitted_out_bytes"),
        ("x_src_to_dst_iat_min", "x_dst_to_src_iat_min"),
        ("x_sload", "x_dload"),
        ("x_spackets", "x_rpackets"),
        ("x_init_win_bytes_forward", "x_init_win_bytes_backward"),
        ("x_c_bytes_all", "x_s_bytes_all"),
    ],
)
def test_directions_come_in_pairs(name, other):
    columns = (name, other)
    assert other_direction(name, columns) == other
    assert other_direction(other, columns) == name
    assert (direction_of(name, columns), direction_of(other, columns)) == ("fwd", "bwd")


def test_columns_of_no_direction_and_columns_without_a_counterpart():
    for name in ("x_bidirectional_mean_ps", "tcp_flags", "x_synack", "x_flow_pkts_s"):
        assert other_direction(name, (name,)) == name
        assert direction_of(name, (name,)) == "both"
    assert other_direction("x_fwd_only", ("x_fwd_only",)) is None


def test_a_deviation_knows_its_mean():
    assert mean_of("x_fwd_iat_std", ("x_fwd_iat_mean",)) == "x_fwd_iat_mean"
    assert mean_of("x_pkt_len_var", ("x_pkt_len_mean",)) == "x_pkt_len_mean"
    assert mean_of("x_fwd_iat_std", ("x_bwd_iat_mean",)) is None
