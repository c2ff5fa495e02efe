"""The `zeek` reader: conn logs as Zeek writes them (TSV or JSON lines), labelled or not, or as CSV.

A source is a file, or a folder with `conn.log` or rotated `conn.*.log.gz` among other logs, whose
files are read in the order of their names; each may be of another form. IoT-23's labels in the last
TAB field are understood. What a field becomes stands in `zeek_fields`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import polars as pl

from netvigil.contracts import FlowBatch, FlowInfo
from netvigil.contracts.flows import ReadReport
from netvigil.errors import SourceError
from netvigil.parts import NoConfig
from netvigil.protocols import SourceHead
from netvigil_flowprep.blocks import TextFile
from netvigil_flowprep.canonical import to_batch
from netvigil_flowprep.readers.json_lines import JsonLines, keys_of
from netvigil_flowprep.readers.zeek_fields import LABELS, TYPES, to_canonical
from netvigil_flowprep.readers.zeek_text import ZeekText, csv_header, header_of
from netvigil_flowprep.tally import Tally, escape
from netvigil_flowprep.turns import Turn, closing, in_turn

INFO = FlowInfo("zeek", time_basis="clock", bytes_layer="ip", direction="bi")
CONN = re.compile(r"^conn(\..+)?\.log(\..+)?$")
_LINE_BYTES = 128  # about a row, to cut a file into blocks of about the wanted rows
_BLOCK = (1 << 16, 1 << 24)  # bytes: neither a block per line nor one for a whole capture
_DO = "Name the folder or file of conn.log, or another reader with --format."


class Zeek:
    """Reads Zeek's record of connections."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def sniff(self, head: SourceHead) -> str | None:
        """Recognise a conn log by its fields, a folder by the name of one."""
        if head.names:
            logs = [name for name in head.names if CONN.match(name)]
            return f"the folder holds Zeek's {escape(logs[0])}" if logs else None
        return form_of(head.head)

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield connections, file by file.

        Raises:
            SourceError: No conn log; in a folder, files that are none are named and left out.
        """
        return in_turn(source, conn_files(source), partial(_file, batch_rows=batch_rows))


def conn_files(source: Path) -> list[Path]:
    """Return the file itself, or a folder's conn logs in the order of their names."""
    if not source.is_dir():
        return [source]
    files = sorted(path for path in source.iterdir() if CONN.match(path.name))
    if not files:
        msg = "The folder holds no conn log of Zeek."
        raise SourceError(msg, where=str(source), do=_DO)
    return files


def form_of(head: bytes) -> str | None:
    """Say which form of conn log these first bytes open, or None."""
    lines = head.decode(errors="replace").lstrip("\ufeff \t\r\n").split("\n")
    if lines[0].startswith("#"):
        header = header_of([line.strip("\r") for line in lines if line.startswith("#")])
        is_conn = header is not None and {"id.orig_h", "conn_state"} <= set(header.fields)
        return "Zeek's #fields line has id.orig_h and conn_state" if is_conn else None
    if lines[0].startswith("{"):
        keys = keys_of(head)
        is_conn = "id.orig_h" in keys and bool(keys & {"conn_state", "orig_pkts"})
        return "JSON objects with id.orig_h and conn_state or orig_pkts" if is_conn else None
    if {"ts", "id.orig_h", "conn_state"} <= set(csv_header(lines[0]).fields):
        return "the comma-separated header has ts, id.orig_h and conn_state"
    return None


def _file(turn: Turn, *, batch_rows: int) -> Iterator[FlowBatch]:
    text = TextFile(turn.file)
    tally = Tally(turn.file.name)

    def batches() -> Iterator[FlowBatch]:
        for frame in _frames(text, turn, tally, batch_rows):
            for piece in frame.iter_slices(batch_rows) if frame.height else (frame,):
                yield _batch(piece, turn, tally)

    def damage() -> ReadReport:
        if text.damage:
            tally.skip_file(turn.file.name, f"{text.damage}; the rows before that are kept")
        return tally.report()

    return closing(batches(), damage)


def _batch(frame: pl.DataFrame, turn: Turn, tally: Tally) -> FlowBatch:
    return to_batch(
        to_canonical(frame),
        INFO,
        source_file=turn.file.name,
        first_row=turn.first_row,
        tally=tally,
    )


def _frames(text: TextFile, turn: Turn, tally: Tally, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Yield the rows in Zeek's field names; an empty frame where there are none."""
    parser = _parser(text, tally)
    for block in text.lines(min(max(batch_rows * _LINE_BYTES, _BLOCK[0]), _BLOCK[1])):
        for frame in parser.frames(block):
            turn.rows = parser.lines
            yield frame
    if not parser.lines:
        yield pl.DataFrame(schema={"row": pl.Int64})


def _parser(text: TextFile, tally: Tally) -> JsonLines | ZeekText:
    where = str(text.path)
    head = text.head()
    first = head.decode(errors="replace").lstrip().split("\n", 1)[0]
    if first.startswith("#"):
        return ZeekText(where, tally)
    if first.startswith("{"):
        if form_of(head) is None:
            msg = "These JSON lines are no conn log of Zeek."
            raise SourceError(msg, where=where, do=_DO)
        types = {n: t for n, t in TYPES.items() if n not in LABELS or f'"{n}"'.encode() in head}
        if re.search(rb'"ts"\s*:\s*"', head):
            types["ts"] = pl.String
        return JsonLines(types, tally)
    header = csv_header(first)
    if "id.orig_h" not in header.fields:
        msg = "This is no conn log of Zeek: neither # lines, nor JSON, nor a header with id.orig_h."
        raise SourceError(msg, where=where, do=_DO)
    header.check(where)
    return ZeekText(where, tally, header)
