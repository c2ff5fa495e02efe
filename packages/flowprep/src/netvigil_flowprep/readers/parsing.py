"""One block of delimited text to a typed polars frame: strict and fast, or forgiving by line.

Nearly every block of a well-made file takes the fast path. A block that does not (a ragged line, a
word among numbers, bytes that are not UTF-8) is read again as text, and whatever has to be left out
or made null is counted. Both paths give the same rows.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from netvigil_flowprep.blocks import Block, utf8
from netvigil_flowprep.tally import Tally

_BLANK = re.compile(rb"^[ \t\r]*$")
DataType = type[pl.DataType]


@dataclass(frozen=True)
class Layout:
    """The columns of a file in its order: one (slugged, distinct) name and a polars type each.

    `header` is the header's own texts, to recognise where a file repeats them between its rows.
    """

    types: Mapping[str, DataType]
    separator: str
    header: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.types)

    def empty(self) -> pl.DataFrame:
        """Return a frame of these columns and `row` without rows."""
        return pl.DataFrame(schema={**self.types, "row": pl.Int64})


def parse(block: Block, layout: Layout, first_row: int, tally: Tally) -> tuple[pl.DataFrame, int]:
    """Return the block's rows and how many data rows of the file it stands for.

    The frame has the layout's columns and `row`, which counts from `first_row`. Lines left out are
    counted in `tally` as read and rejected; the others are not counted yet.
    """
    frame = None if block.has_quotes else _strict(block.data, layout)
    if frame is None:
        return _forgiving(block, layout, first_row, tally)
    return frame.with_columns(row=pl.int_range(first_row, first_row + frame.height)), frame.height


def _strict(data: bytes, layout: Layout) -> pl.DataFrame | None:
    try:
        frame = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            schema=dict(layout.types),
            separator=layout.separator,
            quote_char=None,
        )
    except pl.exceptions.PolarsError:
        return None
    # polars fills a short or blank line up with nulls; counting separators is only worth its time
    # where the last column has some.
    if frame.height and frame[:, -1].null_count():
        separators = data.count(layout.separator.encode())
        if separators != (len(layout) - 1) * data.count(b"\n"):
            return None
    return frame


class _Records(NamedTuple):
    """Where the records of a block lie, [records], blank lines left out."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    fields: NDArray[np.int64]


def _forgiving(
    block: Block, layout: Layout, first_row: int, tally: Tally
) -> tuple[pl.DataFrame, int]:
    data, oddities = _mend_quotes(block, layout.separator)
    records = _records(data, layout.separator)
    rows = first_row + np.arange(len(records.ends))
    for reason, places in (
        ("a quote that never closes", np.asarray(block.strays, np.int64)),
        ("a quote within a field", oddities),
    ):
        mended = np.unique(np.searchsorted(records.ends, places, side="right"))
        tally.repair(reason, rows[mended[mended < len(rows)]])
    whole = records.fields == len(layout)
    for reason, mask in (
        ("a line with too few fields", records.fields < len(layout)),
        ("a line with too many fields", records.fields > len(layout)),
    ):
        if mask.any():
            first = int(np.argmax(mask))
            text = data[records.starts[first] : records.ends[first]]
            tally.lose(reason, rows[mask], value=utf8(text).decode("utf-8", "replace").rstrip())
    frame = _text(_take(data, records, whole), layout).with_columns(pl.Series("row", rows[whole]))
    frame = _drop_headers(frame, layout, tally)
    return _convert(frame, layout, tally), len(rows)


def _mend_quotes(block: Block, separator: str) -> tuple[bytes, NDArray[np.int64]]:
    """Make apostrophes of the quotes of a record where they do not enclose whole fields.

    Newlines within such quotes become spaces, so records stay what they are. Returns the text and
    the places of the quotes.
    """
    nothing = np.empty(0, np.int64)
    if not block.has_quotes:
        return block.data, nothing
    view = np.frombuffer(block.data, np.uint8)
    quotes = np.flatnonzero(view == ord('"'))
    beside = np.frombuffer(f'\n\r"{separator}'.encode(), np.uint8)
    before = np.where(quotes > 0, view[quotes - 1], ord("\n"))
    opening = np.arange(len(quotes)) % 2 == 0
    neighbour = np.where(opening, before, view[np.minimum(quotes + 1, len(view) - 1)])
    odd = ~np.isin(neighbour, beside)
    if not odd.any():
        return block.data, nothing
    ends = _record_ends(view)
    touched = np.unique(np.searchsorted(ends, quotes[odd], side="right"))
    mended = view.copy()
    for places, mend in ((quotes, "'"), (np.flatnonzero(view == ord("\n")), " ")):
        inside = np.isin(np.searchsorted(ends, places, side="right"), touched)
        mended[np.setdiff1d(places[inside], ends - 1, assume_unique=True)] = ord(mend)
    return mended.tobytes(), quotes[odd]


