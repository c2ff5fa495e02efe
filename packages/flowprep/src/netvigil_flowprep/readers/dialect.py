"""What a reader must know about a dialect of flow records, as data: names, types, expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil_flowprep.distinct import by_distinct
from netvigil_flowprep.ip_protocols import protocol_numbers
from netvigil_flowprep.readers.layout import Header
from netvigil_flowprep.readers.parsing import DataType

Names = frozenset[str]

TEXT: DataType = pl.String
WHOLE: DataType = pl.Int64
REAL: DataType = pl.Float64


@dataclass(frozen=True)
class Dialect:
    """One dialect of delimited (or Parquet) flow records. Column names are slugs of the source's.

    `needs`: sets of names, any one of which makes a header this dialect, with `refuses` absent;
    `why` puts that in words. `columns`: names by position where the dialect has no header, with
    `fits` to recognise the fields of a line. `types`: the columns that are not plain features;
    `prepare`: further columns, made first because several expressions use them; `derive`:
    canonical name -> expression over the source's columns and these. What neither uses and `drop`
    does not name becomes x_ (under its name in `renamed`, if any) or c_.
    `rejects`: reason -> expression of rows that are no flows; `repairs` likewise, of rows mended.
    `config_for` settles what a config leaves to the file, from a sample of it (all text); `magic`:
    first bytes of a binary form of the dialect -> what to do about it.
    """

    name: str
    why: str
    derive: Callable[[Names, Any], Mapping[str, pl.Expr]]
    info: FlowInfo | Callable[[Names, Any], FlowInfo]
    needs: tuple[Names, ...] = ()
    prepare: Callable[[Any], Mapping[str, pl.Expr]] | Mapping[str, pl.Expr] = field(
        default_factory=dict
    )
    refuses: Names = frozenset()
    types: Mapping[str, DataType] = field(default_factory=dict)
    numbers_as_text: Names = frozenset()
    drop: Names = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[tuple[str, ...], ...] = ()
    fits: Callable[[list[str]], bool] | None = None
    separators: str = ",\t;"
    comment: str = ""
    rename_header: Callable[[Header], Header] | None = None
    rejects: Mapping[str, pl.Expr] = field(default_factory=dict)
    repairs: Callable[[Names, Any], Mapping[str, pl.Expr]] | None = None
    magic: Mapping[bytes, str] = field(default_factory=dict)
    config_for: Callable[[pl.DataFrame, Any], Any] | None = None
    stop_at: bytes = b""
    backslash_quotes: bool = False


def per_value(
    column: str, change: Callable[[pl.Series], pl.Series], dtype: DataType | pl.DataType
) -> pl.Expr:
    """Return an expression that changes a text column, once per distinct value."""
    return pl.col(column).map_batches(
        partial(by_distinct, change=change, dtype=dtype), return_dtype=dtype
    )


def protocol(column: str) -> pl.Expr:
    """Return the IANA number of a protocol written as name or number."""
    return per_value(column, protocol_numbers, pl.UInt8)


def first_of(have: Names, *names: str) -> str | None:
    """Return the first of these names that the source has."""
    return next((name for name in names if name in have), None)


def plain(have: Names, pairs: Mapping[str, str]) -> dict[str, pl.Expr]:
    """Return canonical name -> column for those source columns that are there."""
    return {canonical: pl.col(name) for canonical, name in pairs.items() if name in have}
