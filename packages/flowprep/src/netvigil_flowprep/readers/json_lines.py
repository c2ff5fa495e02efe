"""Blocks of JSON lines as polars frames: fast where they are whole, by line where one is broken."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass

from netvigil_flowprep.tally import Tally

Kind = DataTypeClass | pl.DataType
Schema = Mapping[str, Kind]
LOOKED_AT = 20  # lines: broken ones at the start hide nothing, other events at most a little
_SMALL = 1 << 15  # bytes: below this, Python reads the lines of a block that has a broken one


class JsonLines:
    """Parses the blocks of one file in turn and counts its lines.

    `schema` names the keys wanted and their types; others are ignored, missing ones become null. A
    frame from a block with broken lines has the same columns, but every value in it is text.

    Broken lines (no JSON, or no object) are counted in `tally` as read and rejected.
    """

    def __init__(self, schema: Schema, tally: Tally) -> None:
        self.schema, self.tally = dict(schema), tally
        self.lines = 0
        """Lines seen so far that are not blank; also the `row` of the next one."""

    def frames(self, block: bytes) -> Iterator[pl.DataFrame]:
        """Yield the objects of a block of whole lines, with their `row` in the file."""
        try:
            frame = pl.read_ndjson(io.BytesIO(block), schema=self.schema)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            yield from self._pieces(block)
            return
        rows = pl.int_range(self.lines, self.lines + frame.height, dtype=pl.Int64)
        self.lines += frame.height
        yield frame.with_columns(rows.alias("row"))

    def _pieces(self, block: bytes) -> Iterator[pl.DataFrame]:
        middle = block.rfind(b"\n", 0, len(block) // 2) + 1
        if len(block) > _SMALL and middle:
            yield from self.frames(block[:middle])
            yield from self.frames(block[middle:])
        else:
            yield self._by_line(block)

    def _by_line(self, block: bytes) -> pl.DataFrame:
        kept: list[tuple[int, dict[str, Any]]] = []
        for line in block.split(b"\n"):
            if not line.strip():
                continue
            found = _object(line)
            if found is None:
                text = line.decode(errors="replace").strip()
                self.tally.lose("not a JSON object", [self.lines], value=text)
            else:
                kept.append((self.lines, found))
            self.lines += 1
        texts = _texts_of(self.schema)
        values = [_texts(found, self.schema) for _, found in kept]
        frame = pl.DataFrame(values, schema=texts, orient="row")
        return frame.with_columns(pl.Series("row", [row for row, _ in kept], dtype=pl.Int64))


def keys_of(head: bytes) -> set[str]:
    """Return the keys in those of a file's first lines that are JSON objects."""
    lines = head.split(b"\n", LOOKED_AT)[:LOOKED_AT]
    return {key for line in lines for key in _object(line) or ()}


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _texts_of(schema: Schema) -> dict[str, Kind]:
    return {
        name: pl.Struct(_texts_of(kind.to_schema())) if isinstance(kind, pl.Struct) else pl.String()
        for name, kind in schema.items()
    }


def _texts(found: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    return {name: _text(found.get(name), kind) for name, kind in schema.items()}


def _text(value: Any, kind: Kind) -> Any:
    if isinstance(kind, pl.Struct):
        return _texts(value if isinstance(value, dict) else {}, kind.to_schema())
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
