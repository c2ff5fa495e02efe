"""How fast a machine could do a case at best: what must move, and what must be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

KINDS = {
    "operations": "arithmetic",
    "lookups": "look-ups",
    "matched": "matching",
    "sorted": "sorting",
    "logarithms": "logarithms",
    "drawn": "drawing",
    "decoded": "decoding",
}
"""Kinds of computing, as `Needs` and the machine's rates call them, and the word for each."""


@dataclass(frozen=True)
class Needs:
    """The least that one call of a case costs, whoever writes it.

    Only what no other way of doing the task could leave out is counted; what is in doubt is not.

    Shapes:
        moved: bytes read plus bytes written, each input and output once
        operations: floating-point additions and multiplications, a fused one counted twice
        lookups: places in a table, known only from data, that are read, or counted up; tables are
            taken to be small enough for the nearest cache
        matched: keys of 64 bits, or as much text, of which the equal ones must be found
        sorted: keys that must be put in order
        logarithms: logarithms or exponentials
        drawn: random numbers of 32 bits
        decoded: bytes of a table in memory that must be made of a compressed file
    """

    moved: float = 0.0
    operations: float = 0.0
    lookups: float = 0.0
    matched: float = 0.0
    sorted: float = 0.0
    logarithms: float = 0.0
    drawn: float = 0.0
    decoded: float = 0.0


class Limit(NamedTuple):
    """The least seconds of a call, and what takes most: "memory", "bus", or a word of `KINDS`."""

    seconds: float
    bound: str


@runtime_checkable
class Bounded(Protocol):
    """A benchmark that knows what it needs at least; `netvigil bench` then shows the distance."""

    def needs(self, prepared: Any) -> Needs:
        """Return what `run(prepared)` cannot do without."""
        ...
