"""Transform `clean`: fills missing values and refuses infinite ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_flowprep.transforms.columns import (
    all_finite,
    column,
    own_copy,
    require_columns,
    require_fitted,
)


class CleanConfig(PartConfig):
    """Settings of `clean`."""

    missing: Literal["zero", "median"] = Field(
        "zero",
        description="what stands in for a missing value: 0, or the median of the train range",
    )
    drop_constant: bool = Field(
        default=False, description="leave out columns with one value in the train range"
    )


class Clean:
    """Fills missing values; see the module."""

    def __init__(self, config: CleanConfig) -> None:
        self.config = config
        self.names_: tuple[str, ...] | None = None
        self.fill_ = np.empty(0, np.float32)
        self.keep_ = np.empty(0, np.int64)

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn medians and which columns are constant, of the train range."""
        del seed
        _refuse_infinite(features)
        self.names_ = features.names
        fill, keep = np.zeros(len(features.names), np.float32), []
        for number in range(len(features.names)):
            values = column(features.x, number)
            if self.config.missing == "median" and len(values):
                fill[number] = np.median(values)
            if not self.config.drop_constant or _varies(values, len(features), fill[number]):
                keep.append(number)
        self.fill_, self.keep_ = fill, np.array(keep, np.int64)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return features without missing values; refuses infinite ones."""
        require_columns("clean", require_fitted("clean", self.names_), features)
        if len(self.keep_) == len(features.names):
            x, names = own_copy(features.x), features.names
        else:
            x = own_copy(features.x[:, self.keep_])
            names = tuple(features.names[number] for number in self.keep_)
        if not all_finite(x):
            np.copyto(x, self.fill_[self.keep_], where=np.isnan(x))
            _refuse_infinite(replace(features, x=x, names=names))
        return replace(features, x=x, names=names)

    def undo(self, features: FlowFeatures) -> FlowFeatures:
        """Return features as they are: what was filled in stays, what was left out is missing."""
        names = require_fitted("clean", self.names_)
        kept = tuple(names[number] for number in self.keep_)
        require_columns("clean", kept, features)
        return features

    def get_state(self) -> State:
        """Return fills and kept columns."""
        names = require_fitted("clean", self.names_)
        return State(arrays={"fill": self.fill_, "keep": self.keep_}, values={"names": list(names)})

    def set_state(self, state: State) -> Self:
        """Take over fills and kept columns."""
        self.names_ = tuple(state.values["names"])
        self.fill_, self.keep_ = state.arrays["fill"], state.arrays["keep"]
        return self


def _varies(values: NDArray[np.float32], flows: int, fill: np.float32) -> bool:
    """Say whether a column has two values, counting what missing ones are filled with."""
    if not len(values):
        return False
    low, high = values.min(), values.max()
    return bool(low < high or (len(values) < flows and fill != low))


def _refuse_infinite(features: FlowFeatures) -> None:
    if all_finite(features.x):
        return
    columns = np.flatnonzero(np.isinf(features.x).any(axis=0))
    if len(columns):
        bad = [features.names[number] for number in columns]
        msg = f"Features hold infinity: {', '.join(bad)}."
        raise ContractError(msg, do="A reader turns infinity into a missing value and counts it.")
