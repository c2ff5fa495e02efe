"""tstat 3: `log_tcp_complete` (and `nocomplete`) and `log_udp_complete`, separated by spaces.

The client is the source. Bytes are payload; times are epoch milliseconds; a TCP flow's `durat` is
in milliseconds and a UDP side's in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil.parts import NoConfig
from netvigil_flowprep.readers.dialect import REAL, TEXT, WHOLE, Dialect, Names, plain
from netvigil_flowprep.readers.layout import Header, distinct_slugs
from netvigil_flowprep.readers.times import millis_us

_SIDES = {
    "src_ip": "c_ip",
    "dst_ip": "s_ip",
    "src_port": "c_port",
    "dst_port": "s_port",
    "fwd_packets": "c_pkts_all",
    "bwd_packets": "s_pkts_all",
    "fwd_bytes": "c_bytes_all",
    "bwd_bytes": "s_bytes_all",
}
_TYPES = {
    **dict.fromkeys(("c_ip", "s_ip"), TEXT),
    **dict.fromkeys(("c_port", "s_port", "c_pkts_all", "s_pkts_all"), WHOLE),
    **dict.fromkeys(("c_bytes_all", "s_bytes_all"), WHOLE),
}


def _plain_names(header: Header) -> Header:
    """Take `#15#c_ip:1 c_port:2` for what it says: c_ip, c_port."""
    if not header.texts or not header.texts[0].startswith("#"):
        return header
    texts = (text.rsplit("#", 1)[-1].split(":")[0] for text in header.texts)
    return replace(header, names=distinct_slugs(texts))


def _derive_tcp(have: Names, _: NoConfig) -> Mapping[str, pl.Expr]:
    return plain(have, _SIDES) | {
        "start_us": millis_us("first"),
        "end_us": millis_us("last"),
        "duration_s": pl.col("durat") / 1_000,
        "protocol": pl.lit(6, dtype=pl.UInt8),
    }


def _derive_udp(have: Names, _: NoConfig) -> Mapping[str, pl.Expr]:
    begins = [pl.col(side).replace(0.0, None) for side in ("c_first_abs", "s_first_abs")]
    ends = [
        begin + pl.col(length) * 1_000
        for begin, length in zip(begins, ("c_durat", "s_durat"), strict=True)
    ]
    start, end = pl.min_horizontal(begins), pl.max_horizontal(ends)
    return plain(have, _SIDES) | {
        "start_us": (start * 1_000).round().cast(pl.Int64, strict=False),
        "end_us": (end * 1_000).round().cast(pl.Int64, strict=False),
        "duration_s": (end - start) / 1_000,
        "protocol": pl.lit(17, dtype=pl.UInt8),
    }


TCP = Dialect(
    name="tstat-tcp",
    why="a header '#' with c_ip, s_ip, first and durat",
    needs=(
        frozenset({"c_ip", "c_port", "s_ip", "s_port", "first", "last", "durat"})
        | {"c_pkts_all", "s_pkts_all", "c_bytes_all", "s_bytes_all"},
    ),
    separators=" \t",
    rename_header=_plain_names,
    types=_TYPES | dict.fromkeys(("first", "last", "durat"), REAL),
    # Names that people asked for, and absolute times.
    drop=frozenset({"fqdn", "c_tls_sni", "http_hostname", "first_abs"}),
    derive=_derive_tcp,
    info=FlowInfo("tstat-tcp", "clock", "payload", "bi"),
)

UDP = Dialect(
    name="tstat-udp",
    why="a header '#' with c_ip, s_ip and c_first_abs",
    needs=(
        frozenset({"c_ip", "c_port", "s_ip", "s_port", "c_first_abs", "c_durat"})
        | {"s_first_abs", "s_durat", "c_pkts_all", "s_pkts_all", "c_bytes_all", "s_bytes_all"},
    ),
    separators=" \t",
    rename_header=_plain_names,
    types=_TYPES
    | dict.fromkeys(("c_first_abs", "s_first_abs", "c_durat", "s_durat"), REAL)
    | {"fqdn": TEXT},
    drop=frozenset({"fqdn"}),
    derive=_derive_udp,
    info=FlowInfo("tstat-udp", "clock", "payload", "bi"),
)
