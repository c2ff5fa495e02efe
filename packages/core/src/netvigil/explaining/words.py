"""What people call things: a feature's value beside what is usual, and flows by their hosts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.profile import FeatureProfile

PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
NOBODY = "an unknown host"
RESET = 0x04  # the bit of RST among TCP flags
FEW = 3  # ports and hosts named one by one; more are counted
COLUMNS = ("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes", "tcp_flags")
"""What flows are described by, beside their ends and times, where a source has it."""


def feature(
    name: str,
    numbers: Sequence[int],
    profile: FeatureProfile,
    raw: FlowFeatures,
    x: NDArray[np.float32],
) -> tuple[str, float | None]:
    """Say what a feature is of one flow and what is usual; returns train deviations too.

    Shapes:
        numbers: its columns; raw: [1 flow], before transforms; x: float32 [features], after them
    """
    if name in raw.categories:
        return _category(name, raw.categories[name][0].as_py(), profile), None
    place = _deviations(numbers[0], profile, x) if len(numbers) == 1 else None
    if name in raw.names and name in profile.usual.names:
        value = float(raw.x[0, raw.names.index(name)])
        return f"{name} is {number(value)}; {_usual(name, value, profile)}", place
    if place is None:
        return name, None
    side = "above" if place > 0 else "below"
    return f"{name} is {abs(place):.1f} deviations {side} its train mean", place


def _deviations(k: int, profile: FeatureProfile, x: NDArray[np.float32]) -> float:
    spread = float(profile.deviation[k])
    return (float(x[k]) - float(profile.mean[k])) / (spread if spread > 0 else 1.0)


def _usual(name: str, value: float, profile: FeatureProfile) -> str:
    low, middle, high = profile.usual.percentiles[profile.usual.names.index(name)].tolist()
    if math.isnan(middle):
        return "no train flow has a value"
    if low == high:
        return f"usually {number(low)}"
    within = " (within that)" if low <= value <= high else ""
    return f"usually {number(low)} to {number(high)}, half below {number(middle)}{within}"


def _category(name: str, value: str | None, profile: FeatureProfile) -> str:
    shares = profile.usual.categories.get(name, {})
    said = "missing" if value is None else value
    if name == "protocol" and value is not None and value.isdigit():
        said = PROTOCOLS.get(int(value), value)
    share = shares.get(value, 0.0)
    of = f"as {share:.1%} of train flows have it" if share else "as hardly any train flow has it"
    return f"{name} is {said}, {of}"


def number(value: float) -> str:
    """Return a number as people write it, in four digits.

    Example:
        >>> number(1234567.0), number(0.0012345), number(float("nan"))
        ('1,234,567', '0.001234', 'missing')
    """
    if math.isnan(value):
        return "missing"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def counted(value: float, what: str) -> str:
    """Return a number with what it counts, which ends in -s unless it is one.

    Example:
        >>> counted(1, "packet"), counted(1.5, "packet")
        ('1 packet', '1.5 packets')
    """
    return f"{number(value)} {what}{'' if value == 1 else 's'}"


def one_flow(row: Mapping[str, object]) -> str:
    """Say from where to where a flow went.

    Example:
        >>> one_flow({"src_ip": "10.0.0.1", "src_port": 4, "dst_ip": "::1", "dst_port": None})
        '10.0.0.1:4 \u2192 ::1'
    """
    ends = []
    for side in ("src", "dst"):
        host, port = row[f"{side}_ip"], row[f"{side}_port"]
        ends.append(f"{host or NOBODY}{'' if port is None else f':{port}'}")
    return " \N{RIGHTWARDS ARROW} ".join(ends)


def flows(kind: str, chosen: FlowTable, explained: Mapping[str, object]) -> str:
    """Say what flows around an explained one have in common.

    Shapes:
        chosen: [flows], at least one; explained: that flow's row
    """
    if kind == "flow":
        row = chosen.table.slice(0, 1).to_pylist()[0]
        return f"flow {row['flow_id']}, {one_flow(row)}"
    count = len(chosen)
    src, dst = (
        [host or NOBODY for host in _distinct(chosen.table[f"{side}_ip"])]
        for side in ("src", "dst")
    )
    several = counted(count, "other flow")
    if kind == "pair":
        if len(src) == len(dst) == 1:
            who = f"{several} from {src[0]} to {dst[0]}"
        else:
            ends = sorted({*src, *dst})
            who = f"{several} between {' and '.join(ends)}"
    else:
        host = _host(chosen, explained)
        others = sorted({*src, *dst} - {host}) or [host]
        who = f"{several} of {host}, with {_few(others, 'hosts')}"
    return f"{who}; {', '.join(_traits(chosen))}"


def _host(chosen: FlowTable, explained: Mapping[str, object]) -> str:
    """Return the host of the explained flow that all of these flows touch."""
    for end in ("src_ip", "dst_ip"):
        mine = explained[end]
        ends = (chosen.table[e].cast(pa.string()).to_pylist() for e in ("src_ip", "dst_ip"))
        if all(mine in pair for pair in zip(*ends, strict=True)):
            return str(mine or NOBODY)
    return NOBODY


def _traits(chosen: FlowTable) -> list[str]:
    """Return what a person would look at: services, sizes, answers, resets, how close in time."""
    table = chosen.table
    said = []
    named = {str(number): name for number, name in PROTOCOLS.items()}
    protocols = [named.get(p, f"protocol {p}") for p in _distinct(table["protocol"]) if p]
    ports = [port for port in _distinct(table["dst_port"]) if port]
    service = "/".join(protocols[:FEW])
    if ports:
        service = f"{service} to {_few(ports, 'ports', one='port ')}".strip()
    if service:
        said.append(service)
    said += _sizes(table)
    if "tcp_flags" in table.column_names and table["tcp_flags"].null_count < len(table):
        flags = table["tcp_flags"].drop_null().cast(pa.int64()).to_numpy()
        if (share := float(np.mean((flags & RESET) > 0))) > 0:
            said.append(f"{share:.0%} reset")
    if chosen.info.time_basis == "clock" and len(chosen) > 1:
        starts = chosen.start_us
        said.append(f"within {number(round((int(starts.max()) - int(starts.min())) / 1e6, 1))} s")
    return said


def _sizes(table: pa.Table) -> list[str]:
    packets, octets = (_median(table, unit) for unit in ("packets", "bytes"))
    said = []
    if packets is not None and octets is not None:
        said.append(f"median {counted(packets, 'packet')}, {counted(octets, 'byte')}")
    back = table["bwd_packets"]
    if back.null_count < len(table):
        silent = float(pc.mean(pc.equal(back, 0).cast(pa.float64())).as_py())
        said.append(f"{silent:.0%} unanswered")
    return said


def _median(table: pa.Table, unit: str) -> float | None:
    """Return the median of both directions together, or None where nothing was counted."""
    there, back = (table[f"{way}_{unit}"].cast(pa.float64()) for way in ("fwd", "bwd"))
    both = pc.add(there, pc.fill_null(back, 0.0))
    if both.null_count == len(table):
        return None
    return float(np.median(both.drop_null().to_numpy()))


def _distinct(column: pa.ChunkedArray) -> list[str]:
    """Return the distinct values as text, the most frequent first; what is missing is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    counted = pc.value_counts(column).to_pylist()
    ranked = sorted(counted, key=lambda each: (-each["counts"], str(each["values"])))
    return ["" if each["values"] is None else str(each["values"]) for each in ranked]


def _few(values: Sequence[str], what: str, *, one: str = "") -> str:
    if len(values) == 1:
        return f"{one}{values[0]}"
    if len(values) <= FEW:
        return ", ".join(values)
    return f"{len(values):,} {what}"
