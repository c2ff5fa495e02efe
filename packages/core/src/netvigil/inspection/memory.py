"""What a source takes in memory: as stored, as pandas would hold it, and down-cast.

Nothing is cast here; the sizes follow from what the columns hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from netvigil.inspection.columns import Column, Number

OBJECT = 49
"""Bytes of a Python text beside its characters, which `memory_usage(deep=True)` counts as well."""
POINTER = 8
NO_TEXT = 16
"""Bytes of the None that stands for a missing text."""
WHOLE_IN_FLOAT32 = 2**24
"""Whole numbers up to here are exact as 32-bit floats."""
WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Footprint:
    """Bytes of one column: Arrow as stored, pandas without care, the smallest safe type.

    `exact` says that the smallest type holds every value as it is; else it is a 32-bit float, whose
    relative error is below 6e-8.
    """

    name: str
    stored: str
    stored_bytes: int
    plain: str
    plain_bytes: int
    small: str
    small_bytes: int
    exact: bool = True


def footprint(column: Column) -> Footprint:
    """Return what one column takes."""
    plain, plain_bytes = _plain(column)
    small, small_bytes, exact = _small(column)
    return Footprint(
        name=column.name,
        stored=type_name(column.type),
        stored_bytes=_stored(column),
        plain=plain,
        plain_bytes=plain_bytes,
        small=small,
        small_bytes=small_bytes,
        exact=exact,
    )


def totals(rows: Iterable[Footprint]) -> tuple[int, int, int]:
    """Return the bytes of all columns: as stored, in plain pandas, down-cast."""
    each = [(row.stored_bytes, row.plain_bytes, row.small_bytes) for row in rows]
    return sum(r[0] for r in each), sum(r[1] for r in each), sum(r[2] for r in each)


def type_name(kind: pa.DataType) -> str:
    """Return a short name of an Arrow type."""
    if pa.types.is_dictionary(kind):
        return "dictionary"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def whole_type(low: Number, high: Number) -> tuple[str, int]:
    """Return the smallest integer type for a range, and its bytes.

    Example:
        >>> whole_type(0, 65535), whole_type(-1, 3)
        (('uint16', 2), ('int8', 1))
    """
    for bits in WIDTHS:
        if low >= 0 and high < 2**bits:
            return f"uint{bits}", bits // 8
        if low < 0 and -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return f"int{bits}", bits // 8
    return "float64", 8


def _stored(column: Column) -> int:
    flows = column.flows
    validity = -(-flows // 8) if column.missing else 0
    if pa.types.is_dictionary(column.type):
        return flows * 4 + validity + column.dictionary_bytes + 4 * (column.distinct + 1)
    if pa.types.is_string(column.type):
        return column.text_bytes + 4 * (flows + 1) + validity
    return flows * int(column.type.bit_width) // 8 + validity


def _plain(column: Column) -> tuple[str, int]:
    if column.kind == "text":
        known = column.flows - column.missing
        texts = known * OBJECT + column.text_bytes + column.missing * NO_TEXT
        return "object", column.flows * POINTER + texts
    if column.kind == "time":
        return "datetime64", column.flows * 8
    whole = pa.types.is_integer(column.type) and not column.missing
    return ("int64" if whole else "float64"), column.flows * 8


def _small(column: Column) -> tuple[str, int, bool]:
    flows = column.flows
    if column.empty:
        return "none, all missing", 0, True
    if column.kind == "time":
        return "datetime64", flows * 8, True
    if column.kind == "text":
        return (*_small_text(column), True)
    assert column.low is not None
    assert column.high is not None
    top = max(abs(column.low), abs(column.high))
    if column.whole and (column.type != pa.float32() or top <= WHOLE_IN_FLOAT32):
        name, width = whole_type(column.low, column.high)
        if column.missing:  # pandas keeps a byte per row that says what is missing
            return name.replace("u", "U", 1).replace("i", "I", 1), flows * (width + 1), True
        return name, flows * width, True
    if column.type == pa.float32() or column.lossless:
        return "float32", flows * 4, True
    # float32 holds six digits up to 3.4e38; what lies outside it stays as it is.
    fits = top < float(2**127)
    return ("float32", flows * 4, False) if fits else ("float64", flows * 8, True)


def _small_text(column: Column) -> tuple[str, int]:
    width = whole_type(-1, column.distinct - 1)[1]  # pandas gives a missing value the code -1
    listed = column.distinct * (POINTER + OBJECT) + column.dictionary_bytes
    known = column.flows - column.missing
    arrow = (
        column.text_bytes + 4 * (column.flows + 1) + -(-column.flows // 8) * bool(column.missing)
    )
    category = column.flows * width + listed
    # Where nearly every text is another, a dictionary only adds its codes.
    if category < arrow or column.distinct < known // 2:
        return "category", category
    return "Arrow string", arrow
