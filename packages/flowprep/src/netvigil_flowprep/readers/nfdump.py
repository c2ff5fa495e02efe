"""nfdump's CSV: the old form (48 columns, also without header from `-q`) and the new one.

nfdump prints local time. The summary after the flows ends the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil_flowprep.readers.cidds import count
from netvigil_flowprep.readers.config import NfdumpConfig
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
from netvigil_flowprep.readers.times import text_us
from netvigil_flowprep.tcp_flags import flags_of_texts

_ORDER = """
ts te td sa da sp dp pr flg fwd stos ipkt ibyt opkt obyt in out sas das smk dmk dtos dir nh nhb
svln dvln ismc odmc idmc osmc mpls1 mpls2 mpls3 mpls4 mpls5 mpls6 mpls7 mpls8 mpls9 mpls10 cl sl
al ra eng exid tr
"""
COLUMNS = tuple(_ORDER.split())
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_DO = "Export text first: nfdump -r FILE -o csv > flows.csv"


def _settle_direction(sample: pl.DataFrame, config: NfdumpConfig) -> NfdumpConfig:
    if config.biflow != "auto" or "opkt" not in sample.columns or not sample.height:
        return config
    back = sample["opkt"].cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    return config.model_copy(update={"biflow": "yes" if (back.fill_null(0) > 0).any() else "no"})


def _ends(have: Names, number: pl.Expr, names: tuple[str, str]) -> dict[str, pl.Expr]:
    source, target = names
    # ICMP flows carry type.code in the destination's port.
    parts = pl.col(target).str.strip_chars().str.splitn(".", 2)
    is_icmp = number.is_in(ICMP)
    return {
        "src_port": port(source, number),
        "dst_port": port(target, number),
        "protocol": number,
        "icmp_type": pl.when(is_icmp).then(parts.struct[0].cast(pl.Int64, strict=False)),
        "icmp_code": pl.when(is_icmp).then(parts.struct[1].cast(pl.Int64, strict=False)),
        **plain(have, {"label": "label", "attack": "attack"}),
    }


def _derive_old(have: Names, config: NfdumpConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    made = _ends(have, number, ("sp", "dp")) | {
        "start_us": text_us("ts", utc_offset_s=config.utc_offset_s),
        "end_us": text_us("te", utc_offset_s=config.utc_offset_s),
        "duration_s": pl.col("td"),
        "src_ip": pl.col("sa"),
        "dst_ip": pl.col("da"),
        "c_protocol": pl.col("pr"),
        "tcp_flags": per_value("flg", flags_of_texts, pl.UInt8),
        "fwd_packets": count("ipkt"),
        "fwd_bytes": count("ibyt"),
    }
    if config.biflow == "yes" and have >= {"opkt", "obyt"}:
        made |= {"bwd_packets": count("opkt"), "bwd_bytes": count("obyt")}
    return made


def _derive_new(have: Names, config: NfdumpConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    return _ends(have, number, ("srcport", "dstport")) | {
        "start_us": text_us("firstseen", utc_offset_s=config.utc_offset_s),
        "duration_s": pl.col("duration"),
        "src_ip": pl.col("srcaddr"),
        "dst_ip": pl.col("dstaddr"),
        "c_protocol": pl.col("proto"),
        "fwd_packets": count("packets"),
        "fwd_bytes": count("bytes"),
    }


def _fits(fields: list[str]) -> bool:
    """Recognise a row of `-q`: two times and two addresses."""
    return all(_DATE.match(text) for text in fields[:2]) and all(
        "." in text or ":" in text for text in fields[3:5]
    )


_KEPT = frozenset({"fwd", "stos", "dtos", "cl", "sl", "al"})
OLD = Dialect(
    name="nfdump",
    why="a header that starts with ts,te,td,sa,da",
    needs=(frozenset({"ts", "te", "td", "sa", "da", "sp", "dp", "pr", "flg", "ipkt", "ibyt"}),),
    columns=(COLUMNS,),
    fits=_fits,
    types={
        **dict.fromkeys(("ts", "te", "sa", "da", "sp", "dp", "pr", "flg", "label"), TEXT),
        **dict.fromkeys(("attack", "ipkt", "ibyt", "opkt", "obyt"), TEXT),
        "td": REAL,
    },
    numbers_as_text=frozenset({"ipkt"}),
    # Interfaces, networks, next hops, MAC addresses, labels of MPLS and the exporter's own numbers.
    drop=frozenset(COLUMNS) - _KEPT,
    prepare={"protocol_number": protocol("pr")},
    derive=_derive_old,
    info=lambda _, config: FlowInfo(
        "nfdump", "clock", "ip", "bi" if config.biflow == "yes" else "uni"
    ),
    config_for=_settle_direction,
    stop_at=b"Summary",
    magic={b"\x0c\xa5": _DO, b"\xa5\x0c": _DO},
)

NEW = Dialect(
    name="nfdump-new",
    why="a header that starts with firstSeen,duration,proto",
    needs=(
        frozenset({"firstseen", "duration", "proto", "srcaddr", "srcport", "dstaddr", "dstport"})
        | {"packets", "bytes"},
    ),
    types={
        **dict.fromkeys(("firstseen", "proto", "srcaddr", "srcport", "dstaddr"), TEXT),
        **dict.fromkeys(("dstport", "packets", "bytes", "label", "attack"), TEXT),
        "duration": REAL,
    },
    numbers_as_text=frozenset({"packets"}),
    prepare={"protocol_number": protocol("proto")},
    derive=_derive_new,
    info=FlowInfo("nfdump-new", "clock", "ip", "uni"),
    stop_at=b"Summary",
)
