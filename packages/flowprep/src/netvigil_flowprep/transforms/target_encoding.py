"""Transform `target-encoding`: categories as attack rates. It reads labels; for parity only.

Anomal-E's official notebook fits category_encoders' `TargetEncoder` on the attack label, so that a
"self-supervised" encoder is fed what the labels say. This does the same, to measure what it is
worth; without `run.parity` an experiment that names it is refused, and receipts say in capitals
that it was used. The label-free counterpart is `categories`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NoReturn, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.categories import COUNTED, places_of
from netvigil_flowprep.transforms.columns import require_columns, require_fitted, row_major


class TargetEncodingConfig(PartConfig):
    """Settings of `target-encoding`; the defaults are those of category_encoders before 2.6."""

    smoothing: float = Field(
        1.0, gt=0, description="how slowly a value's own rate takes over from the prior"
    )
    min_samples_leaf: int = Field(
        1, ge=1, description="flows of a value at which rate and prior weigh the same"
    )
    numeric: tuple[str, ...] = Field(
        (), description="numeric columns that are categories too; * stands for any text"
    )


@dataclass(frozen=True)
class Rates:
    """The encoded rate of each value of a column, None standing for missing."""

    values: tuple[Any, ...]
    rates: tuple[float, ...]

    @staticmethod
    def of(
        values: list[Any],
        place: NDArray[np.int64],
        is_attack: NDArray[np.bool_],
        config: TargetEncodingConfig,
    ) -> Rates:
        """Learn from each flow's place in `values`; the most frequent values are kept."""
        count = np.bincount(place, minlength=len(values))
        attacks = np.bincount(place[is_attack], minlength=len(values))
        rate = encoded_rate(count, attacks, _share(is_attack), config)
        # Ties in the order of values: what is learnt must not depend on the order of the flows.
        ranked = sorted(
            range(len(values)),
            key=lambda i: (-count[i], values[i] is not None, 0 if values[i] is None else values[i]),
        )[:COUNTED]
        return Rates(tuple(values[i] for i in ranked), tuple(float(rate[i]) for i in ranked))

    def at(self, place: NDArray[np.int64], prior: float) -> NDArray[np.float32]:
        """Return the rate of each flow's value, the prior for values never seen."""
        return np.array([*self.rates, prior], np.float32)[place]


def encoded_rate(
    count: NDArray[np.int64], attacks: NDArray[np.int64], prior: float, config: TargetEncodingConfig
) -> NDArray[np.float64]:
    """Blend each value's attack rate with the prior, as `TargetEncoder` of category_encoders does.

    With n flows, of which a share m is attacks, and the attack share p of all flows: w = 1 / (1 +
    exp(-(n - min_samples_leaf) / smoothing)), rate = (1 - w) p + w m; a value of a single flow gets
    p, as in the versions before 2.6, which the notebook used.

    Shapes:
        count, attacks: int64 [values], flows of each value, and attacks among them
    """
    with np.errstate(over="ignore"):  # an infinite power is a weight of zero
        own = 1 / (1 + np.exp(-(count - config.min_samples_leaf) / config.smoothing))
    rate = prior * (1 - own) + attacks / np.maximum(count, 1) * own
    return np.where(count == 1, prior, rate)


