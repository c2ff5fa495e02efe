"""Settings of the delimited readers; imports nothing heavy, so that listing parts stays cheap."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from netvigil.parts import PartConfig


class LocalTimeConfig(PartConfig):
    """For sources that write local time without saying which."""

    utc_offset_s: int = Field(
        0,
        ge=-50_400,
        le=50_400,
        description="Seconds that the source's clock is ahead of UTC; 0 takes its times as UTC.",
    )


class CiddsConfig(LocalTimeConfig):
    """What to make of the local time besides the start of a flow."""

    week_time: bool = Field(
        default=False,
        description="Add the day of the week (seven columns) and the time of day (0 to 1), which "
        "are shortcuts: a model sees those that features.allow_shortcuts names.",
    )


class CicConfig(LocalTimeConfig):
    """How the file writes its times."""

    day_first: bool = Field(default=True, description="Whether 3/7/2017 is the third of July.")
    twelve_hour: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether times count hours to 12 without saying AM or PM."
    )


class NfdumpConfig(LocalTimeConfig):
    """What the export does not say."""

    biflow: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether opkt and obyt count the other direction (nfdump -B)."
    )


class NFStreamConfig(PartConfig):
    """How the flows were metered; the file does not say."""

    accounting_mode: Literal[0, 1, 2, 3] = Field(
        0,
        description="NFStream's setting: bytes of frames (0), IP (1), transport (2), payload (3).",
    )
    server_names: bool = Field(
        default=False, description="Keep the names of requested servers, which are private."
    )


class WestermoConfig(PartConfig):
    """Which of the file's label schemes to hand to the labeller."""

    labels: Literal["NST", "IT"] = Field(
        "NST", description="NST: the attacker's traffic only. IT: all traffic during an event."
    )
