"""`Explanation`: what a flow's score rests on, piece by piece, and whether those pieces matter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError

Kind = Literal["feature", "rest", "host", "pair", "flow"]


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Contribution:
    """One thing that raised a flow's score by `amount`, or lowered it where that is below zero.

    A `feature` is named; `rest` stands for all features that were not told apart. Of the flows
    around the one explained, `rows` says which: all others of one `host` of its, those of a `pair`
    of hosts, or a single `flow`.

    Shapes:
        rows: int64 [flows], rows of the windows that were explained; empty for features

    Raises:
        ContractError: An amount that is not finite; a feature without a name; flows without rows.
    """

    kind: Kind
    amount: float
    name: str = ""
    rows: NDArray[np.int64] = field(default_factory=_none)

    def __post_init__(self) -> None:
        if not math.isfinite(self.amount):
            msg = f"The contribution of '{self.name or self.kind}' is {self.amount}."
            raise ContractError(msg, do="An explainer gives finite amounts.")
        if (self.kind == "feature") != bool(self.name):
            msg = "A contribution has a name if it is a feature's, and only then."
            raise ContractError(msg)
        if (self.kind in {"host", "pair", "flow"}) != bool(len(self.rows)):
            msg = "A contribution has rows if flows made it, and only then."
            raise ContractError(msg)


@dataclass(frozen=True)
class Faithfulness:
    """How far the score falls without what an explanation names, and without as much at random.

    `things` were taken away together; `random` is the mean fall over `draws` seeded choices of as
    many out of `pool`.
    """

    named: float
    random: float
    things: int
    draws: int
    pool: str

    @property
    def difference(self) -> float:
        """How much more the named things matter than random ones; about 0 says: not at all."""
        return self.named - self.random


@dataclass(frozen=True)
class Explanation:
    """The contributions to one flow's score, the largest first, in the explainer's unit.

    `faithfulness` is None where there was nothing to check; `remarks` are sentences on what was
    left out to stay quick.

    Raises:
        ContractError: Contributions out of order.
    """

    contributions: tuple[Contribution, ...]
    faithfulness: Faithfulness | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        amounts = [each.amount for each in self.contributions]
        if amounts != sorted(amounts, reverse=True):
            msg = "The contributions of an explanation are not in order."
            raise ContractError(msg, do="List them by amount, the largest first.")
