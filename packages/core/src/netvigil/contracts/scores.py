"""`ScoreTable`: one finite score per flow; higher means more anomalous, everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts.ids import distinct
from netvigil.errors import ContractError


@dataclass(frozen=True)
class ScoreTable:
    """Scores of flows.

    Shapes:
        flow_id: int64 [flows], unique; score: float64 [flows], finite, no fixed range
        window_start: int64 [flows], of the window the flow was scored in

    Raises:
        ContractError: Lengths that disagree, a score that is not finite, a flow with two scores.
    """

    flow_id: NDArray[np.int64]
    score: NDArray[np.float64]
    window_start: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.flow_id) == len(self.score) == len(self.window_start):
            lengths = f"{len(self.flow_id):,}, {len(self.score):,}, {len(self.window_start):,}"
            msg = f"A score table has columns of {lengths} rows."
            raise ContractError(msg, do="One flow in, one score out.")
        if not np.isfinite(self.score).all():
            broken = int((~np.isfinite(self.score)).sum())
            msg = f"{broken:,} of {len(self.score):,} scores are not finite."
            raise ContractError(msg, do="A scorer must rank every flow; see its settings.")
        ids = self.flow_id
        if distinct(ids) != len(ids):
            msg = "A flow has two scores."
            raise ContractError(msg, do="One flow in, one score out.")

    def __len__(self) -> int:
        return len(self.flow_id)
