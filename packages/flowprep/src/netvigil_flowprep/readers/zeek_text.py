"""Zeek's own log form (TSV with `#` lines), or its fields as CSV: blocks of lines to frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from netvigil.errors import SourceError
from netvigil_flowprep.readers.zeek_fields import NEEDED, TYPES, UNSET
from netvigil_flowprep.tally import Tally, escape

# The last name takes the rest, spaces and all.
_PACKED = {
    2: r"^\s*(\S+)(?:\s+(.*?))?\s*$",
    3: r"^\s*(\S+)(?:\s+(\S+))?(?:\s+(.*?))?\s*$",
}
_SMALL = 1 << 15  # bytes: below this, Python reads the lines of a block that has a broken one


@dataclass(frozen=True)
class Header:
    """What the lines before the rows say: `fields` are the columns by place.

    IoT-23 appended two values to the last one with runs of spaces, and so in the header: `packed`.
    """

    fields: tuple[str, ...]
    packed: tuple[str, ...] = ()
    separator: str = "\t"
    unset: tuple[str, ...] = UNSET
    path: str = ""
    quoted: bool = False

    def check(self, where: str) -> None:
        """Raise `SourceError` where these are not the columns of a conn log."""
        do = "Name the folder or file of conn.log, or another reader with --format."
        if self.path not in {"", "conn"}:
            msg = f"This is Zeek's {escape(self.path)} log, not its conn log."
            raise SourceError(msg, where=where, do=do)
        missing = [name for name in NEEDED if name not in self.fields]
        if missing:
            msg = f"This Zeek log has no field {', '.join(missing)}."
            raise SourceError(msg, where=where, do=do)
        if len({*self.fields, *self.packed}) < len(self.fields) + len(self.packed):
            msg = "This Zeek log has two fields of one name."
            raise SourceError(msg, where=where, do="Remove one of the columns.")


class ZeekText:
    """Parses the blocks of one file in turn; header lines may come again, as in joined logs.

    `header` is given for a CSV, whose first line is its header.

    Lines with another number of fields are counted in `tally` as read and rejected.
    """

    def __init__(self, where: str, tally: Tally, header: Header | None = None) -> None:
        self.where, self.tally, self.header = where, tally, header
        self.lines = 0
        """Data lines so far, blank ones left out; also the `row` of the next one."""
        self._comments: list[str] = []
        self._at_header = header is not None

    def frames(self, block: bytes) -> Iterator[pl.DataFrame]:
        """Yield the rows of a block of whole lines in Zeek's field names, with their `row`."""
        block = block.replace(b"\r\n", b"\n") if b"\r\n" in block else block
        # A CSV begins with the header that `header` was read from.
        place, self._at_header = (block.find(b"\n") + 1 if self._at_header else 0), False
        while place < len(block):
            end = block.find(b"\n", place) + 1
            line = block[place:end].strip()
            if line.startswith(b"#"):
                self._comments.append(line.decode(errors="replace"))
                place = end
                continue
            stop = block.find(b"\n#", place) + 1 or len(block)
            yield from self._rows(block[place:stop])
            place = stop

    def _rows(self, rows: bytes) -> Iterator[pl.DataFrame]:
        if self._comments:
            self.header = header_of(self._comments) or self.header
            self._comments = []
        if self.header is None:
            if not rows.strip():
                return
            msg = "This Zeek log has rows before its #fields line."
            raise SourceError(msg, where=self.where, do="Name its format with --format.")
        self.header.check(self.where)
        frame = _strict(rows, self.header)
        if frame is not None:
            before = self.lines
            self.lines += frame.height
            yield self._numbered(frame, range(before, self.lines))
            return
        middle = rows.rfind(b"\n", 0, len(rows) // 2) + 1
        if len(rows) > _SMALL and middle:
            yield from self._rows(rows[:middle])
            yield from self._rows(rows[middle:])
        else:
            yield self._by_line(rows, self.header)

    def _by_line(self, rows: bytes, header: Header) -> pl.DataFrame:
        kept: list[list[str | None]] = []
        places: list[int] = []
        for raw in rows.decode(errors="replace").split("\n"):
            if not raw.strip():
                continue
            fields = _split(raw, header)
            if len(fields) == len(header.fields):
                kept.append([None if f in header.unset or not f else f for f in fields])
                places.append(self.lines)
            else:
                reason = f"{len(fields)} fields instead of {len(header.fields)}"
                self.tally.lose(reason, [self.lines], value=raw.strip())
            self.lines += 1
        schema = dict.fromkeys(header.fields, pl.String)
        return self._numbered(pl.DataFrame(kept, schema=schema, orient="row"), places)

    def _numbered(self, frame: pl.DataFrame, rows: range | list[int]) -> pl.DataFrame:
        assert self.header is not None
        frame = frame.with_columns(pl.Series("row", rows, dtype=pl.Int64))
        if not self.header.packed:
            return frame
        last, names = self.header.fields[-1], self.header.packed
        parts = pl.col(last).str.extract_groups(_PACKED[len(names)])
        return frame.with_columns(parts.struct.rename_fields(list(names)).alias(last)).unnest(last)


def header_of(comments: list[str]) -> Header | None:
    r"""Read a log's `#` lines; None where they name no fields (`#close`, a remark).

    Example:
        >>> header_of(["#separator \\x09", "#path\tconn", "#fields\tts\tuid"]).fields
        ('ts', 'uid')
    """
    separator, found = "\t", dict[str, str]()
    for line in comments:
        if line.startswith("#separator"):
            text = line.removeprefix("#separator").strip()
            separator = bytes(text, "ascii", "replace").decode("unicode_escape", "replace") or "\t"
            continue
        key, _, value = line.partition(separator)
        found[key] = value
    if "#fields" not in found:
        return None
    *fields, last = found["#fields"].split(separator)
    packed = tuple(last.split())
    packed = packed if len(packed) in _PACKED else ()
    marks = (found.get("#unset_field"), found.get("#empty_field"))
    return Header(
        fields=(*fields, last),
        packed=packed,
        separator=separator[0],
        unset=tuple(dict.fromkeys((*(mark for mark in marks if mark), *UNSET))),
        path=found.get("#path", ""),
    )


def csv_header(line: str) -> Header:
    """Read the header line of a conn log that was exported as CSV."""
    fields = _comma_separated(line.strip())
    return Header(tuple(field.strip() for field in fields), separator=",", quoted=True)


def _strict(rows: bytes, header: Header) -> pl.DataFrame | None:
    if header.quoted and b'"' in rows:
        return None
    separators = rows.count(header.separator.encode())
    if separators != (len(header.fields) - 1) * rows.count(b"\n"):
        return None
    types = {name: TYPES.get(name, pl.String) for name in header.fields}
    if header.packed:
        types[header.fields[-1]] = pl.String
    try:
        return pl.read_csv(
            io.BytesIO(rows),
            has_header=False,
            schema=types,
            separator=header.separator,
            quote_char=None,
            null_values=list(header.unset),
        )
    except pl.exceptions.PolarsError:
        return None


def _split(line: str, header: Header) -> list[str]:
    return _comma_separated(line) if header.quoted else line.split(header.separator)


def _comma_separated(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a carriage return or a field beyond all measure
        return []
