"""`Scenario`: what a synthetic capture should look like. Equal scenarios give equal bits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from netvigil.errors import ConfigError, nearest

KINDS = (
    "horizontal_scan",
    "vertical_scan",
    "slow_scan",
    "syn_flood",
    "http_flood",
    "ssh_brute_force",
    "http_brute_force",
    "beacon",
    "exfiltration",
    "lateral_movement",
    "new_host",
)
"""The categories of planted attacks, as they stand in the label table."""

# A Monday morning: the working day's rise lies inside the default two hours.
START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


class Settings(TypedDict, total=False):
    """The keyword settings of `traffic` and `stream`; see `Scenario`."""

    duration_s: float
    attack_share: float
    train_until: float
    train_attacks: float
    hosts: int | None
    start: datetime
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """How much traffic, over what time, with which attacks.

    `attack_share` of all flows belong to attacks; a share `train_attacks` of these lies before the
    fraction `train_until` of the time axis (0 leaves that part clean), a third of the rest in the
    first third of what remains, where thresholds are calibrated, and the others after that. `hosts`
    is the number of hosts inside the network; by default it follows from the rate, about 120 flows
    per host and hour.

    Raises:
        ConfigError: A number out of its range, an unknown kind of attack.
    """

    flows: int = 60_000
    seed: int = 0
    duration_s: float = 7_200.0
    attack_share: float = 0.03
    train_until: float = 0.7
    train_attacks: float = 0.2
    hosts: int | None = None
    start: datetime = START
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        checks = {
            "flows": self.flows >= 1,
            "seed": self.seed >= 0,
            "duration_s": self.duration_s > 0,
            "attack_share": 0 <= self.attack_share < 1,
            "train_until": 0 < self.train_until < 1,
            "train_attacks": 0 <= self.train_attacks <= 1,
            "hosts": self.hosts is None or 24 <= self.hosts <= 50_000,
            "start": self.start.tzinfo is not None,
        }
        for name, fine in checks.items():
            if not fine:
                msg = f"A synthetic scenario cannot have {name} = {getattr(self, name)}."
                raise ConfigError(msg, where=RANGES)
        for kind in self.kinds:
            if kind not in KINDS:
                msg = f"There is no planted attack called '{kind}'."
                raise ConfigError(
                    msg, where=f"There are: {', '.join(KINDS)}.", do=nearest(kind, KINDS)
                )

    @property
    def start_us(self) -> int:
        """When the capture starts, microseconds since 1970 UTC."""
        return round(self.start.timestamp() * 1e6)

    @property
    def inside(self) -> int:
        """Number of hosts inside the network."""
        if self.hosts is not None:
            return self.hosts
        per_hour = self.flows / self.duration_s * 3_600
        return int(max(min(per_hour / 120, self.flows / 30, 20_000), 24))

    @property
    def attack_flows(self) -> int:
        """How many flows belong to attacks."""
        return round(self.flows * self.attack_share) if self.kinds else 0


RANGES = (
    "flows >= 1, seed >= 0, duration_s > 0, attack_share in [0, 1), train_until in (0, 1), "
    "train_attacks in [0, 1], hosts in [24, 50000], start with a time zone"
)
