"""NFStream 6.5, saved as CSV or Parquet (its CSV writer escapes quotes with a backslash)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil.contracts.flows import BytesLayer
from netvigil_flowprep.readers.config import NFStreamConfig
from netvigil_flowprep.readers.dialect import REAL, TEXT, WHOLE, Dialect, Names, plain
from netvigil_flowprep.readers.ports import WITH_PORTS
from netvigil_flowprep.readers.times import millis_us
from netvigil_flowprep.tcp_flags import COUNTER_BITS, flags_of_counts

LAYERS: tuple[BytesLayer, ...] = ("l2", "ip", "l4", "payload")
_SIDES = {"tcp_flags": "bidirectional", "fwd_tcp_flags": "src2dst", "bwd_tcp_flags": "dst2src"}


def derive(have: Names, config: NFStreamConfig) -> Mapping[str, pl.Expr]:
    """Return canonical columns of NFStream's attributes; those it lacks are left out."""
    made = {
        "start_us": millis_us("bidirectional_first_seen_ms"),
        "end_us": millis_us("bidirectional_last_seen_ms"),
        "duration_s": pl.col("bidirectional_duration_ms") / 1_000,
        "src_port": pl.when(pl.col("protocol").is_in(WITH_PORTS)).then(pl.col("src_port")),
        "dst_port": pl.when(pl.col("protocol").is_in(WITH_PORTS)).then(pl.col("dst_port")),
        **plain(
            have,
            {
                "src_ip": "src_ip",
                "dst_ip": "dst_ip",
                "protocol": "protocol",
                "fwd_packets": "src2dst_packets",
                "bwd_packets": "dst2src_packets",
                "fwd_bytes": "src2dst_bytes",
                "bwd_bytes": "dst2src_bytes",
                "l7_proto": "application_name",
                "c_application_category_name": "application_category_name",
                "label": "label",
                "attack": "attack",
            },
        ),
    }
    for target, side in _SIDES.items():
        counters = {flag: f"{side}_{flag}_packets" for flag in COUNTER_BITS}
        if have >= frozenset(counters.values()):
            made[target] = flags_of_counts(counters)
            made |= {f"x_{name}": pl.col(name) for name in counters.values()}
    if config.server_names and "requested_server_name" in have:
        made["server_name"] = pl.col("requested_server_name")
    return made


_DIRECTIONS = ("bidirectional", "src2dst", "dst2src")
DIALECT = Dialect(
    name="nfstream",
    why="a column bidirectional_first_seen_ms",
    needs=(
        frozenset({"bidirectional_first_seen_ms", "bidirectional_last_seen_ms", "protocol"})
        | {"bidirectional_duration_ms", "src_port", "dst_port"},
    ),
    types={
        **dict.fromkeys((f"bidirectional_{edge}_seen_ms" for edge in ("first", "last")), WHOLE),
        **dict.fromkeys(("src2dst_packets", "src2dst_bytes"), WHOLE),
        **dict.fromkeys(("dst2src_packets", "dst2src_bytes"), WHOLE),
        **dict.fromkeys(("src_port", "dst_port", "protocol"), WHOLE),
        "bidirectional_duration_ms": REAL,
        **dict.fromkeys(("src_ip", "dst_ip", "label", "attack"), TEXT),
        **dict.fromkeys(("application_name", "application_category_name"), TEXT),
        "requested_server_name": TEXT,
    },
    # Identifiers, absolute times of one side, and texts that name people, devices or processes.
    drop=frozenset({"id", "expiration_id", "src_mac", "src_oui", "dst_mac", "dst_oui"})
    | {f"{side}_{edge}_seen_ms" for side in _DIRECTIONS for edge in ("first", "last")}
    | {"splt_direction", "splt_ps", "splt_piat_ms", "requested_server_name", "user_agent"}
    | {"client_fingerprint", "server_fingerprint", "content_type"}
    | {"system_process_pid", "system_process_name", "system_browser_tab"},
    derive=derive,
    info=lambda _, config: FlowInfo("nfstream", "clock", LAYERS[config.accounting_mode], "bi"),
    backslash_quotes=True,
)