class TargetEncoding:
    """Replaces categories, and the numeric columns named, by attack rates; see the module.

    A category becomes the column `<name>:attack-rate` after the numeric ones; a numeric column
    keeps name and place. A value never seen, or beyond the 4,096 most frequent of a column, gets
    the train range's attack share.
    """

    def __init__(self, config: TargetEncodingConfig) -> None:
        self.config = config
        self.names_: tuple[str, ...] | None = None
        self.prior_ = 0.0
        self.numbers_: Mapping[str, Rates] = {}
        self.texts_: Mapping[str, Rates] = {}

    def fit(self, features: FlowFeatures, *, seed: int) -> NoReturn:
        """Refuse to learn without labels.

        Raises:
            ContractError: Always.
        """
        del features, seed
        msg = "The transform 'target-encoding' learns from labels and was given none."
        raise ContractError(msg, do="Call fit_labelled, as run.parity does, or use 'categories'.")

    def fit_labelled(
        self, features: FlowFeatures, is_attack: NDArray[np.bool_], *, seed: int
    ) -> Self:
        """Learn the attack rate of each value of the train range.

        Raises:
            ContractError: Labels of another number of flows.
        """
        del seed
        if len(is_attack) != len(features):
            msg = f"{len(is_attack):,} labels for {len(features):,} flows."
            raise ContractError(msg, do="Pass one label for each flow.")
        self.names_, self.prior_ = features.names, _share(is_attack)
        self.texts_ = {
            name: Rates.of(*_coded(column), is_attack, self.config)
            for name, column in features.categories.items()
        }
        self.numbers_ = {
            name: Rates.of(*_numbered(features.x[:, i]), is_attack, self.config)
            for i, name in enumerate(features.names)
            if any(fnmatchcase(name, pattern) for pattern in self.config.numeric)
        }
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return numeric features followed by one rate per category, in row-major order.

        Raises:
            ContractError: A category that was fitted on is missing.
        """
        names = require_fitted("target-encoding", self.names_)
        require_columns("target-encoding", names, features)
        missing = [name for name in self.texts_ if name not in features.categories]
        if missing:
            msg = f"The features lack the categories {', '.join(missing)}."
            raise ContractError(msg, do="Read the source as the one it was fitted on.")
        x = np.empty((len(features), len(names) + len(self.texts_)), np.float32)
        row_major(features.x, x[:, : len(names)])
        for name, rates in self.numbers_.items():
            i = names.index(name)
            x[:, i] = rates.at(_places(features.x[:, i], rates.values), self.prior_)
        for i, (name, rates) in enumerate(self.texts_.items(), start=len(names)):
            x[:, i] = rates.at(places_of(features.categories[name], rates.values), self.prior_)
        return FlowFeatures(x=x, names=(*names, *(f"{n}:attack-rate" for n in self.texts_)))

    def get_state(self) -> State:
        """Return values and rates, as JSON."""
        names = require_fitted("target-encoding", self.names_)
        tables = {
            kind: {n: {"values": list(r.values), "rates": list(r.rates)} for n, r in of.items()}
            for kind, of in (("numbers", self.numbers_), ("texts", self.texts_))
        }
        return State(values={"names": list(names), "prior": self.prior_, **tables})

    def set_state(self, state: State) -> Self:
        """Take over values and rates."""
        values = state.values
        self.names_, self.prior_ = tuple(values["names"]), values["prior"]
        self.numbers_, self.texts_ = (
            {n: Rates(tuple(r["values"]), tuple(r["rates"])) for n, r in values[kind].items()}
            for kind in ("numbers", "texts")
        )
        return self


def _share(is_attack: NDArray[np.bool_]) -> float:
    return float(is_attack.mean()) if len(is_attack) else 0.0


def _coded(column: pa.DictionaryArray) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the distinct texts of a column, None for missing, and each flow's place among them."""
    coded = column.cast(pa.string()).dictionary_encode(null_encoding="encode")
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)


def _numbered(column: NDArray[np.float32]) -> tuple[list[Any], NDArray[np.int64]]:
    values, place = np.unique(column, return_inverse=True)  # NaN is one value, the last
    return [None if np.isnan(v) else float(v) for v in values], place


def _places(column: NDArray[np.float32], values: tuple[Any, ...]) -> NDArray[np.int64]:
    """Return each number's place in `values`, their number for any other, int64 [flows]."""
    known = np.array([np.nan if v is None else v for v in values], np.float32)
    if not len(known):
        return np.zeros(len(column), np.int64)
    order = np.argsort(known, kind="stable")  # NaN last, as searchsorted has it
    near = np.minimum(np.searchsorted(known[order], column), len(known) - 1)
    found = known[order][near]
    same = (found == column) | (np.isnan(found) & np.isnan(column))
    return np.where(same, order[near], len(known))
