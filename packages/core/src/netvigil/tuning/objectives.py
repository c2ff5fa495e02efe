"""What a trial is judged by: two objectives that read no label, and one that does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netvigil.config import Objective
from netvigil.errors import RunError
from netvigil.evaluation.ranking import Ranking, auprc

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Goal:
    """One objective: what it can judge (`sections`), why not more, and whether it reads labels."""

    name: Objective
    direction: Direction
    sections: tuple[str, ...]
    words: str
    why: str
    labels: bool = False

    def better(self, value: float) -> float:
        """Return a number that is lower for better trials."""
        return value if self.direction == "minimize" else -value


GOALS: dict[Objective, Goal] = {
    "validation-loss": Goal(
        name="validation-loss",
        direction="minimize",
        sections=("encoder",),
        words="lowest loss of the encoder on train windows held out from it, mean over seeds",
        why="It is a loss of the encoder alone, before any scorer or threshold.",
    ),
    "seed-agreement": Goal(
        name="seed-agreement",
        direction="maximize",
        sections=("encoder", "scorer"),
        words="rank correlation (Spearman) of calibration scores between seeds, mean over pairs",
        why="It ranks calibration flows, which no threshold changes.",
    ),
    "validation-auprc": Goal(
        name="validation-auprc",
        direction="maximize",
        sections=("encoder", "scorer"),
        words="AUPRC on the labelled flows of the calibration part, mean over seeds",
        why="It ranks calibration flows, which no threshold changes.",
        labels=True,
    ),
}
"""A loss can be compared between settings that leave the loss itself as it is: not between two
kinds of loss, or two weights of its terms. The other two can be compared always."""


@dataclass(frozen=True)
class Truth:
    """Labels of the calibration part, for the one objective that reads them.

    Shapes:
        is_attack, known: bool [flows of the calibration part]
    """

    is_attack: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def ranking(self, score: NDArray[np.float64]) -> Ranking:
        """Rank the labelled flows by their scores, float64 [flows]."""
        return Ranking.of(score[self.known], self.is_attack[self.known])


def agreement(scores: Sequence[NDArray[np.float64]]) -> list[float]:
    """Return Spearman's rank correlation of each pair of seeds; equal scores share their rank.

    Shapes:
        scores: float64 [flows] per seed

    Raises:
        RunError: A seed gives every flow one score, or all seeds give the very same scores: then
            nothing in the pipeline is random, and agreement says nothing.

    Example:
        >>> [round(r, 3) for r in agreement([np.array([1.0, 2, 3]), np.array([0.1, 9, 5])])]
        [0.5]
    """
    ranked = [_standard_ranks(score) for score in scores]
    if all(np.array_equal(score, scores[0]) for score in scores[1:]):
        msg = "Every seed gives the very same scores, so agreement between seeds says nothing."
        raise RunError(msg, do="Choose objective 'validation-loss' or 'validation-auprc'.")
    return [float(a @ b) for a, b in itertools.combinations(ranked, 2)]


def average_precision(score: NDArray[np.float64], truth: Truth) -> float:
    """Return the AUPRC of the labelled flows.

    Raises:
        RunError: They are all of one class.
    """
    figure = auprc(truth.ranking(score))
    if figure.value is None:
        msg = f"AUPRC is undefined on the calibration part: {figure.reason}."
        raise RunError(msg, do="Choose objective 'validation-loss' or 'seed-agreement'.")
    return figure.value


def _standard_ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks with mean 0 and length 1, so that a product of two is their correlation."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    if len(count) < 2:
        msg = "A seed gives every calibration flow the same score, so there are no ranks."
        raise RunError(msg)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    rank = rank - rank.mean()
    standard: NDArray[np.float64] = rank / np.linalg.norm(rank)
    return standard
