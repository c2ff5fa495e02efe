"""The "NF-" data sets (nProbe field names), versions 1, 2 and 3.

Versions 1 and 2 have no time, so only the row order means anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil.parts import NoConfig
from netvigil_flowprep.readers.dialect import TEXT, WHOLE, Dialect, Names, plain
from netvigil_flowprep.readers.ports import WITH_PORTS
from netvigil_flowprep.readers.times import millis_us

_BASIC = frozenset({"ipv4_src_addr", "l4_src_port", "ipv4_dst_addr", "l4_dst_port", "protocol"})
_SECOND = frozenset({"client_tcp_flags"})
_THIRD = frozenset({"flow_start_milliseconds", "flow_end_milliseconds"})
_PLAIN = {
    "src_ip": "ipv4_src_addr",
    "dst_ip": "ipv4_dst_addr",
    "protocol": "protocol",
    # nProbe counts IN from the client's side: IN is source to destination.
    "fwd_packets": "in_pkts",
    "bwd_packets": "out_pkts",
    "fwd_bytes": "in_bytes",
    "bwd_bytes": "out_bytes",
    "tcp_flags": "tcp_flags",
    "fwd_tcp_flags": "client_tcp_flags",
    "bwd_tcp_flags": "server_tcp_flags",
    # nDPI's master.sub stays text: as a number, 5.10 and 5.1 would be the same application.
    "c_l7_proto_id": "l7_proto",
    "label": "label",
    "attack": "attack",
}
_TYPES = {
    **dict.fromkeys(("ipv4_src_addr", "ipv4_dst_addr", "l7_proto", "label", "attack"), TEXT),
    **dict.fromkeys(("l4_src_port", "l4_dst_port", "protocol"), WHOLE),
    **dict.fromkeys(("in_pkts", "out_pkts", "in_bytes", "out_bytes"), WHOLE),
    **dict.fromkeys(("tcp_flags", "client_tcp_flags", "server_tcp_flags"), WHOLE),
    **dict.fromkeys(("icmp_type", "icmp_ipv4_type", "flow_duration_milliseconds"), WHOLE),
    **dict.fromkeys(_THIRD, WHOLE),
}


def _derive(have: Names, _: NoConfig) -> Mapping[str, pl.Expr]:
    with_ports = pl.col("protocol").is_in(WITH_PORTS)
    made = plain(have, _PLAIN) | {
        "src_port": pl.when(with_ports).then(pl.col("l4_src_port")),
        "dst_port": pl.when(with_ports).then(pl.col("l4_dst_port")),
    }
    if "flow_duration_milliseconds" in have:
        made["duration_s"] = pl.col("flow_duration_milliseconds") / 1_000
    if have >= {"icmp_type", "icmp_ipv4_type"}:
        # ICMP_TYPE is type * 256 + code; both fields hold anything on rows of other protocols.
        is_icmp = pl.col("protocol") == 1
        made["icmp_type"] = pl.when(is_icmp).then(pl.col("icmp_ipv4_type"))
        made["icmp_code"] = pl.when(is_icmp).then(pl.col("icmp_type") % 256)
    if have >= _THIRD:
        made["start_us"] = millis_us("flow_start_milliseconds")
        made["end_us"] = millis_us("flow_end_milliseconds")
    return made


def _dialect(version: int, needs: Names, refuses: Names, why: str) -> Dialect:
    name = f"nf-v{version}"
    basis = FlowInfo(name, "clock" if version == 3 else "row-order", "ip", "bi")
    return Dialect(
        name=name,
        why=why,
        needs=(_BASIC | needs,),
        refuses=refuses,
        types=_TYPES,
        derive=_derive,
        info=basis,
    )


V3 = _dialect(3, _THIRD, frozenset(), "columns IPV4_SRC_ADDR and FLOW_START_MILLISECONDS")
V2 = _dialect(2, _SECOND, _THIRD, "columns IPV4_SRC_ADDR and CLIENT_TCP_FLAGS, and no times")
V1 = _dialect(1, frozenset(), _SECOND | _THIRD, "a column IPV4_SRC_ADDR and none of later versions")
