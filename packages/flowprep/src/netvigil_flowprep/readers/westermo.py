"""The Westermo network traffic data set's flow files (one switch port each).

Layer-2 flows (ARP, LLDP) have no IP addresses; `sAddress` and `rAddress` then hold MAC addresses,
which serve as nodes. There are two label schemes: NST (traffic of the attacker only) is the
default, IT marks everything during an event.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil_flowprep.ip_protocols import protocol_numbers
from netvigil_flowprep.readers.config import WestermoConfig
from netvigil_flowprep.readers.dialect import REAL, TEXT, WHOLE, Dialect, Names, per_value, plain
from netvigil_flowprep.readers.times import seconds_us


def _numbers(texts: pl.Series) -> pl.Series:
    """Return the protocol of `IPV4-TCP`, `IPV6-17`, `ARP`."""
    return protocol_numbers(
        texts.str.to_lowercase().str.strip_prefix("ipv4-").str.strip_prefix("ipv6-")
    )


def _derive(have: Names, config: WestermoConfig) -> Mapping[str, pl.Expr]:
    scheme = config.labels.lower()
    return plain(
        have,
        {
            "src_ip": "saddress",
            "dst_ip": "raddress",
            "c_protocol": "protocol",
            "duration_s": "duration",
            "fwd_packets": "spackets",
            "bwd_packets": "rpackets",
            "fwd_bytes": "sbytessum",
            "bwd_bytes": "rbytessum",
            "label": f"{scheme}_b_label",
            "attack": f"{scheme}_m_label",
        },
    ) | {
        "start_us": seconds_us("start"),
        "end_us": seconds_us("end"),
        "protocol": per_value("protocol", _numbers, pl.UInt8),
    }


DIALECT = Dialect(
    name="westermo",
    why="columns sAddress, rAddress and sBytesSum",
    needs=(
        frozenset({"saddress", "raddress", "protocol", "start", "end", "duration"})
        | {"spackets", "rpackets", "sbytessum", "rbytessum"},
    ),
    types={
        **dict.fromkeys(("saddress", "raddress", "smacs", "rmacs", "sips", "rips"), TEXT),
        **dict.fromkeys(("protocol", "startdate", "enddate"), TEXT),
        **dict.fromkeys(("nst_b_label", "nst_m_label", "it_b_label", "it_m_label"), TEXT),
        **dict.fromkeys(("start", "end", "duration"), REAL),
        **dict.fromkeys(("spackets", "rpackets", "sbytessum", "rbytessum"), WHOLE),
    },
    # Absolute times, and the addresses that sAddress and rAddress repeat.
    drop=frozenset({"smacs", "rmacs", "sips", "rips", "startdate", "enddate"})
    | {"startoffset", "endoffset"},
    derive=_derive,
    # An empty TCP segment with timestamps counts 52 bytes: IP packets.
    info=FlowInfo("westermo", "clock", "ip", "bi"),
)
