"""`Check`: one rule of a contract, with an id for pytest, for any part of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from netvigil.contracts import FlowTable
from netvigil.errors import ConfigError
from netvigil.parts import Part, PartConfig


class RuleBroken(AssertionError):  # noqa: N818 - reads as what happened, like AssertionError itself
    """A part breaks a rule of its contract: which one, what was found, how to mend it."""


@dataclass(frozen=True)
class Given:
    """What a check may be told about a part, where the built-in inputs do not suit it.

    `config` are the part's settings, as its config model or plain values; `source` a file or folder
    in a reader's dialect; `flows` and `inline` what a labeller knows the truth of; `dim` and
    `terms` the width of the embedding and the names of the error terms that a scorer is given;
    `promised` the largest share of the calibration flows that a threshold may flag.
    """

    config: PartConfig | Mapping[str, Any] | None = None
    source: Path | None = None
    flows: FlowTable | None = None
    inline: pa.Table | None = None
    dim: int = 6
    terms: tuple[str, ...] = ("features", "structure", "kl")
    promised: float | None = None


@dataclass(frozen=True)
class Subject:
    """A part under test, its settings, and a way to say that it broke a rule."""

    part: Part[Any]
    given: Given = field(default_factory=Given)

    @property
    def config(self) -> PartConfig:
        """The settings the part is made with."""
        config = self.given.config
        if isinstance(config, PartConfig):
            return config
        try:
            return self.part.config.model_validate(dict(config or {}))
        except ValueError as error:
            msg = f"The settings of {self.name} do not make a config."
            do = "Pass `config=` to the check, with every setting that has no default."
            raise ConfigError(msg, where=str(error), do=do) from error

    @property
    def name(self) -> str:
        """The part, in words."""
        return f"{self.part.kind} '{self.part.name}'"

    def make(self) -> Any:
        """Make a fresh instance, as the runner does."""
        return self.part.make(self.config)

    def require(self, fine: object, rule: str, *, found: str = "", mend: str = "") -> None:
        """Raise `RuleBroken` unless `fine`."""
        if not fine:
            lines = (f"{self.name}: {rule}", found, mend)
            raise RuleBroken("\n".join(line for line in lines if line))


@dataclass(frozen=True)
class Check:
    """One rule. Call it with a part; `id` names it in pytest, `rule` says it in a sentence.

    Example:
        >>> @pytest.mark.parametrize("check", checks_for(PART), ids=str)
        ... def test_part(check):
        ...     check(PART)
    """

    kind: type[Part[Any]]
    id: str
    rule: str
    run: Callable[[Subject], None] = field(repr=False)
    given: Given = field(default_factory=Given, repr=False)

    def __call__(self, part: Part[Any]) -> None:
        """Hold a part to the rule; raises `RuleBroken`."""
        self.run(Subject(part, self.given))

    def __str__(self) -> str:
        return self.id

    def with_given(self, given: Given) -> Check:
        """Return the same rule with other inputs."""
        return replace(self, given=given)


def checks(kind: type[Part[Any]], *rules: Callable[[Subject], None]) -> tuple[Check, ...]:
    """Make checks of functions: the name becomes the id, the docstring's first line the rule."""
    return tuple(
        Check(kind, rule.__name__.replace("_", "-"), (rule.__doc__ or "").splitlines()[0], rule)
        for rule in rules
    )


def run_all(part: Part[Any], some: Sequence[Check]) -> None:
    """Hold a part to every rule and raise one `RuleBroken` that tells all that are broken."""
    broken = []
    for check in some:
        try:
            check(part)
        except RuleBroken as error:
            broken.append(f"[{check}] {error}")
    if broken:
        raise RuleBroken("\n".join(broken))
