"""Merges the pieces of each conversation, column by column, as `merge_rules` says."""

from __future__ import annotations

from functools import lru_cache

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
    columns, places = result.columns, np.flatnonzero(several)
    for place, field in enumerate(table.schema):
        merged = pieces.merged(field.name)
        if merged is not None:
            columns[place] = _replaced(columns[place], places, merged)
    return pa.table(columns, schema=table.schema)


def _replaced(
    column: pa.ChunkedArray, places: NDArray[np.int64], merged: pa.ChunkedArray
) -> pa.ChunkedArray:
    """Return a column with merged values, one after the other, in these places."""
    whole, new = column.combine_chunks(), merged.combine_chunks()
    if pa.types.is_dictionary(column.type):
        both = pa.chunked_array([whole, new], column.type).unify_dictionaries()
        codes = [chunk.indices for chunk in both.chunks]
        chosen = _put(codes[0], places, codes[1])
        return pa.chunked_array([pa.DictionaryArray.from_arrays(chosen, both.chunk(0).dictionary)])
    return pa.chunked_array([_put(whole, places, new)])


def _put(whole: pa.Array, places: NDArray[np.int64], new: pa.Array) -> pa.Array:
    """Return an array with new values in some places."""
    kind = whole.type
    if (
        pa.types.is_boolean(kind)
        or not pa.types.is_primitive(kind)
        or whole.null_count + new.null_count
    ):
        mask = np.zeros(len(whole), np.bool_)
        mask[places] = True
        return pc.replace_with_mask(whole, pa.array(mask), new)
    # Where nothing is unknown, numbers of any kind are so many bytes.
    values = _bytes(whole).copy()
    values[places] = _bytes(new)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _bytes(array: pa.Array) -> NDArray[np.unsignedinteger]:
    number = np.dtype(f"u{array.type.bit_width // 8}")
    return np.frombuffer(array.buffers()[1], number, len(array), array.offset * number.itemsize)


@lru_cache(maxsize=1024)
def _other_direction(name: str, columns: tuple[str, ...]) -> str | None:
    """Remember `other_direction`: batch after batch has the same columns."""
    return other_direction(name, columns)


class Pieces:
    """Pieces in the order of their flows, each turned into its flow's direction."""

    def __init__(
        self, table: pa.Table, reverse: NDArray[np.bool_], flow: NDArray[np.int64]
    ) -> None:
        self._table, self._reverse = table, reverse
        self._columns, self._against = tuple(table.column_names), np.flatnonzero(reverse)
        self._counted: dict[tuple[str, bool], NDArray[np.float64]] = {}
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
            return segments.known(values, segments.total(values))
        if rule == "rate":
            return segments.mean(values, self._floats(self._table["duration_s"]))
        first = values
        if rule != "first":
            samples = self._samples(name)
            # Exporters write 0 for the packets of a direction that had none.
            values = np.where(samples == 0, np.nan, values)
            found = self._of_samples(name, rule, values, samples)
            if not (lacking := np.isnan(found)).any():
                return found
        first = first[self._chosen(~np.isnan(first), last=False)]
        return first if rule == "first" else np.where(lacking, first, found)

    def _of_samples(
        self, name: str, rule: str, values: NDArray[np.float64], samples: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        segments = self._segments
        if rule in ("min", "max"):
            return segments.least(values) if rule == "min" else segments.most(values)
        if rule == "mean":
            return segments.mean(values, samples)
        mean = mean_of(name, self._columns)
        means = None if mean is None else self._turned(mean)
        squares = values if rule == "variance" else values**2
        pooled = segments.known(values, segments.variance(squares, means, samples))
        return pooled if rule == "variance" else np.sqrt(pooled)

    def _turned(self, name: str) -> NDArray[np.float64]:
        """Return a column's values, those of reversed pieces from its counterpart."""
        other = _other_direction(name, self._columns)
        values = self._floats(self._table[name])
        if other == name or not len(self._against):
            return values
        turned, rows = values.copy(), self._against
        turned[rows] = (
            np.nan if other is None else self._floats(self._table[other].take(pa.array(rows)))
        )
        return turned

    def _samples(self, name: str) -> NDArray[np.float64]:
        """Return how many packets (or gaps between them) each piece has, NaN where unknown."""
        about = direction_of(name, self._columns)
        gaps = any(word in name for word in ("iat", "interval", "intpkt", "inter_packet"))
        if (about, gaps) not in self._counted:
            self._counted[about, gaps] = self._count(about, gaps=gaps)
        return self._counted[about, gaps]

    def _count(self, about: str, *, gaps: bool) -> NDArray[np.float64]:
        if about == "both":
            forth, back = self._turned("fwd_packets"), self._turned("bwd_packets")
            packets = np.where(np.isnan(forth), back, forth + np.nan_to_num(back))
        else:
            packets = self._turned(f"{about}_packets")
        return np.maximum(packets - 1, 0) if gaps else packets

    def _floats(self, column: pa.ChunkedArray) -> NDArray[np.float64]:
        values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
        return values

    def _integers(self, name: str) -> tuple[pa.ChunkedArray, NDArray[np.bool_]]:
        """Return an integer column turned, nulls as 0, and where it has values."""
        other, column = _other_direction(name, self._columns), self._table[name]
        against = pa.scalar(None, column.type) if other is None else self._table[other]
        turned = pc.if_else(pa.array(self._reverse), against, column)
        return turned.fill_null(0), turned.is_valid().to_numpy()

    def _summed(self, name: str) -> pa.ChunkedArray:
        values, valid = self._integers(name)
        total = np.add.reduceat(values.to_numpy(), self._segments.first)
        unknown = ~np.logical_or.reduceat(valid, self._segments.first)
        return pa.chunked_array([pa.array(total, pa.uint64(), mask=unknown)])

    def _ored(self, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        values, valid = self._integers(name)
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
