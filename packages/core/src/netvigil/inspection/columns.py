"""What one column of a source holds: type, missing values, range, zeros, what it may be used for.

A sketch walks along with the batches and stays small; it knows nothing of labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.inspection.distinct import Distinct

Kind = Literal["number", "text", "time"]
Number = int | float


@dataclass(frozen=True)
class Column:
    """One column, over all flows.

    `low` and `high` are microseconds for times. `whole` says that no value has a fraction,
    `lossless` that 32-bit floats hold every value exactly. `text_bytes` counts every flow's text,
    `dictionary_bytes` each distinct text once. `use` is "feature", "denied" or nothing, and `why`
    the reason for which it is denied.
    """

    name: str
    kind: Kind
    type: pa.DataType
    flows: int
    missing: int
    zeros: int = 0
    distinct: int = 0
    exact: bool = True
    low: Number | None = None
    high: Number | None = None
    median: float | None = None
    whole: bool = False
    lossless: bool = False
    text_bytes: int = 0
    dictionary_bytes: int = 0
    use: Literal["feature", "denied", ""] = ""
    why: str | None = None

    @property
    def empty(self) -> bool:
        """Whether every value is missing."""
        return self.missing == self.flows

    @property
    def constant(self) -> bool:
        """Whether all known values are the same one."""
        return self.distinct == 1


class ColumnSketch:
    """Measures one column, batch by batch."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name, self.type = name, kind
        self.distinct = Distinct()
        self._flows = self._missing = self._zeros = self._text_bytes = 0
        self._low: Number | None = None
        self._high: Number | None = None
        self._whole = self._lossless = True

    def update(self, values: pa.ChunkedArray) -> None:
        """Look at one batch of the column."""
        self._flows += len(values)
        self._missing += values.null_count
        if values.null_count == len(values):
            return
        self.distinct.add(values)
        if kind_of(self.type) == "text":
            self._text_bytes += _text_bytes(values)
        else:
            self._numbers(numbers(values))

    def result(self, **more: Any) -> Column:
        """Return what was found; `more` are fields that a sketch cannot know."""
        return Column(
            name=self.name,
            kind=kind_of(self.type),
            type=self.type,
            flows=self._flows,
            missing=self._missing,
            zeros=self._zeros,
            distinct=min(self.distinct.count, self._flows - self._missing),
            exact=self.distinct.exact,
            low=self._low,
            high=self._high,
            whole=self._low is not None and self._whole,
            lossless=self._low is not None and self._lossless,
            text_bytes=self._text_bytes,
            dictionary_bytes=self.distinct.size,
            **more,
        )

    def _numbers(self, values: NDArray[Any]) -> None:
        low, high = values.min().item(), values.max().item()
        self._low = low if self._low is None else min(low, self._low)
        self._high = high if self._high is None else max(high, self._high)
        self._zeros += len(values) - int(np.count_nonzero(values))
        if values.dtype.kind == "f":
            self._whole = self._whole and bool((values == np.rint(values)).all())
        if values.dtype != np.float32 and self._lossless:
            with np.errstate(over="ignore"):
                self._lossless = bool((values.astype(np.float32) == values).all())


def kind_of(kind: pa.DataType) -> Kind:
    """Return what a column of some Arrow type is to a reader of the page."""
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return "text"
    return "time" if pa.types.is_timestamp(kind) else "number"


def numbers(values: pa.ChunkedArray) -> NDArray[Any]:
    """Return the known values of a column of numbers or times."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    found: NDArray[Any] = (values.drop_null() if values.null_count else values).to_numpy()
    return found


def _text_bytes(values: pa.ChunkedArray) -> int:
    if pa.types.is_string(values.type):
        return int(pc.sum(pc.binary_length(values)).as_py())
    total = 0
    for chunk in values.chunks:
        codes = chunk.indices.drop_null()
        if len(codes):
            total += int(pc.sum(pc.binary_length(chunk.dictionary).take(codes)).as_py())
    return total
