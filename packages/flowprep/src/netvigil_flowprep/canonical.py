"""From a polars frame with canonical column names to a checked `FlowBatch`: what all readers share.

A reader renames and scales its columns; everything that must hold for every source happens here,
once and vectorised: types and ranges, repairs and rejections with their count, missing columns,
order, identities, and the split of the label text from the flows.

The frame's columns, all but `row` optional:
    row: Int64, 0-based ordinal of the data row in its file
    start_us, end_us: Int64, microseconds since 1970 UTC (absent for a row-order source)
    duration_s, and the columns of `CANONICAL` and `OPTIONAL` in `netvigil.contracts.flows` under
        their names, numbers as any numeric type or text; `protocol` is a number, see `ip_protocols`
    x_<name>: numeric features (numbers or text); c_<name>: text categories
    label, attack: text of the source's own labels, handed on untouched
"""

from __future__ import annotations

import ipaddress
import re

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.contracts import FlowBatch, FlowInfo, FlowTable
from netvigil.contracts.flows import CANONICAL, CATEGORY, FEATURE, OPTIONAL, TEXT, TIMESTAMP
from netvigil_flowprep.distinct import encode, recode
from netvigil_flowprep.tally import Tally

# 2200-01-01: later "times" are garbage, and sums with durations stay far from overflow.
LATEST_US = 7_258_118_400_000_000
LONGEST_S = 3.2e9  # a century

_POLARS = {
    pa.uint8(): pl.UInt8, pa.uint16(): pl.UInt16, pa.uint64(): pl.UInt64, pa.float64(): pl.Float64
}  # fmt: skip
_RANGES: dict[type[pl.DataType] | None, str] = {
    pl.UInt8: "0..255", pl.UInt16: "0..65535", pl.UInt64: "0..2^64"
}  # fmt: skip
# Colons together with capitals, leading zeros or runs of zeros: RFC 5952 would write it otherwise.
_UNUSUAL_IPV6 = r":.*[A-F]|[A-F].*:|(^|:)0[0-9a-fA-F]|(^|:)0:0(:|$)|::0(:|$)|(^|:)0::|:.*\."
_NO_VALUE = ("", "-")
_LOWER = frozenset({"l7_proto", "c_protocol", "c_dir"})


def to_batch(
    frame: pl.DataFrame, info: FlowInfo, *, source_file: str, first_row: int, tally: Tally
) -> FlowBatch:
    """Make one batch; `flow_id` is `first_row + row`, `source_row` is `row`.

    `first_row` counts the data rows of the source's earlier files. The frame's rows are added to
    `tally.read`; the report covers everything in `tally` and clears it.

    Repairs: a number that is not finite, not a number or out of range becomes null; a negative
    duration becomes null; an end before its start is taken from the duration. Rejected: no
    (plausible) start where the source has a clock.
    """
    tally.read += frame.height
    frame = _numbers(frame, tally)
    if info.time_basis == "clock":
        frame = _times(frame, tally)
    arrow = _arrow(frame, source_file, first_row)
    return FlowBatch(FlowTable(arrow, info), tally.report(), _inline(frame, arrow))


def feature_name(name: str) -> str:
    """Return the `x_` name of a source column.

    Example:
        >>> feature_name(" Flow Bytes/s")
        'x_flow_bytes_s'
    """
    return f"x_{slug(name)}"


