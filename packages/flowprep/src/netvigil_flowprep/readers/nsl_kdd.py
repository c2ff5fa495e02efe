"""NSL-KDD (and KDD Cup 99): tabular connection records without addresses or times."""

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
    first_of,
    plain,
    protocol,
)

_ORDER = """
duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot
num_failed_logins logged_in num_compromised root_shell su_attempted num_root num_file_creations
num_shells num_access_files num_outbound_cmds is_host_login is_guest_login count srv_count
serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate diff_srv_rate
srv_diff_host_rate dst_host_count dst_host_srv_count dst_host_same_srv_rate dst_host_diff_srv_rate
dst_host_same_src_port_rate dst_host_srv_diff_host_rate dst_host_serror_rate
dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate class
"""
COLUMNS = tuple(_ORDER.split())
_LABELS = ("class", "target", "label", "attack_type", "outcome")
_CATEGORIES = ("attack_type_first20pct", "attack", "attack_type")


def _derive(have: Names, _: NoConfig) -> Mapping[str, pl.Expr]:
    number = pl.col("protocol_number")
    made = plain(
        have,
        {
            "duration_s": "duration",
            "fwd_bytes": "src_bytes",
            "bwd_bytes": "dst_bytes",
            "conn_state": "flag",
            "l7_proto": "service",
        },
    ) | {"protocol": number, "c_protocol": pl.col("protocol_type")}
    label = first_of(have, *_LABELS)
    category = first_of(have - {label}, *_CATEGORIES)
    return made | plain(have, {"label": label or "", "attack": category or ""})


def _fits(fields: list[str]) -> bool:
    """Recognise a row: a protocol, a state in capitals, and only then numbers."""
    return (
        fields[1] in {"tcp", "udp", "icmp"}
        and fields[3].isupper()
        and fields[4].isdigit()
        and fields[0].isdigit()
    )


DIALECT = Dialect(
    name="nsl-kdd",
    why="columns protocol_type, flag and dst_host_srv_count",
    needs=(frozenset({"protocol_type", "service", "flag", "src_bytes", "dst_host_srv_count"}),),
    columns=(COLUMNS, (*COLUMNS, "difficulty")),
    fits=_fits,
    types={
        **dict.fromkeys(("protocol_type", "service", "flag", *_LABELS, *_CATEGORIES), TEXT),
        **dict.fromkeys(("src_bytes", "dst_bytes"), WHOLE),
        "duration": REAL,
    },
    # How many learners classified the record: known only with the label at hand.
    drop=frozenset({"difficulty", "difficulty_level", "level", "id"}) | {*_LABELS, *_CATEGORIES},
    prepare={"protocol_number": protocol("protocol_type")},
    derive=_derive,
    info=FlowInfo("nsl-kdd", "row-order", "payload", "bi"),
)
