"""What machines do by the clock, harmlessly: polling, telemetry, monitoring, backup, inventory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvigil.testing.synthetic.profiles import INDEX, PROFILES
from netvigil.testing.synthetic.scenario import Scenario
from netvigil.testing.synthetic.schedules import Plans, Schedule
from netvigil.testing.synthetic.world import World, zipf

SHARE = 0.3  # of the benign flows at most; a small capture has fewer machines that report
INVENTORY = 0.004  # of the benign flows: an administrator's scanner, the benign twin of a scan
SWEEPS = 5

# profile, sources, targets, possible periods in seconds, jitter; one target is drawn for each
# source, unless the source polls ("many"), when each target is a plan of its own.
Machine = tuple[str, str, str, tuple[float, ...], float, bool]
MACHINES: tuple[Machine, ...] = (
    ("modbus", "controller", "plc", (20, 30, 60, 120), 0.02, True),
    ("snmp", "monitor", "printer", (300,), 0.05, True),
    ("ping", "monitor", "device", (300,), 0.05, True),
    ("ping", "monitor", "files", (60,), 0.05, True),
    ("snmp", "monitor", "plc", (600,), 0.05, True),
    ("telemetry", "device", "site", (60, 120, 300), 0.1, False),
    ("telemetry", "client", "site", (120, 300, 600, 900), 0.15, False),
    ("ntp", "client", "resolver", (600, 1_024), 0.1, False),
    ("ntp", "device", "resolver", (64, 1_024), 0.1, False),
    ("syslog", "files", "monitor", (45,), 0.9, False),
    ("syslog", "web", "monitor", (20,), 0.9, False),
    ("backup", "files", "backup", (1_800, 3_600), 0.3, False),
    ("backup", "database", "backup", (1_800, 3_600), 0.3, False),
)


def routines(scenario: Scenario, world: World) -> Schedule:
    """Plan the machines of a network, as many as fit into their share of the benign flows."""
    rng = np.random.default_rng([scenario.seed, 1])
    benign = scenario.flows - scenario.attack_flows
    rows = np.concatenate([_rows(machine, world, rng) for machine in MACHINES])
    rng.shuffle(rows)
    phase = rng.random(len(rows)) * rows[:, 4]
    count = np.floor((scenario.duration_s - phase) / rows[:, 4])
    keep = (count > 0) & (np.cumsum(np.maximum(count, 0)) <= SHARE * benign)
    plans = Plans(scenario.seed)
    for row, first, events in zip(rows[keep], phase[keep], count[keep], strict=True):
        plans.add(
            row[:1].astype(np.int32),
            row[1:4].astype(np.int32),
            phase=first,
            period=row[4],
            jitter=row[5],
            count=int(events),
        )
    _inventory(plans, scenario, world, int(INVENTORY * benign), rng)
    return plans.settle()


def _rows(machine: Machine, world: World, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return candidate plans, [plans, (source, target, port, profile, period, jitter)]."""
    name, who, whom, periods, jitter, polls = machine
    sources, targets = world.role[who], world.role[whom]
    if polls:
        sources = rng.choice(sources, len(targets))
    elif whom == "site":
        targets = targets[zipf(rng, len(targets), len(sources))]
    else:
        targets = rng.choice(targets, len(sources))
    rows = np.empty((len(sources), 6))
    rows[:, 0], rows[:, 1] = sources, targets
    rows[:, 2], rows[:, 3] = PROFILES[INDEX[name]].port, INDEX[name]
    rows[:, 4], rows[:, 5] = rng.choice(np.array(periods, float), len(sources)), jitter
    return rows


def _inventory(
    plans: Plans, scenario: Scenario, world: World, flows: int, rng: np.random.Generator
) -> None:
    scanner = world.role["monitor"][:1]
    known = np.concatenate([world.role[name] for name in ("client", "files", "printer", "device")])
    for sweep in range(SWEEPS):
        count = flows // SWEEPS
        if count == 0:
            return
        hosts = np.resize(rng.permutation(known), count)
        actions = np.empty((count, 3), np.int32)
        actions[:, 0] = hosts
        actions[:, 1] = np.array([22, 80, 135, 443, 445])[np.arange(count) % 5]
        actions[:, 2] = INDEX["probe"]
        length = min(count / 15, scenario.duration_s / SWEEPS / 2)
        phase = scenario.duration_s * (sweep + 0.5 * rng.random()) / SWEEPS
        plans.add(scanner, actions, phase=phase, period=length / count, jitter=1.0, count=count)
