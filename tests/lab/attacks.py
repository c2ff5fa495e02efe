"""When which attack happens, on whom, and how much of it: bounded in time and count.

All but one small probe lie in the last 30 % of the time, so that a detector can learn on a clean
past and set its cut on a clean present. Many come from hosts that also behave well, on pairs that
talked before: a new pair alone gives neither the beacon, the lateral movement, the exfiltration,
the tunnel nor the password guessing away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.lab.hosts import SERVERS, TUNNEL
from tests.lab.plan import Action, Event

FULL_S = 240.0
"""The length of the attacks' part at which counts and times are as written below."""

SHORT_S = 120.0
"""A scenario shorter than this has only the fast attacks, in a larger part of its time."""


@dataclass(frozen=True)
class Attack:
    """One attack as designed: `at` as a part of the attacks' time, the rest at full length.

    `count` is its number of probes, attempts, requests or connections; `pairs` are the source and
    target of its flows, by default `host` and `target`; `suffered` says that its flows are those of
    a victim, whose habits go on; `kind` names a function of `hostile`.
    """

    name: str
    category: str
    kind: str
    host: str
    target: str
    at: float
    lasts_s: float
    count: int
    port: int = 0
    fast: bool = False
    pairs: tuple[tuple[str, str], ...] = ()
    suffered: bool = False
    options: dict[str, Any] = field(default_factory=dict)


_DISCOVERED = tuple(
    str(SERVERS.v4[number]) for number in (*range(2, 6), *range(9, 15), *range(19, 27))
)
_PROBE = Attack("probe", "ssh_guess", "ssh_guess", "attacker", "web", 0.0, 14.0, 6, port=22)
_ATTACKS = (
    Attack(
        "beacon", "beacon", "beacon", "ws2", "cloud", 0.01, 185.0, 28,
        port=443, fast=True, options={"jitter": 0.3},
    ),
    Attack("slow-scan", "scan_slow", "scan_connect", "ws3", "db", 0.02, 140.0, 45),
    Attack(
        "discovery", "discovery", "discover", "ws3", SERVERS.router, 0.05, 20.0, len(_DISCOVERED),
        pairs=(*(("ws3", one) for one in _DISCOVERED if one != str(SERVERS.v4[12])),
               ("ws3", "router-office")),
        options={"addresses": [one for one in _DISCOVERED if one != str(SERVERS.v4[12])]},
    ),
    Attack(
        "tunnel", "dns_tunnel", "tunnel", "ws4", "dns", 0.13, 80.0, 90,
        port=53, fast=True, pairs=(("ws4", "dns"), ("dns", "attacker")),
        options={"domain": TUNNEL},
    ),
    Attack("lateral-web", "lateral", "lateral", "admin", "web", 0.20, 60.0, 5, port=22, fast=True),
    Attack("lateral-db", "lateral", "lateral", "admin", "db", 0.24, 60.0, 5, port=22),
    Attack("lateral-files", "lateral", "lateral", "admin", "files", 0.28, 60.0, 6, port=22),
    Attack(
        "spoof", "arp_spoof", "arp_spoof", "ws6", "printer", 0.33, 50.0, 25,
        pairs=(("ws1", "printer"),), suffered=True, options={"victim": "ws1", "own": "ws6"},
    ),
    Attack("exfiltration", "exfiltration", "exfiltrate", "ws5", "share", 0.36, 100.0, 12,
           port=443, fast=True, options={"size": 45_000}),
    Attack("ssh-guess", "ssh_guess", "ssh_guess", "attacker", "web", 0.42, 55.0, 45,
           port=22, fast=True),
    Attack("http-guess", "http_guess", "http_guess", "partner", "web", 0.50, 45.0, 90,
           port=80, fast=True),
    Attack("syn-scan", "scan_syn", "scan_syn", "ws3", "files", 0.60, 20.0, 300, fast=True),
    Attack("udp-scan", "scan_udp", "scan_udp", "ws3", "hmi", 0.68, 55.0, 40),
    Attack("slow-http", "slow_http", "slow_http", "attacker", "web", 0.72, 50.0, 30, port=443),
    Attack("http-flood", "http_flood", "http_flood", "partner", "web", 0.80, 20.0, 220, port=80),
    Attack("syn-flood", "syn_flood", "syn_flood", "attacker", "web", 0.90, 14.0, 250,
           port=80, fast=True),
)  # fmt: skip
CATEGORIES = tuple(sorted({attack.category for attack in _ATTACKS}))
"""Every category of attack that a scenario of full length has."""


def attacks(rng: np.random.Generator, duration_s: float) -> tuple[list[Action], list[Event]]:
    """Return the hostile actions of a scenario and the events that tell of them."""
    actions, events = [], []
    for attack, at, lasts_s, count in _scheduled(rng, duration_s):
        options = {**attack.options, "count": count, "seed": int(rng.integers(2**31))}
        actions.append(
            Action(
                at=at,
                host=attack.host,
                kind=attack.kind,
                target=attack.target,
                lasts_s=lasts_s,
                port=attack.port,
                event=attack.name,
                options=options,
            )
        )
        for source, target in attack.pairs or ((attack.host, attack.target),):
            event = Event(
                attack=attack.name,
                category=attack.category,
                source=source,
                target=target,
                start=at,
                end=at + lasts_s,
                port=attack.port,
                suffered=attack.suffered,
            )
            events.append(event)
    return actions, events


def _scheduled(
    rng: np.random.Generator, duration_s: float
) -> Iterator[tuple[Attack, float, float, int]]:
    """Yield attack, start, longest time and count, scaled to the length of the scenario."""
    short = duration_s < SHORT_S
    first, last = (0.25 if short else 0.70) * duration_s, 0.985 * duration_s
    scale = min(1.0, (last - first) / FULL_S)
    if not short:
        yield _PROBE, 0.3 * duration_s, _PROBE.lasts_s, _PROBE.count
    for attack in _ATTACKS:
        if short and not attack.fast:
            continue
        at = first + (attack.at + rng.uniform(0, 0.01)) * (last - first)
        # The fastest tools need some seconds to start; nothing reaches beyond the end.
        at = min(at, last - 4.0)
        lasts_s = min(max(attack.lasts_s * scale, 4.0), last - at)
        count = max(round(attack.count * scale), min(attack.count, 3))
        yield attack, round(at, 3), round(lasts_s, 3), count
