"""What the reader and its metering children agree on; imports no NFStream.

That is the frame around each message, and which of NFStream's flow attributes are read.

Not read, whatever the settings: MAC addresses, fingerprints, user agents and content types, which
identify people and devices and are no flow features, and the names of processes.
"""

from __future__ import annotations

import struct

import pyarrow as pa

FRAME = struct.Struct(">cQ")
"""Before each message: its kind, see `worker`, and its length in bytes."""

_SIDES = ("bidirectional", "src2dst", "dst2src")
_FLAGS = ("syn", "cwr", "ece", "urg", "ack", "psh", "rst", "fin")
_MOMENTS = ("min", "mean", "stddev", "max")

_BASIC = (
    *("expiration_id", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "ip_version"),
    *("vlan_id", "tunnel_id"),
    *(
        f"{side}_{what}"
        for side in _SIDES
        for what in ("first_seen_ms", "last_seen_ms", "duration_ms", "packets", "bytes")
    ),
)
_STATISTICS = (
    *(
        f"{side}_{moment}_{of}"
        for of in ("ps", "piat_ms")
        for side in _SIDES
        for moment in _MOMENTS
    ),
    *(f"{side}_{flag}_packets" for side in _SIDES for flag in _FLAGS),
)
_APPLICATION = (
    *("application_name", "application_category_name"),
    *("application_is_guessed", "application_confidence"),
)
_TEXT = frozenset(
    {"src_ip", "dst_ip", "application_name", "application_category_name", "requested_server_name"}
)


def wanted(*, statistics: bool, dissections: int, tunnels: bool, server_names: bool) -> list[str]:
    """Return the names of the attributes that a flow has under these settings and that are read."""
    names = [name for name in _BASIC if tunnels or name != "tunnel_id"]
    if statistics:
        names += _STATISTICS
    if dissections:
        names += _APPLICATION
    if dissections and server_names:
        names.append("requested_server_name")
    return names


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type that holds every value of an attribute."""
    if name in _TEXT:
        return pa.string()
    if "_mean_" in name or "_stddev_" in name:
        return pa.float64()
    return pa.int64() if name == "expiration_id" else pa.uint64()


def schema(names: list[str]) -> pa.Schema:
    """Return the Arrow schema of a batch with these attributes."""
    return pa.schema([(name, arrow_type(name)) for name in names])
