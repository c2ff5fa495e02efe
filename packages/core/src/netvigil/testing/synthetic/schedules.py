"""What happens by plan: machines and campaigns, for any stretch of time, without state.

The k-th event of a plan lies at `phase + period * (k + jitter * u)` with `u` in [0, 1) hashed from
the plan and k. Nothing is stored per event, so ten million planned events cost as much memory as
ten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netvigil.addresses import combine
from netvigil.testing.synthetic.events import Events


@dataclass
class Plans:
    """Plans under construction, with the sources and actions that each draws from.

    An action is a row of (destination, port, profile); the k-th event takes action `k mod actions`.
    """

    seed: int
    times: list[tuple[float, float, float, int]] = field(default_factory=list)
    attack: list[int] = field(default_factory=list)
    sources: list[NDArray[np.int32]] = field(default_factory=list)
    actions: list[NDArray[np.int32]] = field(default_factory=list)

    def add(
        self,
        sources: NDArray[np.int32],
        actions: NDArray[np.int32],
        *,
        phase: float,
        period: float,
        jitter: float,
        count: int,
        attack: int = 0,
    ) -> None:
        """Add one plan: `sources` int32 [sources], `actions` int32 [actions, 3]."""
        self.times.append((phase, period, jitter, count))
        self.attack.append(attack)
        self.sources.append(np.atleast_1d(sources).astype(np.int32))
        self.actions.append(np.atleast_2d(actions).astype(np.int32))

    def settle(self) -> Schedule:
        """Freeze the plans."""
        times = np.array(self.times, np.float64).reshape(-1, 4)
        source_n = np.array([len(s) for s in self.sources], np.int64)
        action_n = np.array([len(a) for a in self.actions], np.int64)
        return Schedule(
            seed=self.seed,
            phase=times[:, 0],
            period=times[:, 1],
            jitter=times[:, 2],
            count=times[:, 3].astype(np.int64),
            attack=np.array(self.attack, np.int8),
            source_at=np.cumsum(source_n) - source_n,
            source_n=source_n,
            action_at=np.cumsum(action_n) - action_n,
            action_n=action_n,
            sources=np.concatenate([np.empty(0, np.int32), *self.sources]),
            actions=np.concatenate([np.empty((0, 3), np.int32), *self.actions]),
        )


@dataclass(frozen=True)
class Schedule:
    """Frozen plans.

    Shapes:
        phase, period: float64 [plans], seconds; jitter: float64 [plans], in [0, 1]; count: int64
            [plans]
        attack: int8 [plans]; source_at, source_n, action_at, action_n: int64 [plans], runs in the
            pools
        sources: int32 [pool]; actions: int32 [pool, 3], destination, port and profile
    """

    seed: int
    phase: NDArray[np.float64]
    period: NDArray[np.float64]
    jitter: NDArray[np.float64]
    count: NDArray[np.int64]
    attack: NDArray[np.int8]
    source_at: NDArray[np.int64]
    source_n: NDArray[np.int64]
    action_at: NDArray[np.int64]
    action_n: NDArray[np.int64]
    sources: NDArray[np.int32]
    actions: NDArray[np.int32]

    @property
    def total(self) -> int:
        """How many events are planned."""
        return int(self.count.sum())

    def before(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return about how many events happen before each time, float64 [times]."""
        sums = np.zeros(len(time))
        for phase, period, count in zip(self.phase, self.period, self.count, strict=True):
            sums += np.clip((time - phase) / period, 0, count)
        return sums

    def between(self, first: float, last: float) -> Events:
        """Return the events with first <= time < last, plan by plan."""
        low = np.clip(np.floor((first - self.phase) / self.period) - 1, 0, self.count).astype(
            np.int64
        )
        high = np.clip(np.floor((last - self.phase) / self.period) + 1, 0, self.count).astype(
            np.int64
        )
        many = np.maximum(high - low, 0)
        plan = np.repeat(np.arange(len(many)), many)
        k = np.arange(len(plan)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(low, many)
        dice = combine(np.full(len(plan), self.seed), plan, k)
        unit = (dice >> np.uint64(11)).astype(np.float64) * 2.0**-53
        time = self.phase[plan] + self.period[plan] * (k + self.jitter[plan] * unit)
        keep = (time >= first) & (time < last)
        plan, k, time, dice = plan[keep], k[keep], time[keep], dice[keep]
        source = self.source_at[plan] + (dice % self.source_n[plan].astype(np.uint64)).astype(
            np.int64
        )
        action = self.actions[self.action_at[plan] + k % self.action_n[plan]]
        return Events(
            time=time,
            src=self.sources[source],
            dst=action[:, 0],
            profile=action[:, 2].astype(np.int16),
            port=action[:, 1],
            attack=self.attack[plan],
            failed=np.zeros(len(plan), np.bool_),
        )
