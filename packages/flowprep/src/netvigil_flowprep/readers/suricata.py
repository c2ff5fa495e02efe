"""The `suricata` reader: EVE JSON lines, the events of type `flow`.

Other events (alerts, DNS, ...) are no flows; the report counts them by type. `netflow` events are
the same traffic once more, a record per direction, and are never read beside `flow`. The flow's
time is `flow.start` and `flow.end`; `timestamp` is when the line was written. Bytes are taken as
those of whole frames: a lone RST counts 54. `source_row` and `flow_id` count all events of a file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
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
from netvigil_flowprep.readers.dialect import per_value, protocol
from netvigil_flowprep.readers.json_lines import JsonLines, keys_of
from netvigil_flowprep.readers.ports import WITH_PORTS
from netvigil_flowprep.readers.times import ISO, text_us
from netvigil_flowprep.tally import Tally, escape
from netvigil_flowprep.tcp_flags import flags_of_hex
from netvigil_flowprep.turns import Turn, closing, in_turn, note

INFO = FlowInfo("suricata", time_basis="clock", bytes_layer="l2", direction="bi")
SCHEMA: dict[str, type[pl.DataType] | pl.DataType] = {
    "event_type": pl.String,
    "flow_id": pl.String,
    "src_ip": pl.String,
    "src_port": pl.UInt64,
    "dest_ip": pl.String,
    "dest_port": pl.UInt64,
    "proto": pl.String,
    "icmp_type": pl.UInt64,
    "icmp_code": pl.UInt64,
    "app_proto": pl.String,
    "flow": pl.Struct(
        {
            "pkts_toserver": pl.UInt64,
            "pkts_toclient": pl.UInt64,
            "bytes_toserver": pl.UInt64,
            "bytes_toclient": pl.UInt64,
            "start": pl.String,
            "end": pl.String,
            "state": pl.String,
            "reason": pl.String,
        }
    ),
    "tcp": pl.Struct(
        {"tcp_flags": pl.String, "tcp_flags_ts": pl.String, "tcp_flags_tc": pl.String}
    ),
}
"""What is read of an event. `flow.alerted` is Suricata's own verdict, and no feature."""

_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M:%S%.fZ", *ISO)
_NO_APP = ("failed", "unknown")
_EVENT_BYTES = 512  # about a line of EVE, to cut a file into blocks of about the wanted rows
_BLOCK = (1 << 16, 1 << 24)  # bytes: neither a block per line nor one for a whole capture
_SHOWN = 8  # event types in a remark; more are noise
_MARKS = {"event_type", "timestamp"}
EVE = re.compile(r"^eve.*\.json(\..+)?$")
_DO = "Name an eve.json with events of type flow, or another reader with --format."


class Suricata:
    """Reads the flow events of Suricata's EVE log."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def sniff(self, head: SourceHead) -> str | None:
        """Recognise EVE by its keys; a folder by an eve.json in it."""
        if head.names:
            logs = eve_names(head.names)
            return f"the folder holds Suricata's {escape(logs[0])}" if logs else None
        return "JSON objects with event_type" if is_eve(head.head) else None

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield flows, file by file.

        Raises:
            SourceError: No EVE log, or one without any event of type `flow`; in a folder such files
                are named and left out.
        """
        files = [source]
        if source.is_dir():
            files = [source / name for name in eve_names(p.name for p in source.iterdir())]
            if not files:
                msg = "The folder holds no EVE log of Suricata."
                raise SourceError(msg, where=str(source), do=_DO)
        return in_turn(source, files, partial(_file, batch_rows=batch_rows))


def eve_names(names: Iterable[str]) -> list[str]:
    """Return those names that are EVE logs, rotated and compressed ones too, in order."""
    return sorted(name for name in names if EVE.match(name))


