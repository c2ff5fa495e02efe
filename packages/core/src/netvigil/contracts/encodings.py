"""`EncodedFlows`: what an encoder says of each flow: an embedding, named error terms, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import ContractError


@dataclass(frozen=True)
class EncodedFlows:
    """An encoding of flows, in their order.

    Where flows share encodings, as all flows of a host pair do in Anomal-E, `embedding` holds each
    encoding once and `row` says which one is whose; `per_flow` writes them out.

    Shapes:
        flow_id, window_start: int64 [flows]
        embedding: float32 [flows, dim], or [rows, dim] with `row`, or None
        row: int64 [flows], rows of `embedding`, or None where each flow has its own
        terms: name -> float32 [flows], parts of a reconstruction error, higher is worse

    Raises:
        ContractError: Lengths that disagree, a row outside the embedding, values that are not
            finite, neither embedding nor terms.
    """

    flow_id: NDArray[np.int64]
    window_start: NDArray[np.int64]
    embedding: NDArray[np.float32] | None = None
    row: NDArray[np.int64] | None = None
    terms: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        flows = len(self.flow_id)
        if self.embedding is None and not self.terms:
            msg = "An encoding needs an embedding or at least one term."
            raise ContractError(msg)
        arrays: dict[str, NDArray[Any]] = {"window_start": self.window_start, **self.terms}
        if self.row is not None:
            self._check_rows(self.row)
            arrays["row"] = self.row
        if self.embedding is not None:
            arrays["embedding"] = self.embedding
        for name, array in arrays.items():
            if len(array) != flows and (self.row is None or name != "embedding"):
                msg = f"'{name}' of an encoding has {len(array):,} rows for {flows:,} flows."
                raise ContractError(msg, do="Each flow must appear exactly once, in order.")
            with np.errstate(invalid="ignore"):  # opposite infinities add up to NaN
                total = array.sum(dtype=np.float64) if array.dtype.kind == "f" else 0.0
            if not np.isfinite(total):
                msg = f"'{name}' of an encoding holds NaN or infinity."
                raise ContractError(msg)

    def __len__(self) -> int:
        return len(self.flow_id)

    def _check_rows(self, row: NDArray[np.int64]) -> None:
        rows = 0 if self.embedding is None else len(self.embedding)
        if len(row) and (row.min() < 0 or row.max() >= rows):
            msg = f"A flow of an encoding points outside its {rows:,} shared rows."
            raise ContractError(msg)

    def per_flow(self) -> NDArray[np.float32] | None:
        """Return the embedding written out, float32 [flows, dim]; a copy where flows share rows."""
        if self.embedding is None or self.row is None:
            return self.embedding
        return self.embedding[self.row]

    def take(self, rows: NDArray[np.int64]) -> EncodedFlows:
        """Return the flows at these row numbers; shared encodings stay shared."""
        shared = self.row is not None
        return EncodedFlows(
            flow_id=self.flow_id[rows],
            window_start=self.window_start[rows],
            embedding=self.embedding if self.embedding is None or shared else self.embedding[rows],
            row=None if self.row is None else self.row[rows],
            terms={name: term[rows] for name, term in self.terms.items()},
        )

    @staticmethod
    def concat(parts: Sequence[EncodedFlows]) -> EncodedFlows:
        """Join encodings of the same encoder one after another."""
        if not parts:
            msg = "There is nothing to join."
            raise ContractError(msg)
        embeddings = [p.embedding for p in parts if p.embedding is not None]
        return EncodedFlows(
            flow_id=np.concatenate([p.flow_id for p in parts]),
            window_start=np.concatenate([p.window_start for p in parts]),
            embedding=np.concatenate(embeddings) if embeddings else None,
            row=_joined_rows(parts),
            terms={n: np.concatenate([p.terms[n] for p in parts]) for n in parts[0].terms},
        )


def _joined_rows(parts: Sequence[EncodedFlows]) -> NDArray[np.int64] | None:
    """Count each part's rows on from those of the parts before it."""
    if all(part.row is None for part in parts):
        return None
    pieces, first = [], 0
    for part in parts:
        row = np.arange(len(part)) if part.row is None else part.row
        pieces.append(row + first)
        first += 0 if part.embedding is None else len(part.embedding)
    return np.concatenate(pieces)
