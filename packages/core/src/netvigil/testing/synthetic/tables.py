"""From counters to contracts: one `FlowBatch` of canonical columns and NFStream's feature names."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowBatch, FlowInfo, FlowTable, ReadReport
from netvigil.contracts.flows import TIMESTAMP
from netvigil.testing.synthetic import measures
from netvigil.testing.synthetic.counters import FINE, SILENT, Counters, count
from netvigil.testing.synthetic.events import Events
from netvigil.testing.synthetic.profiles import ICMP, PROFILES, TCP
from netvigil.testing.synthetic.scenario import KINDS

INFO = FlowInfo(format="synthetic", time_basis="clock", bytes_layer="ip", direction="bi")
STATES = pa.array(["S0", "REJ", "RSTR", "SF"])  # Zeek's names, by outcome
CATEGORIES = pa.array(["", *KINDS])
VERDICTS = pa.array(["benign", "attack"])
_apps = list(dict.fromkeys(p.app for p in PROFILES if p.app != "unknown"))
APPS = pa.array(_apps)
APP_OF = np.array([_apps.index(p.app) if p.app in _apps else -1 for p in PROFILES], np.int32)
FIRST_EPHEMERAL, LAST_EPHEMERAL = 32_768, 61_000  # Linux's default range


def table(
    events: Events,
    addresses: pa.Array,
    dark: NDArray[np.bool_],
    *,
    first_id: int,
    start_us: int,
    rng: np.random.Generator,
) -> FlowBatch:
    """Make the flows of events that are in time order; ids count up from `first_id`."""
    counters = count(events, dark, rng)
    flow_id = np.arange(first_id, first_id + len(events))
    start = start_us + np.floor(events.time * 1e6).astype(np.int64)
    length = np.rint(counters.duration * 1e6).astype(np.int64)
    up, down = (measures.sizes(counters, side, rng) for side in ("up", "down"))
    tcp_or_udp = counters.protocol != ICMP
    port = partial(_nullable, kind=pa.uint16(), valid=tcp_or_udp)
    client = rng.integers(FIRST_EPHEMERAL, LAST_EPHEMERAL, len(events), np.uint16)
    flags = measures.flags(counters)
    columns = {
        "flow_id": pa.array(flow_id),
        "start": pa.array(start).view(TIMESTAMP),
        "end": pa.array(start + length).view(TIMESTAMP),
        "duration_s": pa.array(length / 1e6),
        "src_ip": pa.DictionaryArray.from_arrays(pa.array(events.src), addresses),
        "dst_ip": pa.DictionaryArray.from_arrays(pa.array(events.dst), addresses),
        "src_port": port(client),
        "dst_port": port(events.port.astype(np.uint16)),
        "protocol": pa.array(counters.protocol),
        "fwd_packets": pa.array(up.packets.astype(np.uint64)),
        "bwd_packets": pa.array(down.packets.astype(np.uint64)),
        "fwd_bytes": pa.array(up.bytes.astype(np.uint64)),
        "bwd_bytes": pa.array(down.bytes.astype(np.uint64)),
        **_flag_bits(flags, counters.protocol == TCP),
        "conn_state": _texts(counters.outcome.astype(np.int32), STATES),
        "l7_proto": _apps_of(events.profile, counters),
        **_features(length, up, down, flags, rng),
    }
    flows = FlowTable(pa.table(columns), INFO)
    return FlowBatch(flows, ReadReport(read=len(events)), _inline(flow_id, events.attack))


def _features(
    length_us: NDArray[np.int64],
    up: measures.Sizes,
    down: measures.Sizes,
    flags: dict[str, dict[str, measures.Floats]],
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    whole = measures.both(up, down)
    length = (length_us / 1e3).astype(np.float32)
    columns: dict[str, measures.Floats] = {"x_ip_version": np.full(len(length), 4, np.float32)}
    columns |= {"x_bidirectional_packets": whole.packets, "x_bidirectional_bytes": whole.bytes}
    for direction, side in (("bidirectional", whole), ("src2dst", up), ("dst2src", down)):
        took = length
        if direction != "bidirectional":
            # The first packet of an answer comes a little later, the last packet of one side
            # earlier.
            took = length * (1 - np.float32(0.1) * rng.random(len(length), np.float32))
            took = np.where(side.packets > 1, took, 0).astype(np.float32)
            columns[f"x_{direction}_duration_ms"] = took
        sizes = (side.low, side.mean, side.deviation, side.high)
        between = measures.gaps(side.packets, took, rng)
        for name, size, gap in zip(("min", "mean", "stddev", "max"), sizes, between, strict=True):
            columns[f"x_{direction}_{name}_ps"] = size
            columns[f"x_{direction}_{name}_piat_ms"] = gap
    for flag, counted in flags.items():
        for direction, packets in counted.items():
            columns[f"x_{direction}_{flag}_packets"] = packets
    return {
        name: pa.array(np.asarray(values, np.float32)) for name, values in sorted(columns.items())
    }


def _flag_bits(
    flags: dict[str, dict[str, measures.Floats]], tcp: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    columns = {}
    for column, direction in (
        ("tcp_flags", "bidirectional"),
        ("fwd_tcp_flags", "src2dst"),
        ("bwd_tcp_flags", "dst2src"),
    ):
        bits = np.zeros(len(tcp), np.uint8)
        for flag, counted in flags.items():
            bits |= np.where(
                counted[direction] > 0, np.uint8(measures.FLAG_BITS[flag]), np.uint8(0)
            )
        columns[column] = _nullable(bits, kind=pa.uint8(), valid=tcp)
    return columns


def _apps_of(profile: NDArray[np.int16], counters: Counters) -> pa.DictionaryArray:
    """Name the application where payload was seen; a meter cannot name what never spoke."""
    spoke = (counters.outcome == FINE) | ((counters.outcome == SILENT) & (counters.up > 0))
    return _texts(np.where(spoke, APP_OF[profile], -1), APPS)


def _texts(codes: NDArray[np.int32], words: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), words)


def _nullable(
    values: NDArray[np.integer], *, kind: pa.DataType, valid: NDArray[np.bool_]
) -> pa.Array:
    return pa.array(values, kind, mask=~valid)


def _inline(flow_id: NDArray[np.int64], attack: NDArray[np.int8]) -> pa.Table:
    hostile = (attack > 0).astype(np.int32)
    label = _texts(hostile, VERDICTS).cast(pa.string())
    category = _texts(attack.astype(np.int32), CATEGORIES).cast(pa.string())
    return pa.table({"flow_id": pa.array(flow_id), "label": label, "attack": category})
