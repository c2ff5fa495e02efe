"""Curves and histograms of scores by class, thinned to what a picture can show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.evaluation import Ranking
from netvigil.evidence.tables import BENIGN, UNKNOWN, table
from netvigil.truth import ATTACK
from netvigil.truth import BENIGN as IS_BENIGN
from netvigil.truth import UNKNOWN as IS_UNKNOWN

POINTS = 160  # of a curve: more than the pixels between two ticks
HISTOGRAM_BINS = 60
CLASSES = 9  # attack classes with a histogram of their own; the rest share one


@dataclass(frozen=True)
class TestTruth:
    """What is known about the test flows, in their order.

    Shapes:
        state: int8 [flows], see `netvigil.truth`; attack: int32 [flows], place in `names` or -1
    """

    state: NDArray[np.int8]
    attack: NDArray[np.int32]
    names: tuple[str, ...]

    __test__ = False  # the name begins like a test's

    @property
    def labelled(self) -> bool:
        """Whether any flow has a label."""
        return bool(self.state.any())

    def counts(self) -> dict[str, int]:
        """Return how many flows each class has."""
        words = self.words()
        counted = np.bincount(words.indices.to_numpy(), minlength=len(words.dictionary))
        named = zip(words.dictionary.to_pylist(), counted.tolist(), strict=True)
        return {name: count for name, count in named if count}

    def words(self, rows: NDArray[np.int64] | slice = slice(None)) -> pa.DictionaryArray:
        """Return the class of each flow as text: an attack's name, `benign` or `unknown`."""
        state, attack = self.state[rows], self.attack[rows]
        names = [*self.names, BENIGN, UNKNOWN, "attack"]
        code = np.where(attack >= 0, attack, len(self.names) + 2)
        code = np.where(state == ATTACK, code, len(self.names) + (state == IS_UNKNOWN))
        return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), names)


def curves(
    runs: Iterable[tuple[str, int | None, NDArray[np.float64]]], truth: TestTruth
) -> pa.Table:
    """Return the precision-recall and ROC curves of each method and seed; none without labels.

    Each run is the method, its seed where it has one, and its scores, float64 [flows]. Steps of
    equal score are one point, so nothing lies between the points of a 0/1 rule. The ROC curve is
    straight between its points; precision holds from its recall back to the one before.
    """
    known = truth.state != IS_UNKNOWN
    attack = truth.state[known] == ATTACK
    pieces: list[tuple[str, int | None, str, NDArray[np.float64], NDArray[np.float64]]] = []
    if attack.any() and not attack.all():
        for method, seed, score in runs:
            ranking = Ranking.of(score[known], attack)
            pieces += [(method, seed, *curve) for curve in _curves(ranking)]
    lengths = [len(x) for *_, x, _ in pieces]
    return table(
        "curves",
        method=_repeated([method for method, *_ in pieces], lengths),
        seed=pa.array(np.repeat([p[1] for p in pieces], lengths).tolist(), pa.int64()),
        curve=_repeated([p[2] for p in pieces], lengths),
        x=_joined([p[3] for p in pieces]),
        y=_joined([p[4] for p in pieces]),
    )


def _curves(ranking: Ranking) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    true, false = np.cumsum(ranking.attacks), np.cumsum(ranking.benign)
    recall, fpr = true / true[-1], false / false[-1]
    precision = true / (true + false)
    # Precision at recall 0 is undefined; the first step's own is the usual convention.
    chosen = _thin(recall)
    yield (
        "precision-recall",
        np.append(0.0, recall[chosen]),
        np.append(precision[0], precision[chosen]),
    )
    # Low false-positive rates are what an operator lives at: half of the points by their logarithm.
    low = np.log10(np.maximum(fpr, 1 / false[-1]))
    chosen = np.union1d(_thin(fpr), _thin(low))
    yield "roc", np.append(0.0, fpr[chosen]), np.append(0.0, recall[chosen])


def _thin(rising: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return at most about `POINTS` rows, evenly along a rising axis, first and last included."""
    if len(rising) <= POINTS:
        return np.arange(len(rising))
    wanted = np.linspace(rising[0], rising[-1], POINTS)
    rows = np.unique(np.searchsorted(rising, wanted))
    return np.union1d(np.minimum(rows, len(rising) - 1), [0, len(rising) - 1])


def histogram(score: NDArray[np.float64], truth: TestTruth) -> pa.Table:
    """Count flows by score and class; the bins are even on an inverse hyperbolic sine.

    Scores have no common scale, long tails and either sign: `asinh` of the distance from the
    median, in units of the spread between the 10th and the 90th percentile, shows both ends.
    """
    low, middle, high = np.quantile(score, [0.1, 0.5, 0.9])
    unit = float(high - low) / 2 or float(np.ptp(score)) / 2 or 1.0
    scaled = np.arcsinh((score - middle) / unit)
    first, last = float(scaled.min()), float(scaled.max())
    if first == last:
        first, last = first - 0.5, last + 0.5
    edges = np.linspace(first, last, HISTOGRAM_BINS + 1)
    place = np.clip(np.searchsorted(edges, scaled, side="right") - 1, 0, HISTOGRAM_BINS - 1)
    raw = middle + unit * np.sinh(edges)
    names, lows, highs, flows = [], [], [], []
    for name, rows in _classes(truth):
        counted = np.bincount(place[rows], minlength=HISTOGRAM_BINS)
        filled = np.flatnonzero(counted)
        names += [name] * len(filled)
        lows.append(raw[filled])
        highs.append(raw[filled + 1])
        flows.append(counted[filled])
    return table(
        "histogram",
        attack=pa.array(names, pa.string()),
        low=_joined(lows),
        high=_joined(highs),
        flows=np.concatenate(flows).astype(np.int64),
    )


def _classes(truth: TestTruth) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each class that occurs with its flows: the largest attacks by name, then the others."""
    for name, state in ((BENIGN, IS_BENIGN), (UNKNOWN, IS_UNKNOWN)):
        rows = truth.state == state
        if rows.any():
            yield name, rows
    attacks = truth.state == ATTACK
    if not attacks.any():
        return
    counted = np.bincount(truth.attack[attacks] + 1, minlength=len(truth.names) + 1)
    largest = np.argsort(-counted, kind="stable")
    named = [int(code) for code in largest[:CLASSES] if counted[code]]
    for code in named:
        yield (truth.names[code - 1] if code else "attack"), attacks & (truth.attack == code - 1)
    rest = attacks & ~np.isin(truth.attack + 1, named)
    if rest.any():
        yield "other attacks", rest


def _repeated(values: list[str], lengths: list[int]) -> pa.Array:
    codes = np.repeat(np.arange(len(values), dtype=np.int32), lengths)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int32()), pa.array(values, pa.string())
    )


def _joined(pieces: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *pieces])
