"""Times as text to microseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import polars as pl

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_US = 86_400_000_000
ISO = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M",
)


def text_us(column: str, formats: Sequence[str] = ISO, *, utc_offset_s: int = 0) -> pl.Expr:
    """Return the times of a text column, null where no format fits.

    `utc_offset_s` is how far the source's clock is ahead of UTC.
    """
    parsed = pl.col(column).map_batches(partial(_parse, formats=formats), return_dtype=pl.Int64)
    return parsed - utc_offset_s * 1_000_000


def seconds_us(column: str) -> pl.Expr:
    """Return epoch seconds (whole or fractional) as microseconds."""
    return (pl.col(column) * 1_000_000).round().cast(pl.Int64, strict=False)


def millis_us(column: str) -> pl.Expr:
    """Return epoch milliseconds as microseconds."""
    return (pl.col(column) * 1_000).round().cast(pl.Int64, strict=False)


def week_time(local_us: pl.Expr) -> dict[str, pl.Expr]:
    """Return the time of day, from 0 to 1, and one column per day of the week.

    `local_us` is microseconds since 1970 by the source's own clock. All seven days are there,
    whichever of them a file holds, so files of different weeks have the same columns.
    """
    # 1970 began on a Thursday, which is day 3 from Monday.
    day = (local_us // DAY_US + 3) % len(WEEK)
    return {"x_time_of_day": (local_us % DAY_US) / DAY_US} | {
        f"x_weekday_{name}": (day == number).cast(pl.Float32) for number, name in enumerate(WEEK)
    }


def _parse(texts: pl.Series, formats: Sequence[str]) -> pl.Series:
    # A file keeps to one format, so the second is hardly ever tried.
    texts = texts.str.strip_chars().replace("", None)
    parsed = pl.repeat(None, len(texts), dtype=pl.Int64, eager=True)
    for form in formats:
        if parsed.null_count() <= texts.null_count():
            break
        again = texts.str.to_datetime(form, time_unit="us", strict=False).dt.epoch("us")
        parsed = parsed.zip_with(parsed.is_not_null(), again)
    return parsed.alias(texts.name)
