"""Which columns a model may see. Shortcuts are denied by default, and the receipt says so.

Addresses, ports, times, identifiers, sequence numbers and TTLs rank attacks well on the data sets
everybody uses, because of how those were recorded, and mean nothing elsewhere (Sarhan et al. 2021
drop TTL on UNSW-NB15 for this; see also D'hooge et al. 2022). `features.allow_shortcuts` names
exceptions by column.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.errors import ConfigError, nearest

NUMERIC = ("duration_s", "protocol", "fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes")
"""Canonical counters that are features without being called x_<name>."""
TIMES = ("start", "end")
"""Canonical times; a feature only where they are allowed, to show what that leak is worth."""

SHORTCUTS: dict[str, re.Pattern[str]] = {
    "TTL": re.compile(r"(^|_)[sdr]?ttl(_|$)|ct_state_ttl|_ttl_"),
    "port": re.compile(r"(^|_)(sport|dport|port|ports)(_|$)"),
    "time": re.compile(
        r"(^|_)(stime|ltime|timestamp|first_seen|last_seen|start|end|offset|date)(_|$|ms$)"
        r"|(^|_)(weekday|time_of_day)(_|$)"
    ),
    "sequence number": re.compile(r"(^|_)(stcpb|dtcpb|seq|tcp_seq)(_|$)"),
    "identifier": re.compile(
        r"(^|_)(id|uid|query_id|expiration_id|vlan|tunnel|index|oui|mac)(_|$)"
    ),
    "address": re.compile(
        r"(^|_)(ip(?!_version)|addr|address|is_sm_ips_ports|local_orig|local_resp)(_|$)"
    ),
    "answer code": re.compile(r"ftp_command_ret_code"),
}
"""Why a column is denied -> names it matches (without the `x_` or `c_`)."""

# NFStream's statistical features that make 35 with protocol and ip_version: a count-matching guess
# at the list of AutoGraphAD, which is not published (arXiv 2511.17113).
CORE35 = (
    "protocol",
    "x_ip_version",
    *(
        f"x_{direction}_{statistic}"
        for direction in ("bidirectional", "src2dst", "dst2src")
        for statistic in (
            "duration_ms",
            "packets",
            "bytes",
            *(f"{s}_{of}" for of in ("ps", "piat_ms") for s in ("min", "mean", "stddev", "max")),
        )
    ),
)
# Readers give these counters their canonical names.
_CANONICAL_NAMES = {
    "x_src2dst_packets": "fwd_packets",
    "x_src2dst_bytes": "fwd_bytes",
    "x_dst2src_packets": "bwd_packets",
    "x_dst2src_bytes": "bwd_bytes",
    "x_bidirectional_duration_ms": "duration_s",
}


@dataclass(frozen=True)
class FeatureContract:
    """What a pipeline needs of a source: numeric columns, categories; what was denied, and why.

    `origin_us` is the moment that a flow's `start` and `end` are counted from where one of them is
    among the numeric columns, in microseconds since 1970 (UTC).
    """

    numeric: tuple[str, ...]
    categories: tuple[str, ...]
    denied: tuple[tuple[str, str], ...] = ()
    allowed_shortcuts: tuple[str, ...] = ()
    origin_us: int | None = None

    def digest(self) -> str:
        """Return a hash of the feature list, to compare results at a glance."""
        text = "\n".join((*self.numeric, "", *self.categories))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def missing_from(self, columns: Iterable[str]) -> list[str]:
        """Return the needed columns that a source lacks."""
        have = set(columns)
        return [name for name in (*self.numeric, *self.categories) if name not in have]


def select_features(
    column_names: Sequence[str],
    categories: Sequence[str],
    *,
    feature_set: str | Sequence[str] = "auto",
    allow_shortcuts: Sequence[str] = (),
    origin_us: int | None = None,
) -> FeatureContract:
    """Choose the features of a source.

    `feature_set` is "auto" (every numeric column and category that is not denied), "core35"
    (NFStream columns) or a list of column names. `origin_us` is the source's first start, None
    without a clock: where a time is allowed as a feature, it is the seconds since then.

    Raises:
        ConfigError: A named column does not exist, or is a shortcut that was not allowed; a time of
            a source without a clock; nothing is left.
    """
    offered = [n for n in column_names if n in NUMERIC or n.startswith("x_")]
    for name in allow_shortcuts:
        _require(name, [*column_names, *categories], "features.allow_shortcuts")
    wanted = _wanted(feature_set, offered, list(categories))
    denied = {
        name: why for name in wanted if (why := shortcut(name)) and name not in allow_shortcuts
    }
    if denied and feature_set != "auto":
        listed = ", ".join(f"{name} ({why})" for name, why in denied.items())
        msg = f"These features are shortcuts: {listed}."
        raise ConfigError(
            msg, where="features.set", do="Name them in features.allow_shortcuts to use them."
        )
    # A port or TTL that is not called x_<name> joins only by being allowed.
    extra = [n for n in allow_shortcuts if n in column_names and n not in wanted]
    kept = [name for name in [*wanted, *extra] if name not in denied]
    timed = [n for n in kept if n in TIMES]
    if timed and origin_us is None:
        msg = f"The source has no clock, so {' and '.join(timed)} cannot be a feature."
        raise ConfigError(msg, where="features.allow_shortcuts", do="Take it out.")
    numbered = feature_set == "core35"  # that list counts the protocol among its 35 numbers
    contract = FeatureContract(
        numeric=tuple(n for n in kept if n not in categories and (n != "protocol" or numbered)),
        categories=tuple(n for n in kept if n in categories or (n == "protocol" and not numbered)),
        denied=tuple(denied.items()),
        allowed_shortcuts=tuple(allow_shortcuts),
        origin_us=origin_us if timed else None,
    )
    if not contract.numeric and not contract.categories:
        msg = "No feature is left."
        raise ConfigError(
            msg, where="features.set", do="See the source's columns: netvigil data inspect."
        )
    return contract


def shortcut(name: str) -> str | None:
    """Return why a column is a shortcut, or None.

    Example:
        >>> shortcut("x_sttl"), shortcut("x_min_ttl"), shortcut("x_bidirectional_mean_ps")
        ('TTL', 'TTL', None)
    """
    plain = name[2:] if name.startswith(("x_", "c_")) else name
    return next((why for why, pattern in SHORTCUTS.items() if pattern.search(plain)), None)


def extract(flows: FlowTable, contract: FeatureContract) -> FlowFeatures:
    """Take the contract's columns out of flows.

    Shapes:
        returns: x float32 [flows, features] in column-major order, nulls as NaN; categories as
            dictionary arrays [flows]
    """
    x = np.empty((len(flows), len(contract.numeric)), np.float32, order="F")
    for column, name in enumerate(contract.numeric):
        values = flows.table[name]
        if name in TIMES:
            x[:, column] = _seconds(values, contract.origin_us)
            continue
        place = 0
        for chunk in values.chunks:
            # Arrow hands nulls of a float column over as NaN. Rounding a counter is what we want,
            # and `safe` would refuse; NumPy rounds the columns without nulls to the same bits.
            known = chunk.cast(pa.float32(), safe=False) if chunk.null_count else chunk
            x[place : place + len(chunk), column] = known.to_numpy(zero_copy_only=False)
            place += len(chunk)
    categories = {name: _category(flows.table[name]) for name in contract.categories}
    return FlowFeatures(x=x, names=contract.numeric, categories=categories)


def _seconds(values: pa.ChunkedArray, origin_us: int | None) -> NDArray[np.float64]:
    """Return seconds since the origin: a float32 of seconds since 1970 has steps of two minutes."""
    since: NDArray[np.float64] = values.cast(pa.int64()).to_numpy() - (origin_us or 0)
    return since / 1e6


def _category(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.unify_dictionaries().combine_chunks()


def _wanted(
    feature_set: str | Sequence[str], offered: list[str], categories: list[str]
) -> list[str]:
    if feature_set == "auto":
        # The protocol number is a category. `c_protocol` names what has no number, so both count.
        return [*(n for n in offered if n != "protocol"), "protocol", *categories]
    if feature_set == "core35":
        names = [n if n in offered else _CANONICAL_NAMES.get(n, n) for n in CORE35]
        missing = [n for n in names if n not in offered]
        if missing:
            lacking = ", ".join(missing)
            msg = f"The feature set 'core35' needs NFStream's columns; {lacking} are missing."
            raise ConfigError(
                msg, where="features.set", do="Read the capture itself, or use set = 'auto'."
            )
        return names
    if isinstance(feature_set, str):
        msg = f"There is no feature set '{feature_set}'."
        near = nearest(feature_set, ["auto", "core35"])
        raise ConfigError(
            msg, where="features.set", do=near or "Use 'auto', 'core35' or a list of columns."
        )
    for name in feature_set:
        _require(name, [*offered, *categories], "features.set")
    return list(feature_set)


def _require(name: str, valid: Sequence[str], where: str) -> None:
    if name not in valid:
        msg = f"The source has no column '{name}'."
        raise ConfigError(
            msg, where=where, do=nearest(name, valid) or f"It has: {', '.join(valid)}."
        )
