"""Settings of the labellers, apart from them: listing parts imports no data frame library."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from netvigil.parts import PartConfig


class EventsConfig(PartConfig):
    """Settings of `events`."""

    truth: Path = Field(description="event file: Westermo log, CSV or TOML")
    attackers: dict[str, list[str]] | None = Field(
        None,
        description="addresses by category (patterns such as portscan* are fine) for events that "
        "name none; a Westermo log has the data set's own attackers as default",
    )
    match: Literal["attacker", "any"] = Field(
        "attacker",
        description="attacker: flows of the event's addresses; any: every flow during an event",
    )
    without_address: Literal["unknown", "any", "benign"] = Field(
        "unknown",
        description="what flows are during an event whose addresses are not known",
    )
    tolerance_s: float = Field(
        0.0, ge=0, description="seconds by which events are widened at both ends"
    )
    offset_s: float | None = Field(
        None,
        description="seconds added to the file's times (time zones); by default 0, and -3600 for a "
        "Westermo log, whose clock is local time",
    )
    outside: Literal["unknown", "benign"] = Field(
        "unknown", description="what flows are outside the time that the file covers"
    )


class GroundTruthConfig(PartConfig):
    """Settings of `ground-truth`."""

    truth: Path = Field(description="CSV or parquet table of attack flows")
    mapping: Path | None = Field(None, description="TOML file that names the table's columns")
    tolerance_s: float = Field(
        1.0,  # truth files are often in whole seconds, flows are not
        ge=0,
        description="seconds by which a row's time is widened at both ends",
    )
    offset_s: float = Field(0.0, description="seconds added to the table's times (time zones)")
    others: Literal["benign", "unknown"] = Field(
        "benign", description="what flows are that match no row"
    )
