"""The shape of a formula, how it becomes a `State`, and how it is applied block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import BundleError
from netvigil.protocols import State
from netvigil_scorers.formulas.threads import one_blas_thread, side_by_side

F = TypeVar("F", bound="Formula")
T = TypeVar("T", bound=np.generic)
PLAIN = (bool, int, float, str, type(None))
# A matrix product works on tiles of 6, 8, 16, 24, ... rows and may round otherwise in one that is
# not full, so even at one shape the last rows of a block could get other bits. Multiples of 192
# fill all of these; 1,152 rows of 52 features fit the cache.
GEMM_ROWS = 6 * 192


class Formula(Protocol):
    """A fitted detector as data.

    `score` is only ever given a multiple of `block_rows` rows, and at most `most_rows`. Where both
    are equal it sees one shape; a formula that never looks across rows takes any number (1). One
    that says `searches` is given its blocks several at a time.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    block_rows: ClassVar[int]
    most_rows: ClassVar[int]

    @classmethod
    def learn(cls, detector: Any, rows: NDArray[np.float64], config: Any) -> Self:
        """Fit this detector on `rows` [flows, dim] and read out what scoring needs."""
        ...

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score each row of a block [rows, dim]; higher means more anomalous."""
        ...


def score_in_blocks(formula: Formula, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score rows [flows, dim] by `in_blocks`."""
    return in_blocks(formula, rows, formula.score, np.float64)


def in_blocks(
    formula: Formula,
    rows: NDArray[np.float32],
    measure: Callable[[NDArray[np.float32]], NDArray[Any]],
    kind: type[T],
) -> NDArray[T]:
    """Measure rows [flows, dim] block by block; a short block is filled up with its last row.

    Matrix products choose their kernel, and so their rounding, by shape. With one shape for every
    call, and blocks made of whole tiles (see `GEMM_ROWS`), a flow gets the same bits alone, in a
    window of fifty, or in a batch of a million.
    """
    out = np.empty(len(rows), dtype=kind)

    def one(number: int) -> None:
        first = number * formula.most_rows
        block = np.ascontiguousarray(rows[first : first + formula.most_rows])
        filled = len(block)
        if lacking := -filled % formula.block_rows:
            block = np.concatenate([block, np.repeat(block[-1:], lacking, axis=0)])
        out[first : first + filled] = measure(block)[:filled]

    blocks = -(-len(rows) // formula.most_rows)
    with one_blas_thread():
        if getattr(formula, "searches", False):
            side_by_side(one, blocks)
        else:
            for number in range(blocks):
                one(number)
    return out


def to_state(formula: Formula, *, dim: int) -> State:
    """Sort the fields of a formula into arrays, plain values and estimators."""
    arrays: dict[str, Any] = {}
    values: dict[str, Any] = {"dim": dim}
    estimators: dict[str, Any] = {}
    for field in (field for field in fields(formula) if field.init):
        value = getattr(formula, field.name)
        kind = (
            arrays
            if isinstance(value, np.ndarray)
            else values
            if isinstance(value, PLAIN)
            else estimators
        )
        kind[field.name] = value
    return State(arrays=arrays, values=values, estimators=estimators)


def from_state(kind: type[F], state: State, *, name: str) -> tuple[F, int]:
    """Rebuild a formula and its `dim`.

    Raises:
        BundleError: If the state is not one of this detector.
    """
    values = dict(state.values)
    dim = values.pop("dim", None)
    given = {**state.arrays, **values, **state.estimators}
    expected = {field.name for field in fields(kind) if field.init}
    if set(given) != expected or not isinstance(dim, int):
        msg = f"This is not a state of scorer '{name}'."
        found = f"It holds {sorted(given)}; expected {sorted(expected)}."
        raise BundleError(msg, where=found, do="Fit the pipeline again and save a new bundle.")
    return kind(**given), dim
