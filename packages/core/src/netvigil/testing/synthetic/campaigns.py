"""The planted attacks: who attacks whom, when, how fast, and how many flows each campaign has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.testing.synthetic.profiles import INDEX, PROFILES
from netvigil.testing.synthetic.scenario import KINDS, Scenario
from netvigil.testing.synthetic.schedules import Plans, Schedule
from netvigil.testing.synthetic.world import SESSIONS, World

Rows = NDArray[np.int32]
Cast = Callable[[World, int, np.random.Generator], tuple[Rows, Rows]]
NAMES = tuple(SESSIONS)
SCANNED_PORTS = np.array([22, 23, 80, 135, 443, 445, 1433, 3306, 3389, 5900, 8080, 8443])


class Kind(NamedTuple):
    """Share of all attack flows, flows per second, most flows of one campaign, jitter."""

    share: float
    rate: float
    largest: int
    jitter: float = 1.0


# A rate of 0 spreads a campaign over nearly all of its period.
HABITS: Mapping[str, Kind] = {
    "horizontal_scan": Kind(0.15, 12, 4_000),
    "vertical_scan": Kind(0.13, 20, 20_000),
    "slow_scan": Kind(0.04, 0, 300),
    "syn_flood": Kind(0.2, 80, 100_000),
    "http_flood": Kind(0.15, 25, 100_000),
    "ssh_brute_force": Kind(0.12, 1.2, 3_000),
    "http_brute_force": Kind(0.08, 2.5, 5_000),
    "beacon": Kind(0.05, 0, 60, 0.25),
    "exfiltration": Kind(0.02, 0.05, 60),
    "lateral_movement": Kind(0.04, 0.15, 200),
    "new_host": Kind(0.02, 0.8, 200),
}


def campaigns(scenario: Scenario, world: World) -> Schedule:
    """Plan every attack of a scenario: the counts add up to its `attack_flows` exactly."""
    rng = np.random.default_rng([scenario.seed, 2])
    plans = Plans(scenario.seed + 1)
    shares = np.array([HABITS[kind].share for kind in scenario.kinds])
    late = scenario.train_until + (1 - scenario.train_until) / 3
    periods = ((0.03, scenario.train_until), (scenario.train_until, late), (late, 0.995))
    weights = (
        scenario.train_attacks,
        (1 - scenario.train_attacks) / 3,
        (1 - scenario.train_attacks) * 2 / 3,
    )
    quota = apportion(np.outer(shares, weights).ravel(), scenario.attack_flows).reshape(-1, 3)
    for kind, row in zip(scenario.kinds, quota, strict=True):
        for period, flows in zip(periods, row, strict=True):
            _plant(plans, kind, int(flows), period, scenario, world, rng)
    return plans.settle()


def apportion(weights: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Share out a total in proportion to weights, by largest remainder, int64 [weights]."""
    if not len(weights) or total == 0:
        return np.zeros(len(weights), np.int64)
    exact = weights / weights.sum() * total
    whole = np.floor(exact).astype(np.int64)
    most = np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]
    whole[most] += 1
    return np.asarray(whole)


