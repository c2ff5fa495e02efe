"""`LabelTable`: ground truth, in a room of its own.

Only labellers write it; only evaluation, the runner's `train.drop_attacks` and supervised parts
read it. A flow that is not in the table is *unknown*, which is not the same as benign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.contracts.ids import distinct
from netvigil.errors import ContractError

LABELS = pa.schema(
    [
        ("flow_id", pa.int64()),
        ("is_attack", pa.bool_()),
        ("attack", pa.dictionary(pa.int32(), pa.string())),
    ]
)


@dataclass(frozen=True)
class LabelTable:
    """Known truth about flows.

    Shapes:
        table: [known flows, 3]: `flow_id` int64 unique, `is_attack` bool without nulls, `attack`
            dictionary string (the category of an attack; null for benign flows)

    Raises:
        ContractError: Wrong columns, repeated ids, a null `is_attack`.
    """

    table: pa.Table

    def __post_init__(self) -> None:
        if self.table.schema.names != LABELS.names or self.table.schema.types != LABELS.types:
            msg = f"A label table has the columns {', '.join(map(str, LABELS))}."
            raise ContractError(msg, where=f"Found: {', '.join(map(str, self.table.schema))}")
        ids = self.table["flow_id"].to_numpy()
        # Ids usually increase, so the cheap test comes before the search for repetitions.
        if distinct(ids) != len(ids):
            msg = "A flow has two labels."
            raise ContractError(msg)
        if self.table["is_attack"].null_count or self.table["flow_id"].null_count:
            msg = "A label table says nothing about some of its flows."
            raise ContractError(msg, do="Leave unknown flows out of the table.")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @staticmethod
    def of(
        flow_id: NDArray[np.int64], is_attack: NDArray[np.bool_], attack: pa.Array | pa.ChunkedArray
    ) -> LabelTable:
        """Make a table from three columns of equal length; `attack` is made null where benign."""
        if isinstance(attack, pa.ChunkedArray):
            attack = attack.combine_chunks()
        if pa.types.is_dictionary(attack.type):
            attack = attack.cast(pa.string())
        truth = pa.array(np.ascontiguousarray(is_attack))
        attack = pc.if_else(truth, attack, pa.scalar(None, pa.string()))
        columns = [pa.array(flow_id, pa.int64()), truth, attack.dictionary_encode()]
        return LabelTable(pa.table(columns, schema=LABELS))

    @staticmethod
    def empty() -> LabelTable:
        """Return a table that knows nothing."""
        return LabelTable(LABELS.empty_table())

    def in_order_of(self, flow_id: NDArray[np.int64]) -> bool:
        """Say whether the table knows these flows, in this order, and no others."""
        return np.array_equal(self.table["flow_id"].to_numpy(), flow_id)

    def rows(self, flow_id: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return each flow's row, int64 [flows], and whether it has one, bool [flows].

        The row of a flow without one is any row, or -1 where the table has none.
        """
        known_ids = self.table["flow_id"].to_numpy()
        if not len(known_ids):
            return np.full(len(flow_id), -1), np.zeros(len(flow_id), np.bool_)
        if self.in_order_of(flow_id):
            return np.arange(len(flow_id)), np.ones(len(flow_id), np.bool_)
        order = np.argsort(known_ids, kind="stable")
        place = np.searchsorted(known_ids, flow_id, sorter=order)
        row = order[np.minimum(place, len(order) - 1)]
        return row, known_ids[row] == flow_id

    def align(self, flow_id: NDArray[np.int64]) -> AlignedLabels:
        """Look up flows by id; flows that are not in the table come back as unknown."""
        row, known = self.rows(flow_id)
        truth = self.table["is_attack"].to_numpy()
        is_attack = truth[row] & known if len(truth) else known.copy()
        attack = (
            self.table["attack"].combine_chunks().cast(pa.string()).to_numpy(zero_copy_only=False)
        )
        names = np.full(len(flow_id), "", dtype=object)
        if len(truth):
            filled = np.where(attack == None, "attack", attack)  # noqa: E711 - elementwise on objects
            names[is_attack] = filled[row[is_attack]]
        return AlignedLabels(known=known, is_attack=is_attack, attack=names.astype(str))


@dataclass(frozen=True)
class AlignedLabels:
    """Truth in the order of some flows.

    Shapes:
        known, is_attack: bool [flows]; `is_attack` is false where unknown
        attack: str [flows], empty where benign or unknown
    """

    known: NDArray[np.bool_]
    is_attack: NDArray[np.bool_]
    attack: NDArray[np.str_]
