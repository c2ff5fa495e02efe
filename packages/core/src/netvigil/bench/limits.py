"""How fast a machine could do a case at best: what must move, and what must be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Needs:
    """The least that one call of a case costs, whoever writes it.

    Shapes:
        moved: bytes read plus bytes written, each input and output once
        operations: floating-point additions and multiplications, a fused one counted twice
    """

    moved: float = 0.0
    operations: float = 0.0


@runtime_checkable
class Bounded(Protocol):
    """A benchmark that knows what it needs at least; `netvigil bench` then shows the distance."""

    def needs(self, prepared: Any) -> Needs:
        """Return what `run(prepared)` cannot do without."""
        ...
