"""One attack as an agent carries it out."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One attack: its target, how much of it, the moment at which it ends, its own randomness."""

    target: str
    port: int
    count: int
    deadline: float
    rng: random.Random
    folder: Path
    options: Mapping[str, Any]

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def spread(self, jitter: float, *, part: float = 0.95) -> Iterator[int]:
        """Count to `count`, with pauses that fill `part` of the time."""
        gap = part * max(self.left_s, 0.0) / self.count
        for number in range(self.count):
            if self.left_s <= 0:
                return
            yield number
            begun = gap * (1 + jitter * self.rng.uniform(-1, 1))
            time.sleep(max(0.0, min(begun, self.left_s)))
