"""UNSW-NB15: the raw files (no header, 49 columns) and the partition (45 columns, tabular only)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil.parts import NoConfig
from netvigil_flowprep.readers.dialect import (
    REAL,
    TEXT,
    WHOLE,
    Dialect,
    Names,
    plain,
    protocol,
)
from netvigil_flowprep.readers.ports import port
from netvigil_flowprep.readers.times import seconds_us

_ORDER = """
srcip sport dstip dsport proto state dur sbytes dbytes sttl dttl sloss dloss service sload dload
spkts dpkts swin dwin stcpb dtcpb smeansz dmeansz trans_depth res_bdy_len sjit djit stime ltime
sintpkt dintpkt tcprtt synack ackdat is_sm_ips_ports ct_state_ttl ct_flw_http_mthd is_ftp_login
ct_ftp_cmd ct_srv_src ct_srv_dst ct_dst_ltm ct_src_ltm ct_src_dport_ltm ct_dst_sport_ltm
ct_dst_src_ltm attack_cat label
"""
RAW_COLUMNS = tuple(_ORDER.split())
_COUNTERS = {
    "fwd_packets": "spkts",
    "bwd_packets": "dpkts",
    "fwd_bytes": "sbytes",
    "bwd_bytes": "dbytes",
    "duration_s": "dur",
    "conn_state": "state",
    "l7_proto": "service",
    "label": "label",
    "attack": "attack_cat",
}
_TYPES = {
    **dict.fromkeys(("proto", "state", "service", "attack_cat", "label"), TEXT),
    **dict.fromkeys(("spkts", "dpkts", "sbytes", "dbytes"), WHOLE),
    "dur": REAL,
}


def _derive_raw(have: Names, _: NoConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    return plain(have, _COUNTERS) | {
        "start_us": seconds_us("stime"),
        "end_us": seconds_us("ltime"),
        "src_ip": pl.col("srcip"),
        "dst_ip": pl.col("dstip"),
        "src_port": port("sport", number),
        "dst_port": port("dsport", number),
        "protocol": number,
        "c_protocol": pl.col("proto"),
    }


def _derive_partition(have: Names, _: NoConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    return plain(have, _COUNTERS) | {"protocol": number, "c_protocol": pl.col("proto")}


def _fits(fields: list[str]) -> bool:
    """Recognise a raw row: addresses, a protocol's name, times in seconds, a label of 0 or 1."""
    times = fields[RAW_COLUMNS.index("stime") :][:2]
    return (
        all("." in fields[place] or ":" in fields[place] for place in (0, 2))
        and not fields[4].isdigit()
        and all(text.isdigit() for text in times)
        and fields[-1] in {"0", "1"}
    )


RAW = Dialect(
    name="unsw-nb15",
    why="columns srcip, Stime and Sintpkt (or their 49 fields in order without a header)",
    columns=(RAW_COLUMNS,),
    fits=_fits,
    needs=(frozenset({"srcip", "sport", "dstip", "dsport", "stime", "ltime", "sintpkt"}),),
    types=_TYPES
    | dict.fromkeys(("srcip", "dstip", "sport", "dsport"), TEXT)
    | dict.fromkeys(("stime", "ltime"), WHOLE),
    prepare={"protocol_number": protocol("proto")},
    derive=_derive_raw,
    info=FlowInfo("unsw-nb15", "clock", "l2", "bi"),
)

PARTITION = Dialect(
    name="unsw-nb15-partition",
    why="columns ct_srv_src and spkts without addresses",
    needs=(frozenset({"ct_srv_src", "spkts", "proto", "state"}),),
    refuses=frozenset({"srcip", "stime"}),
    types=_TYPES,
    drop=frozenset({"id"}),
    # The partition renames some columns of the raw files.
    renamed={
        "sinpkt": "sintpkt",
        "dinpkt": "dintpkt",
        "smean": "smeansz",
        "dmean": "dmeansz",
        "response_body_len": "res_bdy_len",
    },
    prepare={"protocol_number": protocol("proto")},
    derive=_derive_partition,
    info=FlowInfo("unsw-nb15-partition", "row-order", "l2", "bi"),
)
