"""Numbers, bytes, times and units in words, for a page and its pictures."""

from __future__ import annotations

import re

from netvigil.inspection.columns import Column, Number
from netvigil.inspection.timeline import DAY, HOUR, MINUTE, SECOND
from netvigil.splits import iso

LARGE = 1e15
"""From here a number is read by its power of ten."""
UNITS = (
    (re.compile(r"_s$"), "s"),
    (re.compile(r"_ms$"), "ms"),
    (re.compile(r"_us$"), "µs"),
    (re.compile(r"(^|_)bytes(_|$)|_ps$"), "bytes"),
    (re.compile(r"(^|_)(packets|pkts)(_|$)"), "packets"),
)
"""Endings of our own names and of NFStream's, whose `_ps` are packet sizes."""
SPANS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))


def unit(name: str) -> str:
    """Return the unit that a column's name promises, or nothing."""
    return next((word for pattern, word in UNITS if pattern.search(name)), "")


def number(value: Number | None) -> str:
    """Return a number as a person reads it.

    Example:
        >>> number(1234567), number(0.0123456), number(2.5e18), number(None)
        ('1,234,567', '0.01235', '2.5e+18', '')
    """
    if value is None:
        return ""
    if abs(value) >= LARGE:
        return f"{value:.4g}"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def bound(column: Column, value: Number | None) -> str:
    """Return the least or the largest value of a column."""
    if column.kind == "time" and value is not None:
        return iso(int(value))[:19].replace("T", " ")
    return number(value)


def size(count: int) -> str:
    """Return bytes in words.

    Example:
        >>> size(999), size(1_500_000)
        ('999 B', '1.50 MB')
    """
    value, names = float(count), ("B", "kB", "MB", "GB", "TB")
    place = 0
    while value >= 999.5 and place < len(names) - 1:
        value, place = value / 1000, place + 1
    digits = 0 if place == 0 or value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {names[place]}"


def share(part: float, whole: float) -> str:
    """Return a share in per cent; one that is not nought never reads as nought.

    Example:
        >>> share(1, 3), share(1, 100_000), share(0, 5), share(99_999, 100_000)
        ('33.3 %', '<0.1 %', '0 %', '>99.9 %')
    """
    if not whole or not part:
        return "0 %"
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1 %"
    return ">99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def span(width_us: int) -> str:
    """Return a length of time in its largest whole unit.

    Example:
        >>> span(90_000_000), span(3_600_000_000), span(5_000)
        ('90 seconds', '1 hour', '5 ms')
    """
    for length, word in SPANS:
        if width_us % length == 0:
            count = width_us // length
            return f"{count:,} {word}{'s' if count != 1 else ''}"
    return f"{width_us / 1000:g} ms"


def tick(power: int) -> str:
    """Return a power of ten as short as an axis wants it.

    Example:
        >>> [tick(p) for p in (-3, 0, 2, 4, 6, 13)]
        ['0.001', '1', '100', '10k', '1M', '10T']
    """
    if power < -3 or power >= 15:
        return f"1e{power}"
    if power < 0:
        return f"{10.0**power:g}"
    return f"{10 ** (power % 3)}{('', 'k', 'M', 'G', 'T')[power // 3]}"


def rounded(count: int) -> int:
    """Return an estimated count without digits that mean nothing.

    Example:
        >>> rounded(1_035_750)
        1040000
    """
    digits = len(str(count)) - 3
    return round(count, -digits) if digits > 0 else count


def cut(text: str, longest: int = 28) -> str:
    """Return a name that a table's header has room for.

    Example:
        >>> cut("reconnaissance", 8)
        'reconna…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
