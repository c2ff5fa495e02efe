"""What train flows look like: the features that models see, and the values people know.

A bundle keeps it. Alerts name features by it; explainers take from it what a usual flow has in
place of a feature, and say what a usual value is. It holds no label, no address and no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures
from netvigil.protocols import State

LOOKED_AT = 20_000  # train flows whose values are ranked: enough for percentiles to 1 %
BACKGROUND = 100  # of them kept whole: 24 kB of 60 features
PERCENTILES = (5.0, 50.0, 95.0)
VALUES = 20  # of a category, the most frequent; more are seldom told apart by a model either


@dataclass(frozen=True)
class UsualValues:
    """Values of the source's own columns on a seeded sample of train flows, before any transform.

    Shapes:
        names: [columns]; percentiles: float64 [columns, 3], the 5th, 50th and 95th, NaN for a
            column without values
        categories: name -> value (None where it is missing) -> share of the flows
    """

    names: tuple[str, ...] = ()
    percentiles: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    categories: Mapping[str, Mapping[str | None, float]] = field(default_factory=dict)

    @staticmethod
    def of(features: FlowFeatures) -> UsualValues:
        """Rank the values of some train flows."""
        found = np.full((len(features.names), len(PERCENTILES)), np.nan)
        for number, column in enumerate(features.x.T):
            known = column[~np.isnan(column)]
            if len(known):
                found[number] = np.percentile(known.astype(np.float64), PERCENTILES)
        categories = {name: _shares(values) for name, values in features.categories.items()}
        return UsualValues(features.names, found, categories)


@dataclass(frozen=True)
class FeatureProfile:
    """Mean and standard deviation of each transformed feature on the train flows, float64.

    The rest is of a seeded sample of them; without it, as in bundles of older versions, explainers
    that need it refuse.

    Shapes:
        median: float32 [features]; background: float32 [rows, features], whole flows
    """

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    median: NDArray[np.float32] | None = None
    background: NDArray[np.float32] | None = None
    usual: UsualValues = UsualValues()

    @staticmethod
    def of(
        x: NDArray[np.float32],
        names: tuple[str, ...],
        *,
        rows: NDArray[np.int64] | None = None,
        raw: FlowFeatures | None = None,
        seed: int = 0,
    ) -> FeatureProfile:
        """Measure the train flows' features.

        Shapes:
            x: float32 [flows, features]
            rows: int64, the flows to look at closely, see `sampled`; None: all of them
            raw: the values of these before any transform
        """
        close = x if rows is None else x[rows]
        whole = np.ascontiguousarray(close[_drawn(len(close), BACKGROUND, seed)])
        return FeatureProfile(
            names,
            x.mean(axis=0, dtype=np.float64),
            x.std(axis=0, dtype=np.float64),
            median=np.median(close, axis=0).astype(np.float32) if len(close) else None,
            background=whole if len(close) else None,
            usual=UsualValues() if raw is None else UsualValues.of(raw),
        )

    def groups(self) -> dict[str, tuple[int, ...]]:
        """Return the columns of each thing that a feature says: name -> column numbers.

        What a category became (`column=value`, `column:rarity`) is one thing, called as the column
        is; a number of the source that happens to be called so is a thing of its own.

        Example:
            >>> usual = UsualValues(("bytes",), np.zeros((1, 3)), {"proto": {"tcp": 1.0}})
            >>> none = np.zeros(3)
            >>> names = ("bytes", "proto='tcp'", "proto=rare")
            >>> FeatureProfile(names, none, none, usual=usual).groups()
            {'bytes': (0,), 'proto': (1, 2)}
        """
        found: dict[str, list[int]] = {}
        categories = sorted(self.usual.categories, key=len, reverse=True)
        for number, name in enumerate(self.names):
            of = name
            if name not in self.usual.names:
                starts = (c for c in categories if name.startswith((f"{c}=", f"{c}:rarity")))
                of = next(starts, name)
            found.setdefault(of, []).append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    def get_state(self) -> State:
        """Return what a bundle keeps."""
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean, "deviation": self.deviation}
        if self.median is not None and self.background is not None:
            arrays |= {"median": self.median, "background": self.background}
        arrays["percentiles"] = self.usual.percentiles
        categories = {
            n: [list(pair) for pair in v.items()] for n, v in self.usual.categories.items()
        }
        values = {
            "names": list(self.names),
            "columns": list(self.usual.names),
            "categories": categories,
        }
        return State(arrays=arrays, values=values)

    @staticmethod
    def from_state(state: State) -> FeatureProfile:
        """Take over what a bundle kept."""
        names = tuple(str(name) for name in state.values["names"])
        usual = UsualValues()
        if "percentiles" in state.arrays:
            usual = UsualValues(
                tuple(state.values["columns"]),
                state.arrays["percentiles"],
                {name: dict(pairs) for name, pairs in state.values["categories"].items()},
            )
        return FeatureProfile(
            names,
            state.arrays["mean"],
            state.arrays["deviation"],
            median=state.arrays.get("median"),
            background=state.arrays.get("background"),
            usual=usual,
        )


def sampled(features: FlowFeatures, seed: int) -> tuple[NDArray[np.int64], FlowFeatures]:
    """Choose train flows to look at closely; returns their rows and their features, copied."""
    rows = _drawn(len(features), LOOKED_AT, seed)
    taken = pa.array(rows)
    categories = {name: values.take(taken) for name, values in features.categories.items()}
    return rows, FlowFeatures(features.x[rows], features.names, categories)


def _drawn(count: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return at most `most` of `count` rows, rising."""
    if count <= most:
        return np.arange(count)
    drawn = np.random.default_rng(seed).choice(count, most, replace=False, shuffle=False)
    return np.sort(drawn)


def _shares(column: pa.DictionaryArray) -> dict[str | None, float]:
    found = pc.value_counts(column.cast(pa.string()))
    pairs = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    # Ties in text order: what is kept must not depend on the order of the flows.
    ranked = sorted(pairs, key=lambda p: (-p[1], p[0] is not None, p[0] or ""))[:VALUES]
    return {value: count / max(len(column), 1) for value, count in ranked}
