"""`Events`: which conversation happens when, between whom; its volumes are decided later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Events:
    """Conversations of a stretch of time.

    Shapes:
        time: float64 [events], seconds from the start; src, dst: int32 [events], hosts
        profile: int16 [events]; port: int32 [events], of the server
        attack: int8 [events], 0 where benign, else 1 + index in `KINDS`; failed: bool [events]
    """

    time: NDArray[np.float64]
    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    profile: NDArray[np.int16]
    port: NDArray[np.int32]
    attack: NDArray[np.int8]
    failed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Events:
        """Return some events."""
        return Events(*(getattr(self, f.name)[rows] for f in fields(self)))

    def rows(self, run: slice) -> Events:
        """Return a run of consecutive events, as views."""
        return Events(*(getattr(self, f.name)[run] for f in fields(self)))

    @staticmethod
    def concat(parts: Sequence[Events]) -> Events:
        """Join events one after another."""
        return Events(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events))
        )

    def in_order(self) -> Events:
        """Return the events sorted by time; equal times keep their order."""
        return self.take(np.argsort(self.time, kind="stable"))