def _record_ends(view: NDArray[np.uint8]) -> NDArray[np.int64]:
    # The parity of quotes so far; uint8 wraps around, which keeps parity.
    outside = np.add.accumulate(view == ord('"'), dtype=np.uint8) & 1 == 0
    return np.flatnonzero((view == ord("\n")) & outside) + 1


def _records(data: bytes, separator: str) -> _Records:
    view = np.frombuffer(data, np.uint8)
    outside = np.add.accumulate(view == ord('"'), dtype=np.uint8) & 1 == 0
    ends = _record_ends(view)
    starts = np.append(0, ends[:-1]) if len(ends) else ends
    if not len(ends):
        return _Records(starts, ends, ends)
    is_separator = (view == ord(separator)) & outside
    fields = np.add.reduceat(is_separator, starts, dtype=np.int64) + 1
    short = np.flatnonzero(ends - starts <= 16)  # blank lines are short; only those are looked at
    blank = [line for line in short if _BLANK.match(data[starts[line] : ends[line] - 1])]
    keep = np.ones(len(ends), np.bool_)
    keep[blank] = False
    return _Records(starts[keep], ends[keep], fields[keep])


def _take(data: bytes, records: _Records, keep: NDArray[np.bool_]) -> bytes:
    lengths = records.ends - records.starts
    if keep.all() and lengths.sum() == len(data):
        return data
    mask = np.zeros(len(data) + 1, np.int8)
    mask[records.starts[keep]] += 1
    mask[records.ends[keep]] -= 1
    inside = np.cumsum(mask[:-1], dtype=np.int8) > 0
    return np.frombuffer(data, np.uint8)[inside].tobytes()


def _text(data: bytes, layout: Layout) -> pl.DataFrame:
    names = list(layout.types)
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.read_csv(
        io.BytesIO(utf8(data)),
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        separator=layout.separator,
        truncate_ragged_lines=True,
    )


def _drop_headers(frame: pl.DataFrame, layout: Layout, tally: Tally) -> pl.DataFrame:
    if not layout.header or not frame.height:
        return frame
    pairs = list(zip(layout.types, layout.header, strict=True))[:4]
    same = pl.all_horizontal(pl.col(n).str.strip_chars() == text.strip() for n, text in pairs)
    repeats = frame.select(same.fill_null(value=False)).to_series()
    if not repeats.any():
        return frame
    tally.lose("a repeated header", frame["row"].filter(repeats).to_numpy())
    return frame.filter(~repeats)


def _convert(frame: pl.DataFrame, layout: Layout, tally: Tally) -> pl.DataFrame:
    numeric = {name: dtype for name, dtype in layout.types.items() if dtype != pl.String}
    stripped = frame.with_columns(
        pl.col(name).str.strip_chars().replace(["", "-"], None) for name in numeric
    )
    typed = stripped.with_columns(_number(name, dtype) for name, dtype in numeric.items())
    for name in numeric:
        if typed[name].null_count() > stripped[name].null_count():
            mended = typed[name].is_null() & stripped[name].is_not_null()
            rows = frame["row"].filter(mended).to_numpy()
            tally.repair(f"{name} not a number", rows, value=frame[name].filter(mended)[0])
    return typed


def _number(name: str, dtype: DataType) -> pl.Expr:
    column = pl.col(name)
    number = column.cast(dtype, strict=False)
    if dtype.is_float():
        return number
    # "3.0" is a count too.
    return pl.coalesce(number, column.cast(pl.Float64, strict=False).cast(dtype, strict=False))