def slug(name: str) -> str:
    """Return a column name in lower case, other characters than a-z and 0-9 as underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def numeric_type(name: str) -> type[pl.DataType] | None:
    """Return the polars type of a numeric canonical column or feature, None for any other name."""
    if FEATURE.match(name):
        return pl.Float32
    return _POLARS.get(CANONICAL.get(name) or OPTIONAL.get(name))


def _numbers(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    targets = {n: t for n in frame.columns if (t := numeric_type(n)) is not None}
    found = frame.schema  # made anew at each access
    casts = [
        _cast(pl.col(name), found[name], target)
        for name, target in targets.items()
        if found[name] != target
    ]
    cast = frame.with_columns(casts)
    floats = [name for name, target in targets.items() if target in {pl.Float32, pl.Float64}]
    # A sum is finite exactly when every value is (but for overflow: hence the second look).
    sums = cast.select(pl.col(floats).sum()).row(0) if floats else ()
    suspects = [n for n, total in zip(floats, sums, strict=True) if not np.isfinite(total)]
    cast = cast.with_columns(
        pl.when(pl.col(n).is_finite()).then(pl.col(n)).alias(n) for n in suspects
    )
    for name, target in targets.items():
        if cast[name].null_count() > frame[name].null_count():
            mended = cast[name].is_null() & frame[name].is_not_null()
            range_ = _RANGES.get(target)
            reason = f"{name} not a number in {range_}" if range_ else f"{name} not a finite number"
            _note_repair(frame, mended, name, reason, tally)
    return cast


def _cast(column: pl.Expr, found: pl.DataType, target: type[pl.DataType]) -> pl.Expr:
    if found != pl.String:
        return column.cast(target, strict=False)
    column = column.str.strip_chars()
    number = column.cast(target, strict=False)
    # "3.0" and "1e3" are counts too, but text straight to an integer would not have them.
    return pl.coalesce(number, column.cast(pl.Float64, strict=False).cast(target, strict=False))


def _times(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    start = frame["start_us"].cast(pl.Int64, strict=False)
    bad = ~start.is_between(0, LATEST_US).fill_null(False)  # noqa: FBT003 - polars takes it by position
    if bad.any():
        tally.reject("no start time", _rows(frame, bad & start.is_null()))
        outside = bad & start.is_not_null()
        tally.reject(
            "start time outside 1970..2200", _rows(frame, outside), value=_first(start, outside)
        )
        frame = frame.filter(~bad)
    frame = frame.with_columns(pl.col("start_us").cast(pl.Int64))
    frame = _durations(frame, tally)
    frame = _ends(frame, tally)
    return frame if frame["start_us"].is_sorted() else frame.sort("start_us", maintain_order=True)


def _durations(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    if "duration_s" not in frame.columns:
        return frame
    duration = frame["duration_s"]
    bad = ~duration.is_between(0.0, LONGEST_S).fill_null(True)  # noqa: FBT003
    if not bad.any():
        return frame
    for reason, mask in (
        ("negative duration", bad & (duration < 0)),
        ("duration over a century", bad & (duration > 0)),
    ):
        _note_repair(frame, mask, "duration_s", reason, tally)
    return frame.with_columns(
        pl.when(pl.col("duration_s").is_between(0.0, LONGEST_S)).then(pl.col("duration_s"))
    )


def _ends(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    start = pl.col("start_us")
    if "duration_s" in frame.columns:
        length_us = (pl.col("duration_s") * 1e6).round().cast(pl.Int64).fill_null(0)
        implied = start + length_us
    else:
        implied = start
    if "end_us" not in frame.columns:
        return frame.with_columns(implied.alias("end_us"))
    end = frame["end_us"].cast(pl.Int64, strict=False)
    bad = ~end.is_between(frame["start_us"], LATEST_US * 2).fill_null(True)  # noqa: FBT003
    if bad.any():
        _note_repair(frame, bad, "end_us", "end before start", tally)
        end = end.set(bad, None)
    frame = frame.with_columns(end.alias("end_us")).with_columns(pl.coalesce("end_us", implied))
    if "duration_s" not in frame.columns:
        frame = frame.with_columns(((pl.col("end_us") - start) / 1e6).alias("duration_s"))
    return frame


def _arrow(frame: pl.DataFrame, source_file: str, first_row: int) -> pa.Table:
    rows = frame.height
    row = frame["row"].cast(pl.Int64)
    columns: dict[str, pa.Array] = {}
    for name, wanted in CANONICAL.items():
        source = {"start": "start_us", "end": "end_us"}.get(name, name)
        columns[name] = (
            _column(frame[source], wanted, name)
            if source in frame.columns
            else pa.nulls(rows, wanted)
        )
    columns["flow_id"] = (row + first_row).to_arrow()
    for name, wanted in OPTIONAL.items():
        if name in frame.columns:
            columns[name] = _column(frame[name], wanted, name)
    file_code = pa.array(np.zeros(rows, np.int32))
    columns["source_file"] = pa.DictionaryArray.from_arrays(file_code, pa.array([source_file]))
    columns["source_row"] = row.to_arrow()
    for name in frame.columns:
        if FEATURE.match(name):
            columns[name] = frame[name].to_arrow()
        elif CATEGORY.match(name):
            columns[name] = _column(frame[name], TEXT, name)
    return pa.table(columns)


def _column(column: pl.Series, wanted: pa.DataType, name: str) -> pa.Array:
    if wanted == TEXT:
        return recode(encode(column), lambda values: _tidy(values, name))
    if wanted == TIMESTAMP:
        return column.to_arrow().cast(TIMESTAMP)
    return column.to_arrow().cast(wanted)


def _tidy(values: pl.Series, name: str) -> pl.Series:
    values = values.str.strip_chars()
    values = values.str.to_lowercase() if name in _LOWER else values
    values = values.set(values.is_in(_NO_VALUE), None)
    if name not in {"src_ip", "dst_ip"}:
        return values
    unusual = values.str.contains(_UNUSUAL_IPV6).fill_null(value=False)
    if not unusual.any():
        return values
    return values.scatter(unusual.arg_true(), [_address(text) for text in values.filter(unusual)])


def _address(text: str) -> str:
    """Return an IPv6 address as RFC 5952 writes it; text that is none stays as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _inline(frame: pl.DataFrame, flows: pa.Table) -> pa.Table | None:
    names = [name for name in ("label", "attack") if name in frame.columns]
    if not names:
        return None
    texts = [frame[name].cast(pl.String).to_arrow().cast(pa.string()) for name in names]
    return pa.table([flows["flow_id"], *texts], names=["flow_id", *names])


def _note_repair(
    frame: pl.DataFrame, mask: pl.Series, name: str, reason: str, tally: Tally
) -> None:
    tally.repair(reason, _rows(frame, mask), value=_first(frame[name], mask))


def _rows(frame: pl.DataFrame, mask: pl.Series) -> NDArray[np.int64]:
    return frame["row"].filter(mask).cast(pl.Int64).to_numpy()


def _first(column: pl.Series, mask: pl.Series) -> object:
    place = mask.arg_true()
    return column[int(place[0])] if len(place) else None
