"""Metrics at a cut, per attack class and within host pairs. Pure functions over arrays.

An undefined figure is None with its reason, never NaN. The positive class is the attack class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.cuts import Cuts, at
from netvigil.evaluation.clusters import rand_of
from netvigil.evaluation.ranking import Figure, Ranking, one_class

FPR_LIMITS = (0.001, 0.005, 0.01, 0.05)
"""False positive rates at which the TPR is stated, as shares."""


@dataclass(frozen=True)
class Confusion:
    """Known flows by truth and decision; an alert on an attack is a true positive."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @staticmethod
    def at(score: NDArray[np.float64], is_attack: NDArray[np.bool_], cut: Cuts) -> Confusion:
        """Count decisions; scores strictly above the cut are alerts.

        Shapes:
            score: float64 [flows]; is_attack: bool [flows], of known flows only
            cut: one for all, or float64 [flows]
        """
        alert = score > cut
        true = int(np.count_nonzero(alert & is_attack))
        false = int(np.count_nonzero(alert)) - true
        attacks = int(np.count_nonzero(is_attack))
        return Confusion(true, false, attacks - true, len(score) - attacks - false)

    @property
    def attacks(self) -> int:
        """Known attack flows."""
        return self.true_positives + self.false_negatives

    @property
    def benign(self) -> int:
        """Known benign flows."""
        return self.false_positives + self.true_negatives

    def precision(self) -> Figure:
        """Share of alerts that are attacks."""
        alerts = self.true_positives + self.false_positives
        if not alerts:
            return Figure(None, "no alert at this cut")
        return Figure(self.true_positives / alerts)

    def recall(self) -> Figure:
        """Share of attacks that raise an alert (TPR)."""
        if not self.attacks:
            return Figure(None, one_class(0, self.benign))
        return Figure(self.true_positives / self.attacks)

    def fpr(self) -> Figure:
        """Share of benign flows that raise an alert."""
        if not self.benign:
            return Figure(None, one_class(self.attacks, 0))
        return Figure(self.false_positives / self.benign)

    def f1(self) -> Figure:
        """F1 of the attack class; 0 where attacks exist and none is found."""
        if not self.attacks:
            return Figure(None, one_class(0, self.benign))
        errors = self.false_positives + self.false_negatives
        return Figure(2 * self.true_positives / (2 * self.true_positives + errors))

    def macro_f1(self) -> Figure:
        """Mean F1 of the attack and the benign class; compares only at equal prevalence."""
        if reason := one_class(self.attacks, self.benign):
            return Figure(None, reason)
        errors = self.false_positives + self.false_negatives
        benign = 2 * self.true_negatives / (2 * self.true_negatives + errors)
        attack = 2 * self.true_positives / (2 * self.true_positives + errors)
        return Figure((attack + benign) / 2)

    def mcc(self) -> Figure:
        """Matthews correlation; 0 where all flows get one decision (its limit, and convention)."""
        if reason := one_class(self.attacks, self.benign):
            return Figure(None, reason)
        tp, fp = self.true_positives, self.false_positives
        fn, tn = self.false_negatives, self.true_negatives
        # Integers of Python: the product of four sums of a million flows overflows 64 bits.
        scale = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return Figure((tp * tn - fp * fn) / math.sqrt(scale) if scale else 0.0)

    def ari(self) -> Figure:
        """Adjusted Rand index of alert and no alert against attack and benign."""
        if reason := one_class(self.attacks, self.benign):
            return Figure(None, reason)
        tp, fp = self.true_positives, self.false_positives
        fn, tn = self.false_negatives, self.true_negatives
        return Figure(rand_of([tp, fp, fn, tn], [tp + fp, fn + tn], [tp + fn, fp + tn]))

    def ppv(self, prevalence: float) -> Figure:
        """Share of alerts that would be attacks at another prevalence, from this TPR and FPR.

        Example:
            >>> round(Confusion(100, 1000, 0, 99000).ppv(1e-5).value, 6)
            0.000999
        """
        tpr, fpr = self.recall(), self.fpr()
        if tpr.value is None or fpr.value is None:
            return Figure(None, tpr.reason or fpr.reason)
        true, false = tpr.value * prevalence, fpr.value * (1 - prevalence)
        if true + false == 0:
            return Figure(None, "no alert at this cut")
        return Figure(true / (true + false))


class AttackFigures(NamedTuple):
    """One attack class against all benign flows."""

    attack: str
    support: int
    recall: Figure
    auroc: Figure


