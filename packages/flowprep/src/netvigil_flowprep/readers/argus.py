"""CTU-13 and other Argus `.binetflow` files, separated by comma or TAB, in local time.

Layer-2 rows (ARP, LLC) have MAC addresses or nothing where others have IP addresses; the text
serves as node. `man` rows are Argus's own management records and are no flows.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil_flowprep.readers.config import LocalTimeConfig
from netvigil_flowprep.readers.dialect import (
    REAL,
    TEXT,
    WHOLE,
    Dialect,
    Names,
    per_value,
    plain,
    protocol,
)
from netvigil_flowprep.readers.ports import icmp_code, icmp_type, port
from netvigil_flowprep.readers.times import text_us
from netvigil_flowprep.tcp_flags import flags_of_texts


def _flags(side: int) -> pl.Expr:
    """Return the flags of one side of a TCP state such as `SPA_SRPA`."""
    return per_value(
        "state",
        # Only a state with both sides is made of flags; INT, CON, S0 are words.
        lambda texts: flags_of_texts(
            texts.str.strip_chars().str.extract(r"^([FSRPAUEC]*)_([FSRPAUEC]*)$", side + 1)
        ),
        pl.UInt8,
    )


def _derive(have: Names, config: LocalTimeConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    is_tcp = number == 6
    made = plain(
        have,
        {
            "duration_s": "dur",
            "src_ip": "srcaddr",
            "dst_ip": "dstaddr",
            "fwd_packets": "srcpkts",
            "fwd_bytes": "srcbytes",
            "conn_state": "state",
            "label": "label",
        },
    ) | {
        "start_us": text_us("starttime", utc_offset_s=config.utc_offset_s),
        "src_port": port("sport", number),
        "dst_port": port("dport", number),
        "protocol": number,
        "c_protocol": pl.col("proto"),
        "c_dir": pl.col("dir"),
        "icmp_type": icmp_type("sport", number),
        "icmp_code": icmp_code("sport", "dport", number),
        "bwd_bytes": pl.col("totbytes") - pl.col("srcbytes"),
        # Totals stay features too: without SrcPkts nobody knows which side sent the packets.
        "x_totpkts": pl.col("totpkts"),
        "x_totbytes": pl.col("totbytes"),
        "fwd_tcp_flags": pl.when(is_tcp).then(_flags(0)),
        "bwd_tcp_flags": pl.when(is_tcp).then(_flags(1)),
    }
    if "srcpkts" in have:
        made["bwd_packets"] = pl.col("totpkts") - pl.col("srcpkts")
    return made


DIALECT = Dialect(
    name="ctu-13",
    why="columns SrcAddr and TotPkts",
    needs=(
        frozenset({"starttime", "dur", "proto", "srcaddr", "sport", "dir", "dstaddr", "dport"})
        | {"state", "totpkts", "totbytes", "srcbytes"},
    ),
    types={
        **dict.fromkeys(("starttime", "proto", "srcaddr", "sport", "dir", "dstaddr"), TEXT),
        **dict.fromkeys(("dport", "state", "label"), TEXT),
        **dict.fromkeys(("totpkts", "totbytes", "srcbytes", "srcpkts"), WHOLE),
        "dur": REAL,
    },
    prepare={"protocol_number": protocol("proto")},
    derive=_derive,
    info=FlowInfo("ctu-13", "clock", "l2", "bi"),
    rejects={"an Argus management record (man)": pl.col("proto").str.strip_chars() == "man"},
)
