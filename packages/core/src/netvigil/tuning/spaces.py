"""Search spaces: lists and ranges of settings, by their path in the experiment file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from netvigil import parts
from netvigil.checking import checked
from netvigil.config import Section, Tune
from netvigil.errors import ConfigError, nearest
from netvigil.tuning.objectives import Goal

Point = dict[str, Any]
"""`section.key` -> value."""

SECTIONS = ("encoder", "scorer", "threshold")
"""What a space may vary; everything else is prepared once for all trials."""

_PREPARED = "flows, labels, split, train, features and graph are prepared once for all trials."


class Range(Section):
    """A range of numbers: `{low = 1e-4, high = 1e-2, log = true}`, `{low = 1, high = 8}`.

    It holds whole numbers where both ends are whole, or where `int = true` says so; `step` counts
    from `low`, and `log` takes no step.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(None, gt=0)
    int_: bool | None = Field(None, alias="int")

    @model_validator(mode="after")
    def _check(self) -> Range:
        ends = (self.low, self.high)
        if not all(map(math.isfinite, ends)) or self.low >= self.high:
            msg = "low must be less than high, and both finite"
            raise ValueError(msg)
        if self.log and (self.low <= 0 or self.step is not None):
            msg = "log needs a low above 0, and no step"
            raise ValueError(msg)
        if self.whole and not all(float(v).is_integer() for v in (*ends, self.step or 1)):
            msg = "a range of whole numbers needs whole ends and a whole step"
            raise ValueError(msg)
        return self

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers only."""
        if self.int_ is None:
            return all(isinstance(v, int) for v in (self.low, self.high, self.step or 1))
        return self.int_

    @property
    def top(self) -> float:
        """The highest value that the steps reach."""
        if self.step is None:
            return self.high
        steps = math.floor((self.high - self.low) / self.step + 1e-9)  # 1e-9 absorbs rounding
        return self.low + steps * self.step


@dataclass(frozen=True)
class Axis:
    """One setting that is varied: by a list of JSON values, or over a range."""

    key: str
    values: tuple[Any, ...] = ()
    range: Range | None = None

    def describe(self) -> Any:
        """Return it as an experiment file would write it."""
        if self.range is None:
            return list(self.values)
        return self.range.model_dump(mode="json", by_alias=True, exclude_unset=True)


@dataclass(frozen=True)
class Space:
    """What is searched. `idle` are keys that were left out, as the objective cannot judge them."""

    name: str
    axes: tuple[Axis, ...]
    idle: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """Number of points, or None where a range makes them countless."""
        if any(axis.range is not None for axis in self.axes):
            return None
        return math.prod(len(axis.values) for axis in self.axes)

    def point(self, number: int) -> Point:
        """Return one point by its number, the last axis counting fastest; for lists only.

        Example:
            >>> space = Space("s", (Axis("encoder.a", (1, 2)), Axis("encoder.b", (3, 4, 5))))
            >>> space.point(4)
            {'encoder.a': 2, 'encoder.b': 4}
        """
        shape = [len(axis.values) for axis in self.axes]
        places = np.unravel_index(number, shape)
        return {a.key: a.values[int(p)] for a, p in zip(self.axes, places, strict=True)}

    def examples(self, most: int) -> Iterator[Point]:
        """Yield all points of a small space, or that many drawn ones, ranges by their ends."""
        if self.size is not None and self.size <= most:
            yield from map(self.point, range(self.size))
            return
        rng = np.random.default_rng(0)
        ends = {
            axis.key: axis.values if axis.range is None else (axis.range.low, axis.range.top)
            for axis in self.axes
        }
        for _ in range(most):
            yield {key: values[int(rng.integers(len(values)))] for key, values in ends.items()}

    def describe(self) -> dict[str, Any]:
        """Return the axes as an experiment file would write them."""
        return {axis.key: axis.describe() for axis in self.axes}


def resolve_space(settings: Tune, encoder: parts.Encoder, goal: Goal) -> Space:
    """Return the space that `[tune]` names or writes, without what `goal` cannot judge.

    Raises:
        ConfigError: No such space, an axis that is no list or range, a setting that a trial cannot
            vary, a space that `goal` cannot judge at all, a grid over a range.
    """
    name, table = _table(settings, encoder)
    where = f"[tune] space '{name}'" if isinstance(settings.space, str) else "[tune.space]"
    axes = [_axis(key, value, where) for key, value in _flat(table)]
    inside = [(a.key, b.key) for a in axes for b in axes if b.key.startswith(f"{a.key}.")]
    if inside:
        msg = f"'{inside[0][1]}' lies inside '{inside[0][0]}', which is varied as a whole."
        raise ConfigError(msg, where=where, do="Vary one of the two.")
    judged = tuple(axis for axis in axes if axis.key.partition(".")[0] in goal.sections)
    idle = tuple(axis.key for axis in axes if axis not in judged)
    if not judged:
        what = f"Objective '{goal.name}' cannot judge {', '.join(idle) or 'an empty space'}."
        do = f"{goal.why} Vary settings of {_sections(goal.sections)}, or choose another objective."
        raise ConfigError(what, where=where, do=do)
    space = Space(name, judged, idle)
    if settings.sampler == "grid" and space.size is None:
        ranges = ", ".join(axis.key for axis in judged if axis.range is not None)
        msg = f"A grid cannot visit every point of a range: {ranges}."
        raise ConfigError(msg, where=where, do="List values, or set tune.sampler = 'tpe'.")
    return space


def trials_of(settings: Tune, space: Space) -> int:
    """Return how many trials there will be: as many as asked for, or one per point.

    Raises:
        ConfigError: A range in the space, and no number of trials.
    """
    size = space.size
    if size is not None:
        grid = settings.sampler == "grid"
        return size if settings.trials is None else min(settings.trials, size if grid else 10**9)
    if settings.trials is None:
        msg = "A space with ranges has no last point."
        raise ConfigError(msg, where="[tune]", do="Say how many trials: --trials 50.")
    return settings.trials


def _table(settings: Tune, encoder: parts.Encoder) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(settings.space, str):
        return "table", settings.space
    if settings.space in encoder.spaces:
        return settings.space, encoder.spaces[settings.space]
    known = list(encoder.spaces)
    msg = f"Encoder '{encoder.name}' publishes no search space '{settings.space}'."
    where = f"Its spaces: {', '.join(known) or 'none'}."
    do = nearest(settings.space, known) or "Write one: a table [tune.space] in the experiment file."
    raise ConfigError(msg, where=where, do=do)


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `section.key` and its values; TOML nests keys that were written without quotes."""
    for key, value in table.items():
        if isinstance(value, Mapping) and not {"low", "high"} & set(value):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _axis(key: str, value: Any, where: str) -> Axis:
    section, _, rest = key.partition(".")
    if section not in SECTIONS or not all(rest.split(".")):
        msg = f"A trial cannot vary '{key}'."
        do = nearest(section, SECTIONS) if section not in SECTIONS else ""
        raise ConfigError(msg, where=where, do=f"{do} {_why_not(section)}".strip())
    if isinstance(value, Mapping):
        return Axis(key, range=checked(Range, value, where=f"{where}, {key}"))
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        msg = f"'{key}' needs a list of values or a range {{low = ..., high = ...}}."
        raise ConfigError(msg, where=where, do=f"Found: {value!r}.")
    return Axis(key, _distinct(key, value, where))


def _distinct(key: str, values: Sequence[Any], where: str) -> tuple[Any, ...]:
    """Check that each value is one that TOML can say, and stands there once."""
    try:
        texts = [json.dumps(value, allow_nan=False) for value in values]
    except (TypeError, ValueError) as error:
        msg = f"'{key}' lists a value that JSON cannot say: {error}."
        raise ConfigError(msg, where=where) from error
    if len(set(texts)) < len(texts):
        msg = f"'{key}' lists a value twice: {', '.join(texts)}."
        raise ConfigError(msg, where=where)
    if "null" in texts:
        msg = f"'{key}' lists null, which an experiment file cannot say."
        raise ConfigError(msg, where=where, do="Leave the key out, or give the value null means.")
    return tuple(values)


def _why_not(section: str) -> str:
    if section in {"flows", "labels", "split", "train", "features", "graph"}:
        return f"{_PREPARED} Tune one experiment file per value instead."
    return f"Settings of {_sections(SECTIONS)} can be varied: write 'encoder.layers'."


def _sections(names: Sequence[str]) -> str:
    return " and ".join(f"[{name}]" for name in names)
