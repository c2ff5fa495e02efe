"""Cells of a truth file as numbers and times.

What cannot be read is refused: an unreadable cell must not become an empty one, which would match
anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from netvigil.errors import SourceError
from netvigil_flowprep.ip_protocols import protocol_numbers

TIME_UNITS: Mapping[str, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}
"""Microseconds in each unit of epoch time."""


def texts(column: pl.Series) -> pl.Series:
    """Return stripped text; empty cells and a lone hyphen become null."""
    stripped = column.cast(pl.String).str.strip_chars()
    return stripped.replace(["", "-"], [None, None])


def integers(column: pl.Series, *, where: str, highest: int) -> pl.Series:
    """Return Int64 numbers from decimal or 0x-hexadecimal cells; refuses any not in 0..highest."""
    if column.dtype.is_integer():
        number = column.cast(pl.Int64)
    else:
        column = texts(column)
        # Spreadsheets and data frames write an integer column with gaps as 80.0.
        decimal = column.str.replace(r"\.0$", "").cast(pl.Int64, strict=False)
        digits = column.str.to_lowercase().str.strip_prefix("0x")
        hexadecimal = digits.str.to_integer(base=16, strict=False)
        number = pl.select(
            pl.when(column.str.to_lowercase().str.starts_with("0x"))
            .then(hexadecimal)
            .otherwise(decimal)
        ).to_series()
    good = number.is_between(0, highest).fill_null(value=False)
    _refuse(column, column.is_not_null() & ~good, where, f"is no number of 0 to {highest}")
    return number


def protocols(column: pl.Series, *, where: str) -> pl.Series:
    """Return IANA numbers from names or numbers."""
    column = texts(column)
    distinct = column.drop_nulls().unique().sort()
    numbers = protocol_numbers(distinct).cast(pl.Int64)
    number = column.replace_strict(distinct, numbers, default=None, return_dtype=pl.Int64)
    _refuse(column, column.is_not_null() & number.is_null(), where, "is no IP protocol")
    return number


def times_us(
    column: pl.Series, *, where: str, unit: str = "s", time_format: str | None = None
) -> pl.Series:
    """Return microseconds since 1970 UTC, Int64.

    Reads epoch numbers, date-time columns, ISO 8601 or a strptime format; a time without a zone is
    UTC.
    """
    if column.dtype == pl.Datetime:
        return column.dt.timestamp("us")
    if column.dtype.is_numeric():
        return _from_epoch(column, unit)
    column = texts(column)
    number = column.cast(pl.Float64, strict=False)
    if time_format is None and number.null_count() == column.null_count():
        return _from_epoch(number, unit)
    parsed = column.str.to_datetime(time_format, time_unit="us", time_zone="UTC", strict=False)
    unreadable = column.is_not_null() & parsed.is_null()
    _refuse(column, unreadable, where, "is no time: epoch numbers, ISO 8601 or a format given")
    return parsed.dt.timestamp("us")


def _from_epoch(number: pl.Series, unit: str) -> pl.Series:
    if number.dtype.is_integer():
        return number.cast(pl.Int64) * TIME_UNITS[unit]
    return (number * TIME_UNITS[unit]).round().cast(pl.Int64)


def _refuse(column: pl.Series, bad: pl.Series, where: str, why: str) -> None:
    if not bad.any():
        return
    row = int(bad.arg_true()[0])
    cells = f"{int(bad.sum()):,} cells of '{column.name}' cannot be read"
    msg = f"{cells}: row {row + 1} {column[row]!r} {why}."
    raise SourceError(msg, where=where, do="Repair the truth file, or name another column for it.")