def _plant(
    plans: Plans,
    kind: str,
    flows: int,
    period: tuple[float, float],
    scenario: Scenario,
    world: World,
    rng: np.random.Generator,
) -> None:
    habit = HABITS[kind]
    several = min(max(1 if flows < 40 else 2, -(-flows // habit.largest)), max(flows, 1))
    first, last = (scenario.duration_s * edge for edge in period)
    for count in apportion(np.ones(several), flows):
        if count == 0:
            continue
        sources, actions = CASTS[kind](world, int(count), rng)
        longest = 0.9 * (last - first)
        length = min(count / habit.rate, 0.6 * longest) if habit.rate else longest
        plans.add(
            sources,
            actions,
            phase=first + rng.random() * (last - first - length),
            period=length / count,
            jitter=habit.jitter,
            count=int(count),
            attack=1 + KINDS.index(kind),
        )


def _act(hosts: Rows, profile: str, ports: NDArray[np.int64] | int | None = None) -> Rows:
    """Return actions [hosts, (destination, port, profile)]."""
    actions = np.empty((len(hosts), 3), np.int32)
    actions[:, 0] = hosts
    actions[:, 1] = PROFILES[INDEX[profile]].port if ports is None else ports
    actions[:, 2] = INDEX[profile]
    return actions


def _intruder(world: World, rng: np.random.Generator) -> Rows:
    """Return one attacker: half the time a client that was harmless before, else a stranger."""
    return rng.choice(world.role["client" if rng.random() < 0.5 else "bot"], 1)


def _targets(world: World) -> Rows:
    names = (
        "client",
        "dark",
        "intranet",
        "files",
        "database",
        "ssh",
        "web",
        "printer",
        "device",
        "plc",
    )
    return np.concatenate([world.role[name] for name in names])


def _horizontal(world: World, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    hosts = np.resize(rng.permutation(_targets(world)), count)
    return _intruder(world, rng), _act(hosts, "probe", int(rng.choice(SCANNED_PORTS)))


def _vertical(world: World, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    target = rng.choice(
        np.concatenate([world.role["files"], world.role["web"], world.role["device"]]), 1
    )
    ports = rng.permutation(np.arange(1, 65_536))[np.arange(count) % 65_535]
    return _intruder(world, rng), _act(np.repeat(target, count), "probe", ports)


def _slow(world: World, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    hosts = np.resize(rng.permutation(_targets(world)), count)
    return _intruder(world, rng), _act(hosts, "probe", rng.choice(SCANNED_PORTS, count))


def _syn_flood(world: World, _count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    return rng.choice(world.role["bot"], 40), _act(rng.choice(world.role["web"], 1), "syn")


def _http_flood(world: World, _count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    known, unknown = rng.choice(world.role["visitor"], 8), rng.choice(world.role["bot"], 8)
    return np.concatenate([known, unknown]), _act(rng.choice(world.role["web"], 1), "http-get")


def _ssh_guesses(world: World, _count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    return _intruder(world, rng), _act(rng.choice(world.role["ssh"], 1), "ssh-guess")


def _http_guesses(world: World, _count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    return _intruder(world, rng), _act(rng.choice(world.role["web"], 1), "http-guess")


def _beacon(world: World, _count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    # The unpopular half of the web: most controllers are new to the network, some were visited
    # before.
    sites = world.role["site"]
    return rng.choice(world.role["client"], 1), _act(
        rng.choice(sites[len(sites) // 2 :], 1), "command"
    )


def _theft(world: World, _count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    person = int(rng.integers(len(world.role["client"])))
    # Half go to a site the victim uses anyway, as cloud storage would be.
    usual = world.favourites[person, 0] if rng.random() < 0.5 else rng.choice(world.role["site"])
    return world.people[person : person + 1], _act(np.array([usual], np.int32), "theft")


def _lateral(world: World, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    # A busy person's own servers: pairs that certainly talked before.
    clients = len(world.role["client"])
    usual = world.weight[:clients] * (world.arrives[:clients] == 0)
    person = int(rng.choice(clients, p=usual / usual.sum()))
    known = world.home[
        person, [NAMES.index(name) for name in ("intranet", "smb", "kerberos", "imaps")]
    ]
    return world.people[person : person + 1], _act(rng.choice(known, count), "lateral")


def _rogue(world: World, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    asks = [
        _act(rng.choice(world.role[role], -(-count // 4)), profile, port)
        for role, profile, port in (
            ("resolver", "dns", None),
            ("directory", "ldap", None),
            ("files", "smb", None),
            ("client", "probe", 445),
        )
    ]
    return rng.choice(world.role["rogue"], 1), rng.permutation(np.concatenate(asks)[:count])


CASTS: Mapping[str, Cast] = {
    "horizontal_scan": _horizontal,
    "vertical_scan": _vertical,
    "slow_scan": _slow,
    "syn_flood": _syn_flood,
    "http_flood": _http_flood,
    "ssh_brute_force": _ssh_guesses,
    "http_brute_force": _http_guesses,
    "beacon": _beacon,
    "exfiltration": _theft,
    "lateral_movement": _lateral,
    "new_host": _rogue,
}
