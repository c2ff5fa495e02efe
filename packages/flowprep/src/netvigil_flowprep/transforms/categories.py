"""Transform `categories`: text columns as numbers, by how frequent a value was in the train range.

A value with at least `min_share` of the train range is a level of its own; the rest, and values
never seen, share the level "rare". Labels play no part: nothing here could tell an attack from its
absence. It goes last, so that no scaler meets its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import BLOCK, require_columns, require_fitted

PAIRS = 4096  # rows of a table of several categories: 100 columns of these fit into a cache
COUNTED = 4096  # values whose counts are kept; a hostile source could send a new one with each flow


class CategoriesConfig(PartConfig):
    """Settings of `categories`."""

    mode: Literal["one-hot", "count", "both"] = Field(
        "both", description="one column per level, one column of -log10 frequency, or both"
    )
    min_share: float = Field(
        0.005, gt=0, lt=1, description="share of the train range that makes a value a level"
    )
    max_levels: int = Field(20, ge=1, description="levels at most, the most frequent first")


@dataclass(frozen=True)
class Table:
    """What was learnt of one text column.

    `values` are the train range's, the most frequent first, None standing for missing; `counts`
    their counts; the first `levels` of them are levels of their own; `flows` is how many flows
    there were.
    """

    values: tuple[str | None, ...]
    counts: tuple[int, ...]
    levels: int
    flows: int

    @staticmethod
    def of(column: pa.DictionaryArray, config: CategoriesConfig) -> Table:
        """Count a column of the train range."""
        found = pc.value_counts(column.cast(pa.string()))
        pairs = zip(
            found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True
        )
        # Ties in text order: the table must not depend on the order of the flows.
        ranked = sorted(pairs, key=lambda p: (-p[1], p[0] is not None, p[0] or ""))[:COUNTED]
        enough = config.min_share * len(column)
        levels = sum(count >= enough for _, count in ranked[: config.max_levels])
        values, counts = [v for v, _ in ranked], [c for _, c in ranked]
        return Table(tuple(values), tuple(counts), levels, len(column))

    def names(self, column: str, mode: str) -> list[str]:
        """Return the names of the numeric columns that this becomes.

        Text from traffic stands quoted and in ASCII, so that it can neither pose as another column
        nor carry control characters.
        """
        shown = ["missing" if v is None else ascii(v) for v in self.values[: self.levels]]
        one_hot = [f"{column}={text}" for text in shown] + [f"{column}=rare"]
        rarity = [f"{column}:rarity"]
        return {"one-hot": one_hot, "count": rarity, "both": one_hot + rarity}[mode]

    def numbers(self, mode: str) -> NDArray[np.float32]:
        """Return what each value becomes, and one never seen, float32 [values + 1, len(names)]."""
        one_hot = np.zeros((len(self.values) + 1, self.levels + 1), np.float32)
        place = np.arange(len(one_hot))
        one_hot[place, np.minimum(place, self.levels)] = 1
        # One flow more on both sides: a value never seen is rarer than any seen, and finite.
        share = (np.array([*self.counts, 0], np.float64) + 1) / (self.flows + 1)
        rarity = -np.log10(share).astype(np.float32)[:, None]
        both = np.concatenate([one_hot, rarity], axis=1)
        return {"one-hot": one_hot, "count": rarity, "both": both}[mode]

    def likeliest(self, x: NDArray[np.float32], mode: str) -> pa.DictionaryArray:
        """Undo `numbers` for any numbers, float32 [flows, len(names)]."""
        last = len(self.values) - 1
        if last < 0:
            return pa.nulls(len(x), pa.string()).dictionary_encode()
        if mode == "count":
            rising = self.numbers(mode)[:-1, 0]  # values are the most frequent first
            after = np.minimum(np.searchsorted(rising, x[:, 0]), last)
            before = np.maximum(after - 1, 0)
            nearer = np.abs(rising[before] - x[:, 0]) <= np.abs(rising[after] - x[:, 0])
            rows = np.where(nearer, before, after)
        else:
            rows = np.minimum(x[:, : self.levels + 1].argmax(axis=1), last)
        return pa.DictionaryArray.from_arrays(
            pa.array(rows.astype(np.int32)), pa.array(self.values, pa.string())
        )


class Coded(NamedTuple):
    """A text column as places in a list of values.

    Shapes:
        code: int32 [flows], rows of `place`; place: int64 [texts + 1], the last for missing ones
    """

    code: NDArray[np.int32]
    place: NDArray[np.int64]


def places_of(column: pa.DictionaryArray, values: Sequence[str | None]) -> NDArray[np.int64]:
    """Return each flow's place in `values`, their number for any other value, int64 [flows]."""
    coded = _coded(column, values)
    return coded.place.take(coded.code)


