"""Which values of a suite's axes are run together: all with all, or one at a time.

One at a time, the first value of each axis is the base. It is run once; then every other value is
run alone, the other axes staying at their base. A crossed axis (the data, usually) takes part in
all of them, as in the full grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["grid", "one-at-a-time"]
BASE = "base"
"""The folder of the run in which nothing differs from the base."""


@dataclass(frozen=True)
class Swept:
    """One axis: its values in order, and whether every other choice meets each of them."""

    name: str
    values: tuple[str, ...]
    crossed: bool = False


@dataclass(frozen=True)
class Pick:
    """One value of each axis, and the name of the folder they are run in."""

    at: Mapping[str, str]
    name: str


def picks(axes: Sequence[Swept], mode: Mode) -> Iterator[Pick]:
    """Yield what is run, in order; the first axis is the outermost.

    Example:
        >>> axes = [Swept("depth", ("two", "three")), Swept("loss", ("mse", "mae"))]
        >>> [pick.name for pick in picks(axes, "grid")]
        ['two/mse', 'two/mae', 'three/mse', 'three/mae']
        >>> [pick.name for pick in picks(axes, "one-at-a-time")]
        ['base', 'depth-three', 'loss-mae']
    """
    crossed = [axis for axis in axes if axis.crossed or mode == "grid"]
    alone = [axis for axis in axes if axis not in crossed]
    names = [axis.name for axis in crossed]
    for chosen in itertools.product(*(axis.values for axis in crossed)):
        taken = dict(zip(names, chosen, strict=True))
        for moved, word in _one_at_a_time(alone):
            at = {axis.name: (taken | moved)[axis.name] for axis in axes}
            yield Pick(at, "/".join((*chosen, *word)))


def base_of(axes: Sequence[Swept], mode: Mode) -> dict[str, str]:
    """Return the value that each axis stays at while another one moves; of a grid none does."""
    if mode == "grid":
        return {}
    return {axis.name: axis.values[0] for axis in axes if not axis.crossed}


def _one_at_a_time(axes: Sequence[Swept]) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    base = {axis.name: axis.values[0] for axis in axes}
    yield base, ((BASE,) if axes else ())
    for axis in axes:
        for value in axis.values[1:]:
            yield base | {axis.name: value}, (f"{axis.name}-{value}",)