def is_eve(head: bytes) -> bool:
    """Say whether these first bytes are lines of EVE."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and keys_of(head) >= _MARKS


def _file(turn: Turn, *, batch_rows: int) -> Iterator[FlowBatch]:
    text, tally = TextFile(turn.file), Tally(turn.file.name)
    types: Counter[str] = Counter()

    def batches() -> Iterator[FlowBatch]:
        for frame in _flows(text, turn, tally, types, batch_rows):
            for piece in frame.iter_slices(batch_rows) if frame.height else (frame,):
                yield to_batch(
                    to_canonical(piece),
                    INFO,
                    source_file=turn.file.name,
                    first_row=turn.first_row,
                    tally=tally,
                )

    def remarks() -> ReadReport:
        if text.damage:
            tally.skip_file(turn.file.name, f"{text.damage}; the events before that are kept")
        others = sum(types.values()) - types["flow"]
        said = f"{escape(turn.file.name)}: {others:,} events are no flows ({_listed(types)})"
        return tally.report() + (note(said) if others else ReadReport())

    return closing(batches(), remarks)


def _flows(
    text: TextFile, turn: Turn, tally: Tally, types: Counter[str], batch_rows: int
) -> Iterator[pl.DataFrame]:
    """Yield the flow events; counts all events by type in `types`."""
    if not is_eve(text.head()):
        msg = "This is no EVE log of Suricata: its lines are no JSON objects with event_type."
        raise SourceError(msg, where=str(turn.file), do=_DO)
    parser = JsonLines(SCHEMA, tally)
    for block in text.lines(min(max(batch_rows * _EVENT_BYTES, _BLOCK[0]), _BLOCK[1])):
        for frame in parser.frames(block):
            turn.rows = parser.lines
            kinds = frame["event_type"].fill_null("none").value_counts()
            types.update(dict(kinds.iter_rows()))
            yield frame.filter(pl.col("event_type") == "flow")
    if not types["flow"]:
        msg = f"This EVE log has no event of type flow, only: {_listed(types) or 'nothing'}."
        do = "Switch on the `flow` logger in suricata.yaml; `netflow` events are not read."
        raise SourceError(msg, where=str(turn.file), do=do)


def to_canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of `row` and `SCHEMA` in the columns that `canonical.to_batch` takes."""
    flat = frame.unnest("flow").unnest("tcp").with_columns(protocol("proto").alias("protocol"))
    number = pl.col("protocol")
    app = pl.col("app_proto")
    return flat.select(
        "row",
        "protocol",
        "src_ip",
        "icmp_type",
        "icmp_code",
        dst_ip="dest_ip",
        src_port=pl.when(number.is_in(WITH_PORTS)).then("src_port"),
        dst_port=pl.when(number.is_in(WITH_PORTS)).then("dest_port"),
        start_us=text_us("start", _FORMATS),
        end_us=text_us("end", _FORMATS),
        fwd_packets="pkts_toserver",
        bwd_packets="pkts_toclient",
        fwd_bytes="bytes_toserver",
        bwd_bytes="bytes_toclient",
        tcp_flags=_hex("tcp_flags"),
        fwd_tcp_flags=_hex("tcp_flags_ts"),
        bwd_tcp_flags=_hex("tcp_flags_tc"),
        conn_state="state",
        l7_proto=pl.when(~app.is_in(_NO_APP)).then(app),
        source_uid="flow_id",
        c_reason="reason",
        c_protocol=pl.when(number.is_null()).then("proto"),
    )


def _hex(column: str) -> pl.Expr:
    return per_value(column, _bits, pl.UInt8)


def _bits(texts: pl.Series) -> pl.Series:
    return pl.Series(texts.name, [flags_of_hex(text) for text in texts], dtype=pl.UInt8)


def _listed(types: Counter[str]) -> str:
    counted = sorted(types.items(), key=lambda item: (-item[1], item[0]))
    others = [(name, count) for name, count in counted if name != "flow"]
    return ", ".join(f"{escape(name)} {count:,}" for name, count in others[:_SHOWN])
