"""Merges the pieces of each conversation, column by column, as `merge_rules` says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil_flowprep.merge_rules import direction_of, mean_of, other_direction, rule_of
from netvigil_flowprep.segments import Segments

IDENTITY = ("flow_id", "src_ip", "dst_ip", "src_port", "dst_port")
"""Always the first piece's, known or not."""


def merge(
    table: pa.Table,
    *,
    of_piece: NDArray[np.int64],
    first: NDArray[np.int64],
    reverse: NDArray[np.bool_],
) -> pa.Table:
    """Return one row per flow; flows of one piece keep theirs bit for bit.

    Shapes:
        of_piece: int64 [pieces], the number of each piece's flow; first: int64 [flows], rows of
        first pieces
        reverse: bool [pieces], whether a piece runs against its flow's direction
    """
    result = table.take(pa.array(first))
    several = np.bincount(of_piece) > 1
    if not several.any():
        return result
    # Only pieces of flows with several of them are looked at, flow by flow.
    rows = np.flatnonzero(several[of_piece])
    rows = rows[np.argsort(of_piece[rows], kind="stable")]
    flow = of_piece[rows]
    pieces = Pieces(table.take(pa.array(rows)), reverse[rows], flow)
    # Merged values stand behind the others, and one gather puts them into their places.
    source = np.arange(len(first))
    source[several] = len(first) + np.arange(np.count_nonzero(several))
    places = pa.array(source)
    for place, field in enumerate(table.schema):
        merged = pieces.merged(field.name)
        if merged is not None:
            both = pa.chunked_array([*result[field.name].chunks, *merged.chunks], field.type)
            result = result.set_column(place, field, both.unify_dictionaries().take(places))
    return result


class Pieces:
    """Pieces in the order of their flows, each turned into its flow's direction."""

    def __init__(
        self, table: pa.Table, reverse: NDArray[np.bool_], flow: NDArray[np.int64]
    ) -> None:
        self._table, self._reverse = table, reverse
        self._segments = Segments(np.flatnonzero(np.append(True, flow[1:] != flow[:-1])), len(flow))

    def merged(self, name: str) -> pa.ChunkedArray | None:
        """Return one value per flow, or None where the first piece's value stands."""
        rule, kind = rule_of(name), self._table.schema.field(name).type
        if name in IDENTITY:
            return None
        if rule in ("first", "last") and not name.startswith("x_"):
            valid = self._table[name].is_valid().to_numpy()
            return self._table[name].take(pa.array(self._chosen(valid, last=rule == "last")))
        if rule == "or":
            return self._ored(name, kind)
        if pa.types.is_uint64(kind):
            return self._summed(name)
        if pa.types.is_timestamp(kind):
            times = self._table[name].cast(pa.int64()).to_numpy()
            reduce = np.minimum.reduceat if rule == "min" else np.maximum.reduceat
            return pa.chunked_array([pa.array(reduce(times, self._segments.first)).cast(kind)])
        values = self._statistic(name, rule)
        return pa.chunked_array([pa.array(values, pa.float64(), from_pandas=True).cast(kind)])

    def _statistic(self, name: str, rule: str) -> NDArray[np.float64]:
        segments = self._segments
        if rule == "span":
            start = self._table["start"].cast(pa.int64()).to_numpy()[segments.first]
            end = self._table["end"].cast(pa.int64()).to_numpy()
            return np.asarray((np.maximum.reduceat(end, segments.first) - start) / 1e6, np.float64)
        values = self._turned(name)
        if rule == "sum":
            return np.where(segments.any_value(values), segments.total(values), np.nan)
        if rule == "rate":
            return segments.mean(values, self._floats("duration_s"))
        first = values[self._chosen(~np.isnan(values), last=False)]
        if rule == "first":
            return first
        samples = self._samples(name)
        # Exporters write 0 for the packets of a direction that had none.
        values = np.where(samples == 0, np.nan, values)
        found = self._of_samples(name, rule, values, samples)
        return np.where(np.isnan(found), first, found)

    def _of_samples(
        self, name: str, rule: str, values: NDArray[np.float64], samples: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        segments = self._segments
        if rule in ("min", "max"):
            return segments.least(values) if rule == "min" else segments.most(values)
        if rule == "mean":
            return segments.mean(values, samples)
        mean = mean_of(name, self._table.column_names)
        means = None if mean is None else self._turned(mean)
        squares = values if rule == "variance" else values**2
        pooled = segments.variance(squares, means, samples)
        pooled[~segments.any_value(values)] = np.nan
        return pooled if rule == "variance" else np.sqrt(pooled)

    def _turned(self, name: str) -> NDArray[np.float64]:
        """Return a column's values, those of reversed pieces from its counterpart."""
        other = other_direction(name, self._table.column_names)
        values = self._floats(name)
        if other == name:
            return values
        against = np.full(len(values), np.nan) if other is None else self._floats(other)
        return np.where(self._reverse, against, values)

    def _samples(self, name: str) -> NDArray[np.float64]:
        """Return how many packets (or gaps between them) each piece has, NaN where unknown."""
        about = direction_of(name, self._table.column_names)
        if about == "both":
            forth, back = self._turned("fwd_packets"), self._turned("bwd_packets")
            packets = np.where(np.isnan(forth), back, forth + np.nan_to_num(back))
        else:
            packets = self._turned(f"{about}_packets")
        gaps = any(word in name for word in ("iat", "interval", "intpkt", "inter_packet"))
        return np.maximum(packets - 1, 0) if gaps else packets

    def _floats(self, name: str) -> NDArray[np.float64]:
        values: NDArray[np.float64]
        values = self._table[name].cast(pa.float64(), safe=False).to_numpy()
        return values

    def _columns(self, name: str) -> tuple[pa.ChunkedArray, NDArray[np.bool_]]:
        """Return an integer column turned, nulls as 0, and where it has values."""
        other = other_direction(name, self._table.column_names)
        column = self._table[name]
        against = pa.scalar(None, column.type) if other is None else self._table[other]
        turned = pc.if_else(pa.array(self._reverse), against, column)
        return turned.fill_null(0), turned.is_valid().to_numpy()

    def _summed(self, name: str) -> pa.ChunkedArray:
        values, valid = self._columns(name)
        total = np.add.reduceat(values.to_numpy(), self._segments.first)
        unknown = ~np.logical_or.reduceat(valid, self._segments.first)
        return pa.chunked_array([pa.array(total, pa.uint64(), mask=unknown)])

    def _ored(self, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        values, valid = self._columns(name)
        bits = np.bitwise_or.reduceat(values.to_numpy(), self._segments.first)
        unknown = ~np.logical_or.reduceat(valid, self._segments.first)
        return pa.chunked_array([pa.array(bits, kind, mask=unknown)])

    def _chosen(self, valid: NDArray[np.bool_], *, last: bool) -> NDArray[np.int64]:
        """Return the row of each flow's first or last valid piece, or of its first piece."""
        segments = self._segments
        rows = np.arange(segments.rows)
        if last:
            chosen = np.maximum.reduceat(np.where(valid, rows, -1), segments.first)
        else:
            chosen = np.minimum.reduceat(np.where(valid, rows, segments.rows), segments.first)
        return np.where((chosen >= 0) & (chosen < segments.rows), chosen, segments.first)
