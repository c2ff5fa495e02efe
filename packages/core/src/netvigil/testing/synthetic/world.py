"""The network: who is there, under which address, and whom each host habitually talks to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.testing.synthetic.profiles import INDEX
from netvigil.testing.synthetic.scenario import Scenario

Rows = NDArray[np.int32]

# Share of the hosts inside, with a minimum; the rest are clients.
INSIDE = {
    "resolver": (0.004, 2),
    "intranet": (0.008, 2),
    "mail": (0.002, 1),
    "files": (0.012, 2),
    "database": (0.008, 2),
    "directory": (0.004, 1),
    "ssh": (0.008, 2),
    "web": (0.006, 2),
    "monitor": (0.002, 1),
    "backup": (0.002, 1),
    "printer": (0.04, 2),
    "controller": (0.01, 1),
    "plc": (0.08, 3),
    "device": (0.08, 3),
}
SUBNETS = {"client": 20, "printer": 22, "plc": 23, "controller": 23, "device": 24}

# What a session of a client is, and how often; each client's own mix varies around it.
SESSIONS = {
    "https": 0.40,
    "quic": 0.14,
    "http": 0.06,
    "upload": 0.02,
    "intranet": 0.08,
    "imaps": 0.07,
    "smb": 0.08,
    "database": 0.03,
    "kerberos": 0.05,
    "ldap": 0.03,
    "ssh": 0.015,
    "ssh-mistyped": 0.005,
    "print": 0.01,
    "smtp": 0.01,
}
ROLE_OF = {
    "intranet": "intranet",
    "imaps": "mail",
    "smb": "files",
    "database": "database",
    "kerberos": "directory",
    "ldap": "directory",
    "ssh": "ssh",
    "ssh-mistyped": "ssh",
    "print": "printer",
    "smtp": "mail",
}
FAVOURITES = 12  # sites that make up nearly all of one person's web traffic
VISITORS = 0.06  # share of the sessions that come from outside


@dataclass(frozen=True)
class World:
    """Hosts and habits.

    Shapes:
        addresses: string [hosts]; role: name -> int32 rows of hosts
        people: int32 [people], hosts that start sessions; weight: float64 [people], summing to 1
        mix: float32 [people, sessions], cumulative; home: int32 [people, sessions], usual server or
            -1
        favourites: int32 [people, FAVOURITES]
        arrives: float64 [people], seconds before which a host is not there yet; stand_in: int64
            [people]
        dark: bool [hosts], addresses where nobody answers
    """

    addresses: pa.Array
    role: Mapping[str, Rows]
    people: Rows
    weight: NDArray[np.float64]
    mix: NDArray[np.float32]
    home: Rows
    favourites: Rows
    arrives: NDArray[np.float64]
    stand_in: NDArray[np.int64]
    dark: NDArray[np.bool_]

    @staticmethod
    def of(scenario: Scenario) -> World:
        """Settle a network for this scenario."""
        rng = np.random.default_rng([scenario.seed, 0])
        addresses, role = _settle(scenario.inside, rng)
        clients, visitors = role["client"], role["visitor"]
        people = np.concatenate([clients, visitors])
        favourites = np.concatenate(
            [
                role["site"][zipf(rng, len(role["site"]), (len(clients), FAVOURITES))],
                rng.choice(role["web"], (len(visitors), FAVOURITES)),
            ]
        )
        dark = np.zeros(len(addresses), np.bool_)
        dark[role["dark"]] = True
        # Some laptops appear only later: harmless new hosts.
        late = rng.random(len(people)) < 0.05
        arrives = np.where(late, rng.random(len(people)) * scenario.duration_s, 0.0)
        always = np.flatnonzero(~late[: len(clients)])
        return World(
            addresses=addresses,
            role=role,
            people=people,
            weight=_weights(len(clients), len(visitors), rng),
            mix=_mix(len(clients), len(visitors), rng),
            home=_homes(role, len(people), rng),
            favourites=favourites.astype(np.int32),
            arrives=arrives,
            stand_in=rng.choice(always if len(always) else np.arange(1), len(people)),
            dark=dark,
        )


def zipf(rng: np.random.Generator, n: int, shape: tuple[int, ...] | int) -> NDArray[np.int64]:
    """Draw ranks in [0, n), each with probability about 1 / (rank + 1), by inverting the CDF."""
    rank = np.expm1(rng.random(shape) * np.log1p(n)).astype(np.int64)
    return np.asarray(np.minimum(rank, n - 1))


def _settle(inside: int, rng: np.random.Generator) -> tuple[pa.Array, dict[str, Rows]]:
    counts = {name: max(int(share * inside), least) for name, (share, least) in INSIDE.items()}
    counts["client"] = max(inside - sum(counts.values()), 4)
    counts["dark"] = max(counts["client"] // 4, 30)
    counts["rogue"] = max(counts["client"] // 40, 6)
    texts: list[str] = []
    role: dict[str, Rows] = {}
    used: dict[int, int] = {}
    for name, count in counts.items():
        net = SUBNETS.get(name, 20 if name in {"dark", "rogue"} else 21)
        first = used.get(net, 0)
        numbers = range(first, first + count)
        used[net] = first + count
        role[name] = np.arange(len(texts), len(texts) + count, dtype=np.int32)
        texts += [f"10.{net}.{i // 250}.{1 + i % 250}" for i in numbers]
    # At most 2^16 sites and half as many visitors: together they fit into 198.18.0.0/15.
    outside = {
        "site": min(max(300, 14 * counts["client"]), 65_536),
        "visitor": min(max(60, 5 * counts["client"]), 32_768),
        "bot": 90,
    }
    # 198.18.0.0/15 is reserved for benchmarks (RFC 2544); roles lie scattered in it.
    scattered = rng.permutation(2 * 65_536)[: sum(outside.values())]
    for name, count in outside.items():
        role[name] = np.arange(len(texts), len(texts) + count, dtype=np.int32)
        mine, scattered = scattered[:count].tolist(), scattered[count:]
        texts += [f"198.{18 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}" for i in mine]
    return pa.array(texts), role


def _weights(clients: int, visitors: int, rng: np.random.Generator) -> NDArray[np.float64]:
    busy = np.exp(rng.standard_normal(clients))
    seldom = 1 / (1 + rng.permutation(visitors))
    return np.concatenate([busy / busy.sum() * (1 - VISITORS), seldom / seldom.sum() * VISITORS])


def _mix(clients: int, visitors: int, rng: np.random.Generator) -> NDArray[np.float32]:
    usual = np.array(list(SESSIONS.values()))
    own = usual * np.exp(0.6 * rng.standard_normal((clients, len(usual))))
    # Few people use SSH at all; for these it is a habit.
    ssh = [i for i, name in enumerate(SESSIONS) if name.startswith("ssh")]
    own[:, ssh] *= np.where(rng.random((clients, 1)) < 0.15, 6.0, 0.02)
    foreign = np.array([{"https": 0.8, "http": 0.15, "smtp": 0.05}.get(n, 0.0) for n in SESSIONS])
    mix = np.concatenate([own, np.broadcast_to(foreign, (visitors, len(usual)))])
    cumulative = np.cumsum(mix / mix.sum(axis=1, keepdims=True), axis=1)
    cumulative[:, -1] = 1.0
    return cumulative.astype(np.float32)


def _homes(role: Mapping[str, Rows], people: int, rng: np.random.Generator) -> Rows:
    home = np.full((people, len(SESSIONS)), -1, np.int32)
    for column, name in enumerate(SESSIONS):
        if name in ROLE_OF:
            home[:, column] = rng.choice(role[ROLE_OF[name]], people)
    return home


SESSION_PROFILE = np.array([INDEX[name] for name in SESSIONS], np.int16)