class WithinPair(NamedTuple):
    """AUROC over comparisons of an attack and a benign flow of the same host pair.

    A method whose score depends on the pair alone has .5 here, whatever its AUROC. `pairs` and
    `flows` count the host pairs that have both classes, `comparisons` what the figure rests on.
    """

    value: float | None
    reason: str
    pairs: int
    flows: int
    comparisons: int


def per_attack(
    ranking: Ranking,
    *,
    score: NDArray[np.float64],
    is_attack: NDArray[np.bool_],
    attack: NDArray[np.str_],
    cut: Cuts | None,
) -> tuple[AttackFigures, ...]:
    """Return support, recall at the cut and AUROC of each attack class, the largest class first.

    Shapes:
        score: float64 [flows]; is_attack: bool [flows]; attack: str [flows], read where an attack
        ranking: of the same flows
    """
    rows = np.flatnonzero(is_attack)
    if not len(rows):
        return ()
    names, codes = _encode(attack[rows])
    support = np.bincount(codes, minlength=len(names))
    found = np.bincount(codes, weights=score[rows] > at(cut, rows)) if cut is not None else None
    benign = int(ranking.benign.sum())
    below = benign - np.cumsum(ranking.benign) + ranking.benign / 2
    won = np.bincount(codes, weights=ranking.spread(below)[rows])
    no_cut, no_benign = Figure(None, "no cut"), Figure(None, one_class(len(rows), 0))
    return tuple(
        AttackFigures(
            attack=names[code],
            support=int(support[code]),
            recall=no_cut if found is None else Figure(float(found[code] / support[code])),
            auroc=Figure(float(won[code] / (support[code] * benign))) if benign else no_benign,
        )
        for code in sorted(range(len(names)), key=lambda code: (-support[code], names[code]))
    )


def within_pair(
    ranking: Ranking, *, is_attack: NDArray[np.bool_], pair: NDArray[np.uint64]
) -> WithinPair:
    """Return the AUROC restricted to comparisons inside one host pair, pooled over all comparisons.

    Shapes:
        is_attack: bool [flows]; pair: uint64 [flows], see `netvigil.addresses.combine`
    """
    # Only pairs of an attack can have both classes: a look-up among those, not a sort of all.
    suspects, counts = np.unique(pair[is_attack], return_counts=True)
    none = WithinPair(None, "no host pair has both attack and benign flows", 0, 0, 0)
    if not len(suspects):
        return none
    group = np.minimum(np.searchsorted(suspects, pair), len(suspects) - 1)
    group[suspects[group] != pair] = len(suspects)
    sizes = np.bincount(group, minlength=len(suspects) + 1)[:-1]
    both = np.append(sizes > counts, False)  # the last group holds the flows of all other pairs
    rows = np.flatnonzero(both[group])
    if not len(rows):
        return none
    step = np.empty(len(pair), np.int64)
    step[ranking.order] = np.repeat(np.arange(len(ranking.score)), np.diff(ranking.ptr))
    won_twice = _won_twice(
        group[rows] * len(ranking.score) + step[rows], group[rows], is_attack[rows]
    )
    comparisons = int((counts * (sizes - counts)).sum())
    value = won_twice / (2 * comparisons)
    return WithinPair(value, "", int(both.sum()), len(rows), comparisons)


def alerts_per_hour(alerts: int, seconds: float | None) -> Figure:
    """Return the rate of alerts over a range of the clock."""
    if seconds is None or seconds <= 0:
        return Figure(None, "the flows have no clock, or all start at once")
    return Figure(alerts * 3600 / seconds)


def _won_twice(
    cell: NDArray[np.int64], group: NDArray[np.int64], is_attack: NDArray[np.bool_]
) -> int:
    """Count twice the won comparisons; `cell` orders flows by group, then by falling score."""
    order = np.argsort(cell)
    cell, group, truth = cell[order], group[order], is_attack[order]
    ptr = np.concatenate([[0], np.flatnonzero(np.diff(cell)) + 1, [len(cell)]])
    attacks_before = np.concatenate([[0], np.cumsum(truth, dtype=np.int64)])
    attacks = np.diff(attacks_before[ptr])
    benign = np.diff(ptr) - attacks
    above = np.cumsum(benign)
    # Benign flows counted up to the end of each step's own group.
    group = group[ptr[:-1]]
    last = np.searchsorted(group, group, side="right") - 1
    return int((attacks * (2 * (above[last] - above) + benign)).sum())


def _encode(names: NDArray[np.str_]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct names and each row's number among them; hashing, not sorting."""
    encoded = pa.array(names).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
