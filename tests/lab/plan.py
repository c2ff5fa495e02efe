"""Who does what when: a pure function of seed and length, so that it can be tested without root.

Benign actions come from `habits`, attacks and their events from `attacks`. An event names its time
and its pair of hosts; no benign action of that pair comes near it, so that labels by time and pair
are exact although every host goes on with its benign traffic to all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.lab.hosts import address

GUARD_S = 6.0
"""No benign action of an event's pair this near to it: later than what its flows may linger."""

LATE_S = 2.0
"""An action this late is skipped, so that a busy machine never moves it into an event."""


@dataclass(frozen=True)
class Action:
    """What one host does at one moment, `at` seconds after the start.

    `kind` names a function of `clients` or `hostile`; `lasts_s` is how long its flows can live;
    `event` is the attack that it carries out, or empty.
    """

    at: float
    host: str
    kind: str
    target: str
    lasts_s: float = 2.0
    port: int = 0
    event: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An attack on one target, with the time reserved for it; `port` 0 stands for all.

    `attack` is the name of the action that carries it out; what one attack does to several targets
    is several events. What a `suffered` one does shows in flows that the victim begins.
    """

    attack: str
    category: str
    source: str
    target: str
    start: float
    end: float
    port: int = 0
    suffered: bool = False

    @property
    def pair(self) -> frozenset[str]:
        """Both addresses."""
        return frozenset((address(self.source), address(self.target)))

    def hinders(self, action: Action) -> bool:
        """Say whether a benign action would come too near."""
        if self.pair != frozenset((address(action.host), address(action.target))):
            return False
        if self.port and action.port and self.port != action.port:
            return False
        if self.suffered and self._makes_suffer(action):
            return False
        begins_after = action.at > self.end + GUARD_S
        return not (begins_after or action.at + action.lasts_s + GUARD_S < self.start)

    def _makes_suffer(self, action: Action) -> bool:
        """Say whether an action surely falls into the time in which the attack has effect."""
        surely = self.end - 0.2 * (self.end - self.start)  # it ends early, so that all recovers
        return self.start + 2 < action.at and action.at + action.lasts_s + 2 < surely


@dataclass(frozen=True)
class Plan:
    """Everything that will happen: actions in the order of time, and the events among them."""

    seed: int
    duration_s: float
    actions: tuple[Action, ...]
    events: tuple[Event, ...]

    def of(self, host: str) -> list[Action]:
        """Return what one host does."""
        return [action for action in self.actions if action.host == host]


def make_plan(*, seed: int, minutes: float) -> Plan:
    """Return the plan of a seed.

    Example:
        >>> plan = make_plan(seed=0, minutes=10)
        >>> plan == make_plan(seed=0, minutes=10), plan == make_plan(seed=1, minutes=10)
        (True, False)
    """
    from tests.lab.attacks import attacks
    from tests.lab.habits import habits

    duration_s = minutes * 60
    streams = np.random.default_rng(seed).spawn(2)
    hostile, events = attacks(streams[1], duration_s)
    benign = without_conflicts(habits(streams[0], duration_s), events)
    actions = sorted([*benign, *hostile], key=lambda a: (a.at, a.host, a.kind, a.target))
    return Plan(seed, duration_s, tuple(actions), tuple(events))


def without_conflicts(benign: Iterable[Action], events: Iterable[Event]) -> list[Action]:
    """Leave out the benign actions that an event's label would also meet."""
    by_pair: dict[frozenset[str], list[Event]] = {}
    for event in events:
        by_pair.setdefault(event.pair, []).append(event)
    kept = []
    for action in benign:
        pair = frozenset((address(action.host), address(action.target)))
        if not any(event.hinders(action) for event in by_pair.get(pair, ())):
            kept.append(action)
    return kept
