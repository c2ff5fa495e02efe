"""`JoinedFlows`: flows made of several records of one conversation, and where each record went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts.flows import FlowTable
from netvigil.contracts.labels import LabelTable


@dataclass(frozen=True)
class JoinedFlows:
    """Joined flows, and where each piece went.

    Shapes:
        old_id, new_id: int64 [pieces], in the order of the pieces; a flow has the id of its first
            piece
    """

    flows: FlowTable
    old_id: NDArray[np.int64]
    new_id: NDArray[np.int64]

    def relabel(self, labels: LabelTable) -> LabelTable:
        """Return the labels of the joined flows.

        A flow is an attack (of the first such piece's category) if any piece is one, else unknown
        if any piece is unknown, else benign.
        """
        pieces = labels.align(self.old_id)
        flow_id, flow = np.unique(self.new_id, return_inverse=True)
        is_attack = np.bincount(flow, pieces.is_attack, len(flow_id)) > 0
        unknown = np.bincount(flow, ~pieces.known, len(flow_id)) > 0
        rows = np.flatnonzero(pieces.is_attack)[::-1]
        first = np.zeros(len(flow_id), np.int64)
        first[flow[rows]] = rows  # of equal places the last one written stays: the first piece
        keep = is_attack | ~unknown
        names = pa.array(pieces.attack[first[keep]], pa.string())
        return LabelTable.of(flow_id[keep], is_attack[keep], names)