def _coded(column: pa.DictionaryArray, values: Sequence[str | None]) -> Coded:
    """Look each text of a column up once; the flows then only index."""
    unseen = len(values)
    by_code = pc.index_in(column.dictionary.cast(pa.string()), pa.array(values, pa.string()))
    missing = values.index(None) if None in values else unseen
    places = np.append(by_code.fill_null(unseen).to_numpy(), missing)
    if column.dictionary.null_count:
        places[:-1][column.dictionary.is_null().to_numpy(zero_copy_only=False)] = missing
    code = column.indices.fill_null(len(places) - 1).to_numpy()
    return Coded(code, places.astype(np.int64, copy=False))


def _side_by_side(
    numeric: NDArray[np.float32],
    coded: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]],
    out: NDArray[np.float32],
) -> None:
    """Write numeric columns, then those of each category, block by block: each stays in cache.

    Shapes:
        numeric: float32 [flows, features]; out: float32 [flows, all columns]
        coded: of each category code [flows] and what each code becomes, float32 [codes, columns]
    """
    width = numeric.shape[1]
    last, items = width, []
    for code, numbers in _together(coded):
        # All columns of a code are one item of so many bytes, which is moved at once.
        item = np.dtype((np.void, numbers.itemsize * numbers.shape[1]))
        target = out[:, last : last + numbers.shape[1]].view(item)[:, 0]
        items.append((target, numbers.view(item)[:, 0], code))
        last += numbers.shape[1]
    for first in range(0, len(out), BLOCK):
        rows = slice(first, first + BLOCK)
        out[rows, :width] = numeric[rows]
        for target, source, at in items:
            target[rows] = source.take(at[rows])


def _together(
    coded: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]],
) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Make one category of several neighbours while all their pairs are few: fewer items to move.

    The shapes are those of `_side_by_side`.
    """
    joined: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
    for code, numbers in coded:
        if not joined or len(joined[-1][1]) * len(numbers) > PAIRS:
            joined.append((code.astype(np.intp), numbers))
            continue
        before, left = joined.pop()
        both = [np.repeat(left, len(numbers), axis=0), np.tile(numbers, (len(left), 1))]
        joined.append((before * len(numbers) + code, np.concatenate(both, axis=1)))
    return joined


class Categories:
    """Turns all categories into numeric columns; see the module."""

    def __init__(self, config: CategoriesConfig) -> None:
        self.config = config
        self.names_: tuple[str, ...] | None = None
        self.tables_: Mapping[str, Table] = {}

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Count the values of the train range.

        Raises:
            ContractError: A feature is already called what a category would become.
        """
        del seed
        tables = {n: Table.of(c, self.config) for n, c in features.categories.items()}
        made = [name for n, table in tables.items() for name in table.names(n, self.config.mode)]
        both = sorted(set(made) & set(features.names))
        if both:
            msg = f"A feature is already called what a category would become: {', '.join(both)}."
            raise ContractError(msg, do="Rename it in the source, or leave it out of features.set.")
        self.names_, self.tables_ = features.names, tables
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the numeric features followed by those of each category, in row-major order.

        Raises:
            ContractError: A category that was fitted on is missing.
        """
        require_columns("categories", require_fitted("categories", self.names_), features)
        missing = [name for name in self.tables_ if name not in features.categories]
        if missing:
            msg = f"The features lack the categories {', '.join(missing)}."
            raise ContractError(msg, do="Read the source as the one it was fitted on.")
        names, mode = list(features.names), self.config.mode
        added = {name: table.names(name, mode) for name, table in self.tables_.items()}
        width = len(names) + sum(map(len, added.values()))
        x = np.empty((len(features), width), np.float32)
        coded = []
        for name, table in self.tables_.items():
            code, place = _coded(features.categories[name], table.values)
            coded.append((code, table.numbers(mode).take(place, axis=0)))
            names += added[name]
        _side_by_side(features.x, coded, x)
        return FlowFeatures(x=x, names=tuple(names))

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return each category's likeliest value, and the numeric features without its columns.

        Of the levels that is the one whose column is largest; "rare" stands for the commonest value
        that is no level. Without columns per level the value of the nearest frequency is taken.
        """
        names, mode = list(require_fitted("categories", self.names_)), self.config.mode
        added = {name: table.names(name, mode) for name, table in self.tables_.items()}
        whole = [*names, *(column for made in added.values() for column in made)]
        require_columns("categories", whole, features)
        found, first = dict(features.categories), len(names)
        for name, table in self.tables_.items():
            last = first + len(added[name])
            found[name] = table.likeliest(features.x[:, first:last], mode)
            first = last
        return FlowFeatures(features.x[:, : len(names)], tuple(names), found)

    def get_state(self) -> State:
        """Return the counted values, as JSON."""
        names = require_fitted("categories", self.names_)
        tables = {
            name: {
                "values": list(t.values),
                "counts": list(t.counts),
                "levels": t.levels,
                "flows": t.flows,
            }
            for name, t in self.tables_.items()
        }
        return State(values={"names": list(names), "tables": tables})

    def set_state(self, state: State) -> Self:
        """Take over the counted values."""
        self.names_ = tuple(state.values["names"])
        self.tables_ = {
            name: Table(tuple(t["values"]), tuple(t["counts"]), t["levels"], t["flows"])
            for name, t in state.values["tables"].items()
        }
        return self
