"""How each column of a flow table merges when pieces of one conversation become one flow.

`CANONICAL` names the rule of each canonical and optional column, `FEATURES` that of further numeric
columns by what their names say, the first match deciding. All rules but `first`, `last` and `span`
give the same result however a conversation was cut.

    first, last   the first (last) piece that has a value
    min, max      the smallest (largest) value
    sum           the total
    or            bits set in any piece
    span          from the start of the first piece to the end of the last, in seconds
    mean          mean weighted by packets (by gaps between packets for inter-arrival times)
    rate          mean weighted by duration
    deviation     pooled sample standard deviation, with the means that belong to it
    variance      its square
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Literal

Rule = Literal[
    "first", "last", "min", "max", "sum", "or", "span", "mean", "rate", "deviation", "variance"
]

CANONICAL: Mapping[str, Rule] = {
    "flow_id": "first",
    "start": "min",
    "end": "max",
    "duration_s": "span",
    "src_ip": "first",
    "dst_ip": "first",
    "src_port": "first",
    "dst_port": "first",
    "protocol": "first",
    "fwd_packets": "sum",
    "bwd_packets": "sum",
    "fwd_bytes": "sum",
    "bwd_bytes": "sum",
    "icmp_type": "first",
    "icmp_code": "first",
    "tcp_flags": "or",
    "fwd_tcp_flags": "or",
    "bwd_tcp_flags": "or",
    "conn_state": "last",  # how the conversation ended
    "l7_proto": "first",
    "server_name": "first",
    "source_uid": "first",
    "source_file": "first",
    "source_row": "first",
}

FEATURES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (re.compile(r"(std|stddev|deviation)(_|$)"), "deviation"),
    (re.compile(r"_(var|variance)(_|$)"), "variance"),
    (re.compile(r"_first_seen(_|$)"), "min"),
    (re.compile(r"_last_seen(_|$)"), "max"),
    (re.compile(r"min(_|$)|_shortest_"), "min"),
    (re.compile(r"max(_|$)|_longest_"), "max"),
    (re.compile(r"(mean|meansz|avg|average)(_|$)"), "mean"),
    # Per second, per packet, per other direction.
    (re.compile(r"_s$|rate(_|$)|load$|_throughput(_|$)|_ratio(_|$)|_second_bytes"), "rate"),
    # Counts over a window of other connections (UNSW-NB15), and yes/no columns.
    (re.compile(r"^x_(ct|is)_"), "max"),
    (re.compile(r"_(version|vlan|id|[sd]?tos|type|init|[sd]?win|[sd]tcpb)(_|$)"), "first"),
    (re.compile(r"(packets?|pkts?|bytes?|byts?|count|cnt|flags?|loss|sum)(_|$)"), "sum"),
    (re.compile(r"(len|length|total|tot|totlen|duration|missed|bulk|cnt)(_|$)"), "sum"),
)
OTHERWISE: Rule = "mean"  # stays between the values of the pieces, whatever it measures

FORWARD: tuple[tuple[str, str], ...] = (
    ("fwd", "bwd"),
    ("forward", "backward"),
    ("src2dst", "dst2src"),
    ("src_to_dst", "dst_to_src"),
    ("in", "out"),
    ("client", "server"),
    ("toserver", "toclient"),
    ("ts", "tc"),
    ("orig", "resp"),
    ("src", "dst"),
    ("c", "s"),
)
"""Words for the two directions, as whole words in a name: forwards, backwards."""
PREFIXES = (("s", "d"), ("s", "r"))
"""Letters that lead a name in the same way: UNSW's and Argus' sload and dload, Westermo's spackets
and rpackets."""


def rule_of(name: str) -> Rule:
    """Return the rule of any column.

    Example:
        >>> rule_of("x_bidirectional_stddev_ps"), rule_of("x_syn_flag_count"), rule_of("c_protocol")
        ('deviation', 'sum', 'first')
    """
    if name in CANONICAL:
        return CANONICAL[name]
    if name.startswith("c_"):
        return "first"
    return next((rule for pattern, rule in FEATURES if pattern.search(name)), OTHERWISE)


def other_direction(name: str, columns: Collection[str]) -> str | None:
    """Return the column that says of the other direction what `name` says of one.

    Returns `name` itself where it speaks of no direction, and None where its counterpart is
    missing.

    Example:
        >>> other_direction("x_fwd_iat_mean", ["x_fwd_iat_mean", "x_bwd_iat_mean"])
        'x_bwd_iat_mean'
        >>> other_direction("x_sload", ["x_sload", "x_dload"])
        'x_dload'
        >>> other_direction("x_synack", ["x_synack"])
        'x_synack'
    """
    spoken = False
    for one, other in (*FORWARD, *((b, a) for a, b in FORWARD)):
        swapped = re.sub(rf"(?<![a-z0-9]){one}(?![a-z0-9])", other, name)
        if swapped != name:
            if swapped in columns:
                return swapped
            spoken = spoken or one in (
                "fwd",
                "bwd",
                "src2dst",
                "dst2src",
                "src_to_dst",
                "dst_to_src",
            )
    for one, other in (*PREFIXES, *((b, a) for a, b in PREFIXES)):
        swapped = f"x_{other}{name[3:]}"
        if name.startswith(f"x_{one}") and swapped in columns:
            return swapped
    return None if spoken else name


def direction_of(name: str, columns: Collection[str]) -> Literal["fwd", "bwd", "both"]:
    """Say whose packets a column is about."""
    other = other_direction(name, columns)
    if other == name:
        return "both"
    for one, against in FORWARD:
        if re.search(rf"(?<![a-z0-9]){one}(?![a-z0-9])", name):
            return "fwd"
        if re.search(rf"(?<![a-z0-9]){against}(?![a-z0-9])", name):
            return "bwd"
    return "fwd" if name.startswith("x_s") else "bwd"


def mean_of(name: str, columns: Collection[str]) -> str | None:
    """Return the column with the mean that a deviation belongs to, or None.

    Example:
        >>> mean_of("x_bidirectional_stddev_ps", ["x_bidirectional_mean_ps"])
        'x_bidirectional_mean_ps'
    """
    for word in ("mean", "avg", "average"):
        found = re.sub(r"_(std|stddev|deviation|var|variance)(?=_|$)", f"_{word}", name)
        if found != name and found in columns:
            return found
    return None
