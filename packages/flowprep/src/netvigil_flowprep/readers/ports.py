"""Ports and ICMP types of sources that write both into one column, as numbers, hex or `-`."""

from __future__ import annotations

import polars as pl

from netvigil_flowprep.distinct import by_distinct

# TCP, UDP, DCCP, SCTP, UDP-Lite: the others have no ports, whatever the column says.
WITH_PORTS = (6, 17, 33, 132, 136)
ICMP = (1, 58)


def port(column: str, number: pl.Expr) -> pl.Expr:
    """Return ports where the protocol `number` has any; hex is understood, `-` is none."""
    return pl.when(number.is_in(WITH_PORTS)).then(_whole(column))


def icmp_type(source: str, number: pl.Expr) -> pl.Expr:
    """Return the ICMP type as Argus writes it: `0x0403` is code 4 and type 3, `0x08` a type."""
    return pl.when(number.is_in(ICMP)).then(_whole(source) % 256)


def icmp_code(source: str, target: str, number: pl.Expr) -> pl.Expr:
    """Return the ICMP code: the high byte of `0x0403`, or else the target's column."""
    packed = pl.col(source).str.strip_chars().str.len_chars() > 4  # "0x" and more than one byte
    code = pl.when(packed).then(_whole(source) // 256).otherwise(_whole(target))
    return pl.when(number.is_in(ICMP) & (code < 256)).then(code)


def _whole(column: str) -> pl.Expr:
    return pl.col(column).map_batches(_numbers, return_dtype=pl.Int64)


def _numbers(texts: pl.Series) -> pl.Series:
    whole = texts.cast(pl.Int64, strict=False)
    odd = whole.is_null() & texts.is_not_null()
    if not odd.any():
        return whole
    places = odd.arg_true()
    return whole.scatter(places, by_distinct(texts.filter(odd), _odd_numbers, pl.Int64))


def _odd_numbers(texts: pl.Series) -> pl.Series:
    texts = texts.str.strip_chars().str.to_lowercase()
    whole = texts.cast(pl.Int64, strict=False)
    is_hex = texts.str.starts_with("0x")
    from_hex = texts.str.slice(2).set(~is_hex, None).str.to_integer(base=16, strict=False)
    real = texts.cast(pl.Float64, strict=False)
    # "80.0" is what pandas makes of a column with gaps.
    from_real = real.set((real % 1 != 0).fill_null(value=True), None).cast(pl.Int64, strict=False)
    return whole.zip_with(whole.is_not_null(), from_hex.zip_with(is_hex, from_real))
