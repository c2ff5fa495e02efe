"""CIDDS-001 and CIDDS-002: one-way flows as nfdump prints them, in local time.

Public addresses are anonymised tokens (`10008_74`, `EXT_SERVER`), which serve as nodes as they are.
The six flags of `Flags`, written `.AP.SF` or `0x1b`, are features, one of 0 and 1 each; `Flows` and
`Tos`, which published work leaves out as hardly ever anything but 1 and 0, are none.
With `week_time` the weekday and the time of day become features, by the source's own clock.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil_flowprep.readers.config import CiddsConfig
from netvigil_flowprep.readers.dialect import (
    REAL,
    TEXT,
    Dialect,
    Names,
    per_value,
    plain,
    protocol,
)
from netvigil_flowprep.readers.ports import ICMP, port
from netvigil_flowprep.readers.times import text_us, week_time
from netvigil_flowprep.tcp_flags import flag_features, flags_of_texts

FLAGS = ("urg", "ack", "psh", "rst", "syn", "fin")  # the six that nfdump writes, in its order
_FACTORS = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def count(column: str) -> pl.Expr:
    """Return counts that may carry nfdump's suffix: "1.4 M" is 1,400,000."""
    return pl.col(column).map_batches(_counts, return_dtype=pl.Int64)


def _counts(texts: pl.Series) -> pl.Series:
    texts = texts.str.strip_chars()
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == texts.null_count():
        return whole
    words = texts.str.to_lowercase()
    factor = words.str.tail(1).replace_strict(_FACTORS, default=1.0, return_dtype=pl.Float64)
    number = words.str.strip_chars_end("kmgt ").cast(pl.Float64, strict=False)
    scaled = (number * factor).round().cast(pl.Int64, strict=False)
    return whole.zip_with(whole.is_not_null(), scaled)


def _derive(have: Names, config: CiddsConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    # ICMP rows carry type.code in the destination's port.
    parts = pl.col("dst_pt").str.strip_chars().str.splitn(".", 2)
    is_icmp = number.is_in(ICMP)
    flags = per_value("flags", flags_of_texts, pl.UInt8)
    return plain(
        have,
        {
            "duration_s": "duration",
            "src_ip": "src_ip_addr",
            "dst_ip": "dst_ip_addr",
            "attack": "attacktype",
            "label": "class" if "class" in have else "label",
        },
    ) | {
        "start_us": text_us("date_first_seen", utc_offset_s=config.utc_offset_s),
        "src_port": port("src_pt", number),
        "dst_port": port("dst_pt", number),
        "protocol": number,
        "c_protocol": pl.col("proto"),
        "icmp_type": pl.when(is_icmp).then(parts.struct[0].cast(pl.Int64, strict=False)),
        "icmp_code": pl.when(is_icmp).then(parts.struct[1].cast(pl.Int64, strict=False)),
        "fwd_packets": count("packets"),
        "fwd_bytes": count("bytes"),
        "tcp_flags": flags,
        **flag_features(flags, FLAGS),
        **(week_time(text_us("date_first_seen")) if config.week_time else {}),
    }


DIALECT = Dialect(
    name="cidds",
    why="columns 'Date first seen' and 'Src IP Addr'",
    needs=(
        frozenset({"date_first_seen", "duration", "proto", "src_ip_addr", "src_pt"})
        | {"dst_ip_addr", "dst_pt", "packets", "bytes", "flags"},
    ),
    types={
        **dict.fromkeys(("date_first_seen", "proto", "src_ip_addr", "dst_ip_addr"), TEXT),
        **dict.fromkeys(("src_pt", "dst_pt", "packets", "bytes", "flags", "class"), TEXT),
        **dict.fromkeys(("label", "attacktype", "attackid", "attackdescription"), TEXT),
        "duration": REAL,
    },
    numbers_as_text=frozenset({"packets"}),
    drop=frozenset({"attackid", "attackdescription", "flows", "tos"}),
    prepare={"protocol_number": protocol("proto")},
    derive=_derive,
    info=FlowInfo("cidds", "clock", "ip", "uni"),
)
