"""How well a classifier names classes: confusion, per-class figures, and honest probabilities.

A class that the test part has and the training had not can never be named. Its flows stay: they
count as errors in every figure, under their own name. Pure functions over arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import AlignedLabels
from netvigil.errors import ContractError
from netvigil.evaluation.ranking import Figure

BENIGN, UNNAMED = "benign", "attack"
BINS = 15
"""Equal bins of confidence for the calibration error, as in Guo et al. (ICML 2017)."""
LEAST = 1e-7
"""What a probability counts as at least in the log loss: about the resolution of float32."""


@dataclass(frozen=True)
class ClassShares:
    """How probable a classifier calls each class.

    `binary` says that it was taught attack and benign alone.

    Shapes:
        share: float32 [flows, classes], rows add up to 1
    """

    names: tuple[str, ...]
    share: NDArray[np.float32]
    binary: bool = False

    def __post_init__(self) -> None:
        if self.share.ndim != 2 or self.share.shape[1] != len(self.names):
            msg = f"{len(self.names)} classes need as many columns, not {self.share.shape}."
            raise ContractError(msg)

    def take(self, rows: NDArray[np.int64]) -> ClassShares:
        """Return the flows at these row numbers."""
        return ClassShares(self.names, self.share[rows], self.binary)


@dataclass(frozen=True)
class ClassFigures:
    """What a classifier did on the known test flows.

    `names` are the classes it was taught, then those that only the test part has.

    Shapes:
        confusion: int64 [names, taught], flows by their class and by the class they were taken for
    """

    names: tuple[str, ...]
    taught: int
    confusion: NDArray[np.int64]
    log_loss: Figure
    brier: Figure
    ece: Figure

    @property
    def support(self) -> NDArray[np.int64]:
        """Test flows of each class, int64 [names]."""
        support: NDArray[np.int64] = self.confusion.sum(axis=1)
        return support

    @property
    def unseen(self) -> int:
        """Test flows of classes that the training had not."""
        return int(self.support[self.taught :].sum())

    def recall(self, place: int) -> Figure:
        """Share of the class's flows that were called by its name."""
        if not self.support[place]:
            return Figure(None, NO_FLOW)
        return Figure(float(self._right(place) / self.support[place]))

    def precision(self, place: int) -> Figure:
        """Share of the flows called by its name that are of the class."""
        if not self._named(place):
            return Figure(None, "no flow was taken for this class")
        return Figure(float(self._right(place) / self._named(place)))

    def f1(self, place: int) -> Figure:
        """F1 of one class: 0 where it exists and is never found."""
        both = int(self.support[place]) + self._named(place)
        if not both:
            return Figure(None, NO_FLOW)
        return Figure(2 * self._right(place) / both)

    def accuracy(self) -> Figure:
        """Share of flows called by the name of their class."""
        flows = int(self.confusion.sum())
        right = sum(self._right(place) for place in range(self.taught))
        return Figure(right / flows) if flows else Figure(None, NO_KNOWN)

    def balanced_accuracy(self) -> Figure:
        """Mean recall of the classes that the test part has, those never taught included."""
        return _mean([self.recall(place) for place in range(len(self.names))])

    def class_macro_f1(self) -> Figure:
        """Mean F1 of the classes that the test part has or that a flow was taken for."""
        return _mean([self.f1(place) for place in range(len(self.names))])

    def metrics(self) -> dict[str, Figure]:
        """Return the figures over all classes by name."""
        return {
            "accuracy": self.accuracy(),
            "balanced_accuracy": self.balanced_accuracy(),
            "class_macro_f1": self.class_macro_f1(),
            "log_loss": self.log_loss,
            "brier": self.brier,
            "ece": self.ece,
        }

    def _right(self, place: int) -> int:
        return int(self.confusion[place, place]) if place < self.taught else 0

    def _named(self, place: int) -> int:
        return int(self.confusion[:, place].sum()) if place < self.taught else 0


NO_FLOW = "no test flow is of this class"
NO_KNOWN = "no test flow has a label"


def class_figures(shares: ClassShares, truth: AlignedLabels) -> ClassFigures:
    """Judge a classifier's answer on known flows.

    Shapes:
        truth: of the flows of `shares`, all of them known
    """
    names, code = _coded(shares, truth)
    taught, flows = len(shares.names), len(code)
    taken_for = shares.share.argmax(axis=1) if flows else np.empty(0, np.int64)
    cells = np.bincount(code * taught + taken_for, minlength=len(names) * taught)
    none = Figure(None, NO_KNOWN)
    return ClassFigures(
        names=names,
        taught=taught,
        confusion=cells.reshape(len(names), taught).astype(np.int64),
        log_loss=_log_loss(shares.share, code) if flows else none,
        brier=_brier(shares.share, code) if flows else none,
        ece=_ece(shares.share, taken_for == code) if flows else none,
    )


def _coded(shares: ClassShares, truth: AlignedLabels) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return all classes, the taught ones first, and each flow's place among them."""
    own = np.where(truth.attack == "", UNNAMED, truth.attack)
    if shares.binary:
        own = np.full(len(truth.attack), UNNAMED)
    distinct, place = np.unique(np.where(truth.is_attack, own, BENIGN), return_inverse=True)
    names = list(shares.names)
    names += [name for name in distinct.tolist() if name not in names]
    codes = np.array([names.index(name) for name in distinct.tolist()], np.int64)
    return tuple(names), codes[place] if len(place) else np.empty(0, np.int64)


def _of_truth(share: NDArray[np.float32], code: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how probable each flow's own class was called; 0 for a class that was never taught."""
    taught = code < share.shape[1]
    found = np.zeros(len(code))
    found[taught] = share[taught, code[taught]]
    return found


def _log_loss(share: NDArray[np.float32], code: NDArray[np.int64]) -> Figure:
    """Mean of -log of the probability of the true class, which counts as `LEAST` at least."""
    return Figure(float(-np.log(np.clip(_of_truth(share, code), LEAST, 1)).mean()))


def _brier(share: NDArray[np.float32], code: NDArray[np.int64]) -> Figure:
    """Mean squared distance from probabilities to truth, summed over classes: 0 to 2."""
    own = _of_truth(share, code)
    squares = np.einsum("ij,ij->i", share, share, dtype=np.float64)
    return Figure(float((squares - 2 * own + 1).mean()))


def _ece(share: NDArray[np.float32], right: NDArray[np.bool_]) -> Figure:
    """Mean gap between how sure it was of the class it chose and how often that was right."""
    sure = share.max(axis=1).astype(np.float64)
    place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(place, weights=sure, minlength=BINS)
    gap -= np.bincount(place, weights=right, minlength=BINS)
    return Figure(float(np.abs(gap).sum() / len(sure)))


def _mean(figures: list[Figure]) -> Figure:
    values = [figure.value for figure in figures if figure.value is not None]
    return Figure(float(np.mean(values))) if values else Figure(None, NO_KNOWN)
