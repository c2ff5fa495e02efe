"""Transform `label-aware-categories`: which values become levels is chosen by labels; parity only.

A published autoencoder pipeline for UNSW-NB15 groups rare values of its text columns, but keeps
those that attacks use more often than benign traffic does. What the model sees then depends on the
labels. This does the same, to measure what it is worth; without `run.parity` an experiment that
names it is refused, and receipts say in capitals that it was used. The label-free counterpart is
`categories`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.protocols import State
from netvigil_flowprep.transforms.categories import (
    Categories,
    CategoriesConfig,
    Table,
    places_of,
)


class LabelAwareCategoriesConfig(CategoriesConfig):
    """Settings of `label-aware-categories`; `max_levels` holds for the frequent values alone."""

    max_attack_levels: int = Field(
        200, ge=1, description="rare values that attacks prefer, at most; the most frequent first"
    )


class LabelAwareCategories:
    """Turns categories into numeric columns, rare ones kept where attacks prefer them."""

    def __init__(self, config: LabelAwareCategoriesConfig) -> None:
        self.config = config
        self._categories = Categories(config)

    def fit(self, features: FlowFeatures, *, seed: int) -> NoReturn:
        """Refuse to learn without labels.

        Raises:
            ContractError: Always.
        """
        del features, seed
        msg = "The transform 'label-aware-categories' learns from labels and was given none."
        raise ContractError(msg, do="Call fit_labelled, as run.parity does, or use 'categories'.")

    def fit_labelled(
        self, features: FlowFeatures, is_attack: NDArray[np.bool_], *, seed: int
    ) -> Self:
        """Count the values of the train range, apart for attacks and the rest.

        Raises:
            ContractError: Labels of another number of flows.
        """
        if len(is_attack) != len(features):
            msg = f"{len(is_attack):,} labels for {len(features):,} flows."
            raise ContractError(msg, do="Pass one label for each flow.")
        self._categories.fit(features, seed=seed)
        self._categories.tables_ = {
            name: _preferring(table, features.categories[name], is_attack, self.config)
            for name, table in self._categories.tables_.items()
        }
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the numeric features followed by those of each category, in row-major order.

        Raises:
            ContractError: A category that was fitted on is missing.
        """
        return self._categories.transform(features)

    def get_state(self) -> State:
        """Return the counted values, as JSON."""
        return self._categories.get_state()

    def set_state(self, state: State) -> Self:
        """Take over the counted values."""
        self._categories.set_state(state)
        return self


def _preferring(
    table: Table,
    column: pa.DictionaryArray,
    is_attack: NDArray[np.bool_],
    config: LabelAwareCategoriesConfig,
) -> Table:
    """Make levels of the rare values, too, that are a larger share of attacks than of the rest."""
    place = places_of(column, table.values)
    known = len(table.values)
    attacks, others = (
        np.bincount(place[rows], minlength=known + 1)[:known] / max(int(rows.sum()), 1)
        for rows in (is_attack, ~is_attack)
    )
    rare = np.arange(known) >= table.levels
    chosen = np.flatnonzero(rare & (attacks > others))[: config.max_attack_levels]
    left = np.setdiff1d(np.flatnonzero(rare), chosen)
    order = [*range(table.levels), *chosen.tolist(), *left.tolist()]
    return replace(
        table,
        values=tuple(table.values[i] for i in order),
        counts=tuple(table.counts[i] for i in order),
        levels=table.levels + len(chosen),
    )
