"""Rules of one line that flag a graph when a weight is too large; learnt without its truth.

`FlattenedMean` is the notebook's: it pools the weights of all edges, so it fails where edges differ
in scale. The two rules per edge do not. All give one flag per graph, however many edges exceed.
They look for large weights: a node that falls silent is none of their business, as the table shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import NotFittedError
from netvigil_tabular.weights.generate import NORMAL, TrafficWeights

NORMAL_MAD = 1.4826
"""Standard deviations in one median absolute deviation of a normal distribution."""


class Rule(Protocol):
    """A cut for each edge, learnt without labels."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def fit(self, x: NDArray[np.float64]) -> Self:
        """Learn from weights, [graphs, edges]."""
        ...

    def flag(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which graphs are anomalous, bool [graphs]."""
        ...


@dataclass
class FlattenedMean:
    """Above the mean of all weights by some deviations of all weights: one cut for every edge."""

    deviations: float = 2.0
    cut_: float | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"mean + {self.deviations:g} sd of all weights"

    def fit(self, x: NDArray[np.float64]) -> Self:
        """Learn the cut from weights, [graphs, edges]."""
        self.cut_ = float(x.mean() + self.deviations * x.std())
        return self

    def flag(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Flag each graph once, bool [graphs]."""
        return _above(x, self.cut_, self.name)


@dataclass
class PerEdgeQuantile:
    """Above the quantile of the edge's own weights that a share `keep` of them exceeds."""

    keep: float = 0.05
    cut_: NDArray[np.float64] | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"largest {self.keep:.1%} of each edge"

    def fit(self, x: NDArray[np.float64]) -> Self:
        """Learn a cut for each edge from weights, [graphs, edges]."""
        self.cut_ = np.quantile(x, 1 - self.keep, axis=0)
        return self

    def flag(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Flag each graph once, bool [graphs]."""
        return _above(x, self.cut_, self.name)


@dataclass
class PerEdgeRobust:
    """Above the edge's median by some deviations, taken from its median absolute deviation.

    Two of them, not the usual three: the notebook's weights stop at one deviation above their
    middle, and its anomalies begin at 2.75.
    """

    deviations: float = 2.0
    cut_: NDArray[np.float64] | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"median + {self.deviations:g} MAD of each edge"

    def fit(self, x: NDArray[np.float64]) -> Self:
        """Learn a cut for each edge from weights, [graphs, edges]."""
        middle = np.median(x, axis=0)
        away = np.median(np.abs(x - middle), axis=0)
        self.cut_ = middle + self.deviations * NORMAL_MAD * away
        return self

    def flag(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Flag each graph once, bool [graphs]."""
        return _above(x, self.cut_, self.name)


@dataclass(frozen=True)
class KindFound:
    """One kind of anomaly in the judged part.

    `precision` counts the kind's own flags against them and the false ones; None without flags.
    """

    kind: str
    graphs: int
    recall: float
    precision: float | None


@dataclass(frozen=True)
class Verdict:
    """What a rule found; precision is None where it flagged nothing, recall where nothing was."""

    rule: str
    flagged: int
    precision: float | None
    recall: float | None
    kinds: tuple[KindFound, ...]


def judge(rules: Sequence[Rule], train: TrafficWeights, test: TrafficWeights) -> list[Verdict]:
    """Fit each rule on one part, without its truth, and judge what it flags in another part."""
    return [_verdict(rule.name, rule.fit(train.x).flag(test.x), test) for rule in rules]


def usual_rules(keep: float = 0.05) -> tuple[Rule, ...]:
    """Return the notebook's rule and the two that look at each edge alone."""
    return FlattenedMean(), PerEdgeQuantile(keep), PerEdgeRobust()


def _verdict(name: str, flags: NDArray[np.bool_], test: TrafficWeights) -> Verdict:
    false = int((flags & ~test.y).sum())
    kinds = []
    for kind in sorted({*test.kind.tolist()} - {NORMAL}):
        rows = test.kind == kind
        found = int((flags & rows).sum())
        many = int(rows.sum())
        kinds.append(KindFound(kind, many, found / many, _ratio(found, found + false)))
    true = int((flags & test.y).sum())
    return Verdict(
        rule=name,
        flagged=int(flags.sum()),
        precision=_ratio(true, true + false),
        recall=_ratio(true, int(test.y.sum())),
        kinds=tuple(kinds),
    )


def _above(
    x: NDArray[np.float64], cut: float | NDArray[np.float64] | None, name: str
) -> NDArray[np.bool_]:
    if cut is None:
        msg = f"The rule '{name}' was used before it was fitted."
        raise NotFittedError(msg, do="Fit it on other graphs first.")
    flags: NDArray[np.bool_] = np.any(x > cut, axis=1)
    return flags


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
