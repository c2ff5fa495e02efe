"""Zeek's conn fields as canonical columns, whatever form of the log they came from.

`orig` is forward. Byte counters are of IP packets (`orig_ip_bytes`); `orig_bytes`, which are
payload, become `x_fwd_payload_bytes`. A connection of one packet has no duration: it ends when it
starts. Zeek calls ICMPv6 `icmp` too; the address tells them apart. ICMP's ports are type and code.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import polars as pl

from netvigil_flowprep.distinct import by_distinct
from netvigil_flowprep.ip_protocols import protocol_numbers
from netvigil_flowprep.readers.ports import ICMP, WITH_PORTS
from netvigil_flowprep.readers.times import ISO, text_us
from netvigil_flowprep.tcp_flags import BITS

TYPES: dict[str, type[pl.DataType]] = {
    "ts": pl.Float64,
    "uid": pl.String,
    "id.orig_h": pl.String,
    "id.orig_p": pl.UInt64,
    "id.resp_h": pl.String,
    "id.resp_p": pl.UInt64,
    "proto": pl.String,
    "service": pl.String,
    "duration": pl.Float64,
    "orig_bytes": pl.UInt64,
    "resp_bytes": pl.UInt64,
    "conn_state": pl.String,
    "local_orig": pl.String,
    "local_resp": pl.String,
    "missed_bytes": pl.UInt64,
    "history": pl.String,
    "orig_pkts": pl.UInt64,
    "orig_ip_bytes": pl.UInt64,
    "resp_pkts": pl.UInt64,
    "resp_ip_bytes": pl.UInt64,
    "ip_proto": pl.UInt64,
    "label": pl.String,
    "detailedlabel": pl.String,
    "detailed-label": pl.String,
}
"""The fields that are read; others (tunnels, MAC addresses, countries, VLANs) are left out."""
LABELS = {"label": "label", "detailed-label": "attack", "detailedlabel": "attack"}
NEEDED = ("ts", "id.orig_h", "id.resp_h", "proto")

UNSET = ("-", "(empty)")
_TCP = 6
_ICMP4, _ICMP6 = ICMP
_MILLIS = 1e11  # a time above this is in milliseconds: as seconds it would lie in the year 5138
ISO_OFFSETS = ("%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%.f%z", *ISO)
_LETTERS = {"S": "S", "H": "SA", "A": "A", "D": "P", "F": "F", "R": "R"}
"""Zeek's history letters with the TCP flags they stand for: data is taken for PSH, as most data is.
Upper case is the originator; other letters (bad checksum, retransmission, ...) tell no flags."""


def to_canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of `row` and Zeek fields in the columns that `canonical.to_batch` takes.

    A field may be of its type in `TYPES`, or text, or missing.
    """
    missing = [pl.lit(None, kind).alias(n) for n, kind in TYPES.items() if n not in frame.columns]
    full = frame.with_columns(missing)
    full = full.with_columns(_protocol(full).alias("protocol"))
    full = full.with_columns(_flags(full))
    number = pl.col("protocol")
    canonical = full.select(
        "row",
        "protocol",
        "conn_state",
        "fwd_tcp_flags",
        "bwd_tcp_flags",
        (pl.col("fwd_tcp_flags") | pl.col("bwd_tcp_flags")).alias("tcp_flags"),
        start_us=_start_us(full.schema["ts"]),
        duration_s="duration",
        src_ip="id.orig_h",
        dst_ip="id.resp_h",
        src_port=pl.when(number.is_in(WITH_PORTS)).then("id.orig_p"),
        dst_port=pl.when(number.is_in(WITH_PORTS)).then("id.resp_p"),
        icmp_type=pl.when(number.is_in(ICMP)).then("id.orig_p"),
        icmp_code=pl.when(number.is_in(ICMP)).then("id.resp_p"),
        fwd_packets="orig_pkts",
        bwd_packets="resp_pkts",
        fwd_bytes="orig_ip_bytes",
        bwd_bytes="resp_ip_bytes",
        l7_proto="service",
        source_uid="uid",
        x_fwd_payload_bytes="orig_bytes",
        x_bwd_payload_bytes="resp_bytes",
        x_missed_bytes="missed_bytes",
        x_local_orig=_truth("local_orig"),
        x_local_resp=_truth("local_resp"),
        c_protocol=pl.when(number.is_null()).then("proto"),
    )
    labels = frame.select(_labels(frame))
    return canonical.hstack(labels) if labels.width else canonical


def _start_us(kind: pl.DataType) -> pl.Expr:
    number = pl.col("ts").cast(pl.Float64, strict=False)
    in_us = pl.when(number.abs() < _MILLIS).then(number * 1e6).otherwise(number * 1e3)
    whole = in_us.round().cast(pl.Int64, strict=False)
    return pl.coalesce(whole, text_us("ts", ISO_OFFSETS)) if kind == pl.String else whole


def _protocol(full: pl.DataFrame) -> pl.Series:
    named = by_distinct(full["proto"], protocol_numbers, pl.UInt8)
    is_six = full["id.orig_h"].str.contains(":", literal=True).fill_null(value=False)
    named = named.set((named == _ICMP4).fill_null(value=False) & is_six, _ICMP6)
    numbered = full["ip_proto"].cast(pl.UInt8, strict=False)
    return numbered.zip_with(numbered.is_not_null(), named)


def _flags(full: pl.DataFrame) -> list[pl.Expr]:
    is_tcp = pl.col("protocol") == _TCP
    return [
        pl.when(is_tcp).then(by_distinct(full["history"], bits_of(case), pl.UInt8)).alias(name)
        for name, case in (("fwd_tcp_flags", str.upper), ("bwd_tcp_flags", str.lower))
    ]


def bits_of(case: Callable[[str], str]) -> Callable[[pl.Series], pl.Series]:
    """Return what gives the TCP flags of histories: `str.upper` the originator's, `str.lower` not.

    Example:
        >>> bits_of(str.upper)(pl.Series(["ShADadF"])).to_list()
        [27]
    """
    bits = {case(letter): sum(BITS[flag] for flag in flags) for letter, flags in _LETTERS.items()}

    def change(texts: pl.Series) -> pl.Series:
        found = [
            functools.reduce(operator.or_, (bits.get(letter, 0) for letter in text), 0)
            for text in texts
        ]
        return pl.Series(texts.name, found, dtype=pl.UInt8)

    return change


def _truth(name: str) -> pl.Expr:
    letter = pl.col(name).str.to_uppercase().str.slice(0, 1)
    return letter.replace_strict({"T": 1.0, "F": 0.0}, default=None, return_dtype=pl.Float32)


def _labels(frame: pl.DataFrame) -> list[pl.Expr]:
    found = {target: source for source, target in LABELS.items() if source in frame.columns}
    return [
        pl.when(~pl.col(source).str.strip_chars().is_in([*UNSET, ""]))
        .then(pl.col(source).str.strip_chars())
        .alias(target)
        for target, source in found.items()
    ]
