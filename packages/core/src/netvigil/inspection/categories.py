"""How often each value of a category occurs, by class: the commonest, and the rare ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST = 65_536
"""Values that are told apart: every port there is. Later ones of a longer list are counted as one.
"""
LONGEST = 200
"""Characters of a value that are kept; longer ones that begin alike count as one."""
COMMON, RARE = 12, 12
"""Rows of each kind on a page."""


@dataclass(frozen=True)
class Value:
    """One value: its flows, and those of each class in the order of the page's classes."""

    text: str
    flows: int
    by_class: tuple[int, ...]


@dataclass(frozen=True)
class Category:
    """One column's values. Rare ones have fewer flows than `threshold`; the rarest come first.

    `beyond` counts the flows whose value came after the first `MOST` distinct ones.
    """

    name: str
    distinct: int
    missing: int
    beyond: int
    threshold: int
    common: tuple[Value, ...]
    rare: tuple[Value, ...]
    rare_values: int
    rare_flows: int


def rare_below(flows: int) -> int:
    """Return how many flows a value needs to be no longer rare: one of a thousand, 2 to 100."""
    return min(max(flows // 1000, 2), 100)


class CategoryCounter:
    """Counts one column's values by class, batch by batch.

    Example:
        >>> counter = CategoryCounter("proto", classes=2)
        >>> counter.update(pa.chunked_array([["tcp", "tcp", None]]), np.array([0, 1, 0]))
        >>> counter.result(2).common
        (Value(text='tcp', flows=2, by_class=(1, 1)),)
    """

    def __init__(self, name: str, classes: int, most: int = MOST) -> None:
        self.name, self.classes, self.most = name, classes, most
        self._place: dict[str, int] = {}
        self._counts = np.zeros((64, classes), np.int64)
        self._beyond = self._missing = 0

    def update(self, values: pa.ChunkedArray, number: NDArray[np.integer]) -> None:
        """Count one batch.

        Shapes:
            number: [flows], each flow's class
        """
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        first = 0
        for chunk in values.chunks:
            self._chunk(chunk, number[first : first + len(chunk)])
            first += len(chunk)

    def _chunk(self, chunk: pa.DictionaryArray, number: NDArray[np.integer]) -> None:
        known = np.asarray(chunk.indices.is_valid())
        self._missing += len(known) - int(known.sum())
        codes = chunk.indices.drop_null().to_numpy()
        if not len(codes):
            return
        used, local = np.unique(codes, return_inverse=True)
        place = np.array([self._find(v) for v in chunk.dictionary.take(pa.array(used)).to_pylist()])
        row = place[local]
        inside = row >= 0
        self._beyond += len(row) - int(inside.sum())
        flat = row[inside] * self.classes + number[known][inside]
        size = len(self._place) * self.classes
        counted = np.bincount(flat, minlength=size).reshape(-1, self.classes)
        if len(self._place) > len(self._counts):
            longer = np.zeros((2 * len(self._place), self.classes), np.int64)
            longer[: len(self._counts)] = self._counts
            self._counts = longer
        self._counts[: len(counted)] += counted

    def _find(self, value: object) -> int:
        text = str(value)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}…"
        place = self._place.get(text)
        if place is None:
            if len(self._place) >= self.most:
                return -1
            place = self._place[text] = len(self._place)
        return place

    def result(self, threshold: int, attack: NDArray[np.bool_] | None = None) -> Category:
        """Return the commonest and the rarest values; `attack` says which classes are attacks."""
        counts = self._counts[: len(self._place)]
        flows = counts.sum(axis=1)
        hostile = np.zeros_like(flows) if attack is None else counts[:, attack].sum(axis=1)
        texts = list(self._place)
        order = np.argsort(-flows, kind="stable")
        rare = [int(i) for i in np.lexsort((-hostile, flows)) if flows[i] < threshold]

        def values(rows: list[int]) -> tuple[Value, ...]:
            return tuple(Value(texts[i], int(flows[i]), tuple(counts[i].tolist())) for i in rows)

        common = [int(i) for i in order[:COMMON]]
        listed = [i for i in rare if i not in common]
        return Category(
            name=self.name,
            distinct=len(texts),
            missing=self._missing,
            beyond=self._beyond,
            threshold=threshold,
            common=values(common),
            rare=values(listed[:RARE]),
            rare_values=len(rare),
            rare_flows=int(flows[rare].sum()),
        )
