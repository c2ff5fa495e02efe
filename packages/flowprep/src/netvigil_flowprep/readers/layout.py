"""From the first lines of a file to its layout: header, separator, and the type of each column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from netvigil.contracts.flows import LABEL_LIKE
from netvigil_flowprep.blocks import Block
from netvigil_flowprep.canonical import slug
from netvigil_flowprep.readers.parsing import DataType, Layout, parse
from netvigil_flowprep.tally import Tally, escape

SAMPLE_LINES = 300  # lines that decide the type of a column
CATEGORY_VALUES = 64  # a text column with more distinct values in the sample is not a category


@dataclass(frozen=True)
class Header:
    """A header line's texts, their distinct slugs, the separator, and the lines up to its end."""

    texts: tuple[str, ...]
    names: tuple[str, ...]
    separator: str
    lines: int


def header_of(head: bytes, separators: str, *, comment: str = "") -> Header | None:
    """Read the first line that is not blank as a header.

    `comment` is a prefix of the header line that is no part of it.
    """
    for number, raw in enumerate(head.split(b"\n"), start=1):
        line = raw.decode("utf-8", "replace").strip("\r")
        if line.strip():
            line = line.removeprefix(comment)
            separator = max(separators, key=line.count)
            texts = tuple(_fields(line, separator))
            return Header(texts, distinct_slugs(texts), separator, number)
    return None


def first_rows(head: bytes, lines: int) -> bytes:
    """Return up to `SAMPLE_LINES` whole lines after the first `lines` ones."""
    rows = head.split(b"\n", lines + SAMPLE_LINES)[lines : lines + SAMPLE_LINES]
    kept = [row for row in rows if row.strip()]
    return b"\n".join(kept) + b"\n" if kept else b""


def distinct_slugs(texts: Iterable[str]) -> tuple[str, ...]:
    """Return a slug per header text; a name that comes again gets _1, _2, ... as pandas counts.

    Example:
        >>> distinct_slugs([" Fwd Header Length", "Fwd Header Length", "Flow Bytes/s"])
        ('fwd_header_length', 'fwd_header_length_1', 'flow_bytes_s')
    """
    names: list[str] = []
    for place, text in enumerate(texts):
        name = base = slug(text) or f"column_{place}"
        again = 0
        while name in names:
            again += 1
            name = f"{base}_{again}"
        names.append(name)
    return tuple(names)


def types_of(
    header: Header, sample: bytes, known: Mapping[str, DataType]
) -> tuple[Layout, frozenset[str]]:
    """Return the layout, and the names of text columns that may serve as categories.

    A column that the dialect does not know is numeric where the sample holds nothing but numbers.
    Label-like names stay text and are never features.
    """
    texts = dict.fromkeys(header.names, pl.String)
    everything_text = Layout(texts, header.separator, header.texts)
    frame, _ = parse(Block(sample, has_quotes=True), everything_text, 0, Tally(""))
    types: dict[str, DataType] = {}
    categories = set()
    for name in header.names:
        if name in known:
            types[name] = known[name]
            continue
        values = frame[name].str.strip_chars().replace("", None).drop_nulls()
        is_number = values.cast(pl.Float64, strict=False).null_count() == 0
        types[name] = pl.Float32 if is_number and not LABEL_LIKE.search(name) else pl.String
        if not is_number and not LABEL_LIKE.search(name):
            few = values.n_unique() <= min(CATEGORY_VALUES, len(values) // 2)
            categories |= {name} if few else set()
    return Layout(types, header.separator, header.texts), frozenset(categories)


def disagreement(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    """Say which of these columns holds no numbers although its name promises them, or None.

    Shapes:
        frame: [sample rows, ...], all text
    """
    for name in names:
        values = frame[name].str.strip_chars().replace(["", "-"], None).drop_nulls()
        bad = values.filter(values.cast(pl.Float64, strict=False).is_null())
        if len(bad) * 2 > len(values):
            return f"column '{name}' holds '{escape(bad[0])}', which is no number"
    return None


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line), delimiter=separator), [])
    except csv.Error:  # a lone carriage return, an endless field: no header of any dialect
        return []
