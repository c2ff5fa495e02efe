"""What people do: sessions of a few conversations each, by habit, with the rhythm of the day."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.testing.synthetic.events import Events
from netvigil.testing.synthetic.profiles import INDEX, PROFILES
from netvigil.testing.synthetic.scenario import Scenario
from netvigil.testing.synthetic.world import FAVOURITES, SESSION_PROFILE, SESSIONS, World, zipf

NAMES = tuple(SESSIONS)
EXTERNAL = np.array([name in {"https", "quic", "http", "upload"} for name in NAMES])
# Mean conversations per session and seconds between them: a page needs several, a mailbox one.
MEAN = np.array([{"https": 4.0, "http": 3.0, "quic": 2.5}.get(name, 1.4) for name in NAMES])
GAP_S = np.array([{"https": 0.6, "http": 0.6, "quic": 0.5}.get(name, 6.0) for name in NAMES])
PORT = np.array([PROFILES[row].port for row in SESSION_PROFILE], np.int32)
LOOKS_UP = 0.4  # of the sessions to the web ask a resolver first; the others have the answer cached
NEW_SITE = 0.02  # of the web sessions leave the favourites: harmless novelty
OTHER_SERVER = 0.015  # of the sessions inside go to another server than usual
FAILS = 0.015  # of the sessions get no answer at all and are retried


def rhythm(scenario: Scenario) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a time grid in seconds and the share of sessions before each point, [points]."""
    grid = np.linspace(0, scenario.duration_s, max(int(scenario.duration_s / 60), 64) + 1)
    clock = scenario.start_us / 1e6 + (grid[:-1] + grid[1:]) / 2
    hour = clock / 3_600 % 24
    weekday = (np.floor(clock / 86_400) + 3) % 7 < 5  # 1970-01-01 was a Thursday
    bumps = np.exp(-(((hour - 10.2) / 2.2) ** 2)) + 0.9 * np.exp(-(((hour - 15.0) / 2.4) ** 2))
    level = 0.12 + np.where(weekday, 1.0, 0.2) * bumps
    return grid, np.concatenate([[0.0], np.cumsum(level) / level.sum()])


def sessions(
    world: World,
    flows: int,
    first: float,
    last: float,
    scenario: Scenario,
    rng: np.random.Generator,
) -> Events:
    """Draw the sessions that start within a stretch of time: `flows` conversations, unsorted.

    The last conversations of a session may lie after `last`.
    """
    parts = [_draw(world, flows, first, last, scenario, rng)]
    while (missing := flows - sum(map(len, parts))) > 0:
        parts.append(_draw(world, missing, first, last, scenario, rng))
    return Events.concat(parts)


def _draw(
    world: World,
    flows: int,
    first: float,
    last: float,
    scenario: Scenario,
    rng: np.random.Generator,
) -> Events:
    """Draw about as many sessions as make `flows` conversations, never more than that."""
    begin, who, kind = _begin(world, flows // 2 + 16, first, last, scenario, rng)
    size = np.floor(rng.exponential(MEAN[kind] - 1) + 1).astype(np.int64)
    asks = EXTERNAL[kind] & (who < len(world.role["client"])) & (rng.random(len(kind)) < LOOKS_UP)
    size += asks
    ends = np.cumsum(size)
    session = np.repeat(np.arange(len(size)), size)[:flows]
    ordinal = np.arange(len(session)) - (ends - size)[session]
    failed = rng.random(len(size)) < FAILS
    target = _target(world, who, kind, rng)
    lookup = asks[session] & (ordinal == 0)
    resolver = world.role["resolver"][who % len(world.role["resolver"])]
    # A retry waits longer than a next request.
    gap = np.where(failed, 3.0, GAP_S[kind])[session] * rng.exponential(1.0, len(session))
    return Events(
        time=begin[session] + ordinal * gap,
        src=world.people[who][session],
        dst=np.where(lookup, resolver[session], target[session]),
        profile=np.where(lookup, INDEX["dns"], SESSION_PROFILE[kind][session]).astype(np.int16),
        port=np.where(lookup, 53, PORT[kind][session]).astype(np.int32),
        attack=np.zeros(len(session), np.int8),
        failed=failed[session] & ~lookup,
    )


def _begin(
    world: World, many: int, first: float, last: float, scenario: Scenario, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Draw start in seconds, person and kind of this many sessions."""
    grid, share = rhythm(scenario)
    low, high = np.interp([first, last], grid, share)
    begin = np.interp(low + (high - low) * rng.random(many), share, grid)
    who = np.searchsorted(np.cumsum(world.weight), rng.random(many)).clip(max=len(world.people) - 1)
    who = np.where(begin < world.arrives[who], world.stand_in[who], who)
    kind = (rng.random((many, 1), np.float32) > world.mix[who]).sum(axis=1)
    return begin, who, np.minimum(kind, len(NAMES) - 1)


def _target(
    world: World, who: NDArray[np.int64], kind: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int32]:
    sites = world.role["site"]
    favourite = world.favourites[who, zipf(rng, FAVOURITES, len(who))]
    inside = who < len(world.role["client"])
    wander = (rng.random(len(who)) < NEW_SITE) & inside
    web = np.where(wander, sites[zipf(rng, len(sites), len(who))], favourite)
    # Someone else's usual server is a plausible other server.
    neighbour = np.where(rng.random(len(who)) < OTHER_SERVER, rng.permutation(who), who)
    return np.where(EXTERNAL[kind], web, world.home[neighbour, kind]).astype(np.int32)
