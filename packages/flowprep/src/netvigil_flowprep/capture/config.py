"""Settings of the `pcap` reader; imports nothing heavy, so that parts can be listed fast."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from netvigil.parts import PartConfig


class PcapConfig(PartConfig):
    """How captures become flows: NFStream's own defaults, but with statistics.

    `n_dissections` stays on because the application that nDPI recognises (`l7_proto`) is worth more
    to a detector than the eighth of the time it takes; its parsers crash in a child process only.
    """

    idle_timeout: int = Field(
        120, ge=1, le=10**9, description="Seconds of silence after which a flow ends."
    )
    active_timeout: int = Field(
        1800, ge=1, le=10**9, description="Seconds after which any flow is cut."
    )
    statistics: bool = Field(
        default=True, description="Packet sizes, gaps between packets and flag counters per flow."
    )
    accounting_mode: Literal[0, 1, 2, 3] = Field(
        0, description="What bytes count: frames (0), IP packets (1), segments (2), payload (3)."
    )
    n_dissections: int = Field(
        20, ge=0, le=255, description="Packets per flow that nDPI sees for `l7_proto`; 0 is off."
    )
    decode_tunnels: bool = Field(
        default=True, description="Look inside GTP, TZSP and CAPWAP tunnels."
    )
    snapshot_length: int = Field(
        1536, ge=64, le=262_144, description="Bytes of a packet that are looked at."
    )
    server_names: bool = Field(
        default=False, description="Keep the names of requested servers, which are private."
    )
    n_meters: int = Field(
        1, ge=1, le=256, description="Processes that share the packets; flow ids depend on it."
    )
    stall_s: float = Field(
        600.0, gt=0, description="Give a capture up after so many seconds without any progress."
    )
