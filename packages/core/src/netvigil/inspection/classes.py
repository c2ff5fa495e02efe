"""The classes of a page: benign, the commonest attacks, the other attacks, unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netvigil.truth import ATTACK, BENIGN, UNKNOWN, Truth

Side = Literal["benign", "attack", "unknown", "all"]
SHOWN = 8
"""Attack classes with a colour of their own; an eye tells hardly more of them apart."""


@dataclass(frozen=True)
class FlowClass:
    """One class: its name out of the labels, what it is, how many flows, its place in colours."""

    name: str
    side: Side
    flows: int
    place: int | None = None


@dataclass(frozen=True)
class Classes:
    """Every flow's class.

    Shapes:
        number: int8 [flows], place in `listed`
    """

    listed: tuple[FlowClass, ...]
    number: NDArray[np.int8]

    @property
    def labelled(self) -> bool:
        """Whether anything is known about any flow."""
        return self.listed[0].side != "all"

    @property
    def sides(self) -> tuple[Side, ...]:
        """What kinds of class there are, in the order they are drawn."""
        found = {each.side for each in self.listed}
        order: tuple[Side, ...] = ("all", "unknown", "benign", "attack")
        return tuple(side for side in order if side in found)

    def side_of(self) -> NDArray[np.int8]:
        """Return the place in `sides` of each class, int8 [classes]."""
        return np.array([self.sides.index(each.side) for each in self.listed], np.int8)

    @staticmethod
    def of(truth: Truth | None, flows: int) -> Classes:
        """Sort flows into classes; without labels they are one class."""
        if truth is None or not truth.state.any():
            return Classes((FlowClass("all flows", "all", flows),), np.zeros(flows, np.int8))
        attack = truth.attack[truth.state == ATTACK]
        counts = np.bincount(attack + 1, minlength=len(truth.names) + 1)  # place 0: no name
        common = [int(n) for n in np.argsort(-counts, kind="stable") if counts[n]]
        shown, others = common[:SHOWN], common[SHOWN:]
        if len(others) == 1:
            shown, others = common, []
        names = ("attack", *truth.names)
        listed = [FlowClass("benign", "benign", int((truth.state == BENIGN).sum()))]
        listed += [
            FlowClass(names[n], "attack", int(counts[n]), i if len(common) > 1 else None)
            for i, n in enumerate(shown)
        ]
        if others:
            rest = f"{len(others)} other attack classes"
            listed.append(FlowClass(rest, "attack", int(counts[others].sum()), SHOWN + 1))
        listed.append(FlowClass("unknown", "unknown", int((truth.state == UNKNOWN).sum())))
        place = np.full(len(counts), len(shown) + 1, np.int8)
        place[shown] = np.arange(1, len(shown) + 1, dtype=np.int8)
        number = np.zeros(flows, np.int8)
        number[truth.state == ATTACK] = place[attack + 1]
        number[truth.state == UNKNOWN] = len(listed) - 1
        return _without_empty(listed, number)


def _without_empty(listed: list[FlowClass], number: NDArray[np.int8]) -> Classes:
    kept = [i for i, each in enumerate(listed) if each.flows]
    new = np.zeros(len(listed), np.int8)
    new[kept] = np.arange(len(kept), dtype=np.int8)
    return Classes(tuple(listed[i] for i in kept), new[number])
