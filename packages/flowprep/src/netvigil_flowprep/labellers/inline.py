"""Labeller `inline`: the label column that the source itself carries.

What the words mean in each dialect (Background is unknown, an empty UNSW category is normal, ...)
is decided in `rules`, once for all readers.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.contracts import FlowTable, LabelTable
from netvigil.errors import SourceError
from netvigil.parts import NoConfig
from netvigil_flowprep.labellers.rules import interpret
from netvigil_flowprep.labellers.summary import LabelSummary, Tally


class Inline:
    """Labels flows by the source's own label text."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config
        self._tally = Tally()

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        """Label flows by the rows of `inline` with their ids; a flow without a row is unknown.

        Raises:
            SourceError: The source has no label column.
        """
        if inline is None:
            msg = f"Flows read as '{flows.info.format}' carry no labels of their own."
            raise SourceError(msg, do="Use the labeller 'events' or 'ground-truth', or none.")
        if not inline.num_rows or not len(flows):
            return self._tally.add(len(flows), LabelTable.empty())
        rows, found = _rows_of(flows.flow_id, inline["flow_id"].to_numpy())
        taken = inline.take(pa.array(rows)) if rows is not None else inline
        known, is_attack, category = interpret(
            _text(taken, "label"), _text(taken, "attack"), flows.info.format
        )
        keep = np.asarray(known, np.bool_) & found
        attack = pl.Series("attack", category).to_arrow().cast(pa.string())
        labels = LabelTable.of(
            flows.flow_id[keep],
            np.asarray(is_attack, np.bool_)[keep],
            attack.filter(pa.array(keep)),
        )
        return self._tally.add(len(flows), labels)

    def summary(self) -> LabelSummary:
        """Return counts over all calls."""
        return self._tally.summary()


def _rows_of(
    flow_id: NDArray[np.int64], inline_id: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_]]:
    """Return each flow's row in the inline table, or None if in step, and whether it has one."""
    if np.array_equal(flow_id, inline_id):
        return None, np.ones(len(flow_id), np.bool_)
    order = np.argsort(inline_id, kind="stable")
    place = np.minimum(np.searchsorted(inline_id, flow_id, sorter=order), len(order) - 1)
    rows = order[place]
    return rows, inline_id[rows] == flow_id


def _text(table: pa.Table, name: str) -> pl.Series | None:
    # A source without attack names gives an attack column of nulls; the label column stays.
    empty = name == "attack" and name in table.column_names and table[name].null_count == len(table)
    if name not in table.column_names or empty:
        return None
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, pa.string())
    return pl.Series(name, column)
