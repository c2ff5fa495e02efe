"""Threshold-free metrics: one sort per method, then everything is sums over steps of equal score.

A step is all flows of one score, so ties are honest: half credit in the AUROC, one point of the
precision-recall curve, and no threshold inside a step: a 0/1 rule has TPR 0 below its own FPR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError

Counts = NDArray[np.int64]


class Figure(NamedTuple):
    """A number, or None and the reason why there is none. Never NaN."""

    value: float | None
    reason: str = ""


class BestF1(NamedTuple):
    """The best a cut could do if it were chosen on the labels it is judged by."""

    cut: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Ranking:
    """Flows from the most to the least anomalous, in steps of equal score.

    Shapes:
        score: float64 [steps], distinct, falling
        attacks, benign: int64 [steps], flows at each step
        order: int64 [flows], row numbers from the highest score to the lowest
        ptr: int64 [steps + 1], where each step begins in `order`
    """

    score: NDArray[np.float64]
    attacks: Counts
    benign: Counts
    order: NDArray[np.int64]
    ptr: NDArray[np.int64]

    @staticmethod
    def of(score: NDArray[np.float64], is_attack: NDArray[np.bool_]) -> Ranking:
        """Sort once.

        Shapes:
            score: float64 [flows], finite; is_attack: bool [flows]

        Raises:
            ContractError: Lengths that disagree, a score that is not finite.

        Example:
            >>> Ranking.of(np.array([1.0, 2.0, 1.0]), np.array([True, True, False])).attacks
            array([1, 1])
        """
        if len(score) != len(is_attack):
            msg = f"{len(score):,} scores stand beside {len(is_attack):,} labels."
            raise ContractError(msg, do="One flow in, one score out.")
        if not np.isfinite(score).all():
            msg = f"{int((~np.isfinite(score)).sum()):,} scores are not finite."
            raise ContractError(msg, do="A scorer must rank every flow.")
        order = np.argsort(score)[::-1]
        ranked = score[order]
        begins = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
        ptr = np.concatenate([[0], begins, [len(score)]]) if len(score) else np.zeros(1, np.int64)
        attacks_before = np.concatenate([[0], np.cumsum(is_attack[order], dtype=np.int64)])
        attacks = np.diff(attacks_before[ptr])
        return Ranking(ranked[ptr[:-1]], attacks, np.diff(ptr) - attacks, order, ptr)

    def one_class(self) -> str:
        """Say which class is missing, or nothing where both are there."""
        return one_class(int(self.attacks.sum()), int(self.benign.sum()))

    def spread(self, per_step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give each flow the value of its step, float64 [steps] -> [flows]."""
        values = np.empty(len(self.order), np.float64)
        values[self.order] = np.repeat(per_step, np.diff(self.ptr))
        return values

    def coarse_ptr(self) -> NDArray[np.int64]:
        """Return `ptr` without the cuts between two steps that hold no attack.

        Where no attack lies between two cuts, AUROC, average precision and TPR at an FPR cannot
        tell them apart, whatever the flows weigh; so resampling needs about two steps per attack.
        """
        idle = self.attacks == 0
        keep = np.ones(len(self.ptr), np.bool_)
        keep[1:-1] = ~(idle[1:] & idle[:-1])
        return self.ptr[keep]


def one_class(attacks: int, benign: int) -> str:
    """Say which class is missing, or return an empty string.

    Example:
        >>> one_class(0, 5)
        'no attack among the known flows'
    """
    if attacks and benign:
        return ""
    if not attacks and not benign:
        return "no flow with a known label"
    return f"no {'benign flow' if attacks else 'attack'} among the known flows"


def auroc(ranking: Ranking) -> Figure:
    """Return the area under the ROC curve: how often attacks outrank benign flows, ties half."""
    if reason := ranking.one_class():
        return Figure(None, reason)
    return Figure(area(Steps.of(ranking)))


def auprc(ranking: Ranking) -> Figure:
    """Return the average precision of the attack class; its base rate is the prevalence."""
    if reason := ranking.one_class():
        return Figure(None, reason)
    return Figure(average_precision(Steps.of(ranking)))


def tpr_at_fpr(ranking: Ranking, limit: float) -> Figure:
    """Return the highest TPR of a real threshold whose FPR is at most `limit`, a share."""
    if reason := ranking.one_class():
        return Figure(None, reason)
    return Figure(reach(Steps.of(ranking), limit))


class Steps(NamedTuple):
    """Flows at steps of falling score, and how many came up to each; both classes occur.

    Shapes:
        attacks, true, false: int64 [steps]: attacks at a step; attacks, and benign flows, up to it
    """

    attacks: Counts
    true: Counts
    false: Counts

    @staticmethod
    def of(ranking: Ranking) -> Steps:
        """Add up a ranking's own steps."""
        return Steps(ranking.attacks, np.cumsum(ranking.attacks), np.cumsum(ranking.benign))


def area(steps: Steps) -> float:
    """AUROC of steps.

    Twice the count of won comparisons is an exact integer for up to 2^31 flows of each class. A
    step of `a` attacks wins as many against the benign flows below it, and half as many against its
    own, which lie between the benign flows up to the step before and up to this one.
    """
    attacks, total_attacks, total_benign = steps.attacks, int(steps.true[-1]), int(steps.false[-1])
    lost_twice = int(np.dot(attacks, steps.false)) + int(np.dot(attacks[1:], steps.false[:-1]))
    won_twice = 2 * total_attacks * total_benign - lost_twice
    return won_twice / (2 * total_attacks * total_benign)


def average_precision(steps: Steps) -> float:
    """Average precision of steps: precision after each step, weighted by its attacks."""
    rows = np.flatnonzero(steps.attacks)
    true, false = steps.true[rows], steps.false[rows]
    return float((steps.attacks[rows] * (true / (true + false))).sum() / true[-1])


def reach(steps: Steps, limit: float) -> float:
    """TPR at an FPR limit of steps: after how many of them is the limit still kept?"""
    # The allowance absorbs the rounding of limit * flows, so that 1 of 1,000 keeps a limit of .001.
    most = limit * int(steps.false[-1]) + 1e-9
    kept = int(np.searchsorted(steps.false, most, side="right"))
    return int(steps.true[kept - 1]) / int(steps.true[-1]) if kept else 0.0


def best_f1(ranking: Ranking) -> tuple[BestF1 | None, str]:
    """Return the cut of the highest F1 on these very labels, an oracle, or None with the reason.

    Scores strictly above `cut` are alerts, so the cut is the next lower score.
    """
    if reason := ranking.one_class():
        return None, reason
    true, alerts = np.cumsum(ranking.attacks), ranking.ptr[1:]
    attacks = int(true[-1])
    f1 = 2 * true / (alerts + attacks)
    step = int(np.argmax(f1))
    last = step + 1 == len(ranking.score)
    cut = np.nextafter(ranking.score[step], -np.inf) if last else ranking.score[step + 1]
    precision, recall = float(true[step] / alerts[step]), float(true[step] / attacks)
    return BestF1(float(cut), float(f1[step]), precision, recall), ""
