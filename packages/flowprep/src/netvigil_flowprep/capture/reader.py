"""The `pcap` flow reader: captures to flows through NFStream, in the same columns as its CSV.

Byte counters count what `accounting_mode` says; times have NFStream's resolution of a millisecond.
Packets without an IP header (ARP, LLDP, ...), later fragments of a datagram and packets cut short
of their headers belong to no flow; the report says how many packets of a capture that were.

`flow_id` counts flows in the order in which NFStream's meter gives them up (timeouts first, then
the rest), files in the order of their names. One meter has one such order; several meters take
turns of a fixed size: reading again with the same `n_meters` gives the same ids in constant memory.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing as closed_after
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from netvigil.contracts import FlowBatch, FlowInfo
from netvigil.contracts.flows import ReadReport
from netvigil.errors import PluginError
from netvigil.protocols import SourceHead
from netvigil_flowprep.canonical import LATEST_US, to_batch
from netvigil_flowprep.capture.columns import schema, wanted
from netvigil_flowprep.capture.config import PcapConfig
from netvigil_flowprep.capture.container import Walk, check, first_link_type, is_capture, walk
from netvigil_flowprep.capture.files import Capture, capture_files, opened, starts_a_capture
from netvigil_flowprep.capture.link_types import describe
from netvigil_flowprep.capture.process import Meters
from netvigil_flowprep.readers.config import NFStreamConfig
from netvigil_flowprep.readers.nfstream import DIALECT, LAYERS
from netvigil_flowprep.readers.parsing import Layout
from netvigil_flowprep.readers.plan import Outputs, Plan, frame_plan
from netvigil_flowprep.tally import Tally, escape
from netvigil_flowprep.turns import Turn, closing, in_turn, note

TURN = 8192  # flows: 5 MB a batch, and enough to hide what a batch costs
_MOST = 4 * TURN  # flows per batch, some seconds of work: progress is seen to move
_LOOKED_AT = 64  # files of a folder that may show that it holds captures


class Pcap:
    """Reads a capture, or all captures of a folder, plain or compressed with gzip."""

    def __init__(self, config: PcapConfig) -> None:
        self.config = config
        self.info = FlowInfo("pcap", "clock", LAYERS[config.accounting_mode], "bi")
        self.columns = wanted(
            statistics=config.statistics,
            dissections=config.n_dissections,
            tunnels=config.decode_tunnels,
            server_names=config.server_names,
        )

    def sniff(self, head: SourceHead) -> str | None:
        """Recognise a capture by its magic number, a folder by a capture in it."""
        if head.names:
            names = head.names[:_LOOKED_AT]
            first = next((name for name in names if starts_a_capture(head.path / name)), None)
            return f"the folder holds captures, first {escape(first)}" if first else None
        if not is_capture(head.head):
            return None
        link_type = first_link_type(head.head)
        layer = "" if link_type is None else f", {describe(link_type)}"
        return f"a capture's magic number {head.head[:4].hex()}{layer}"

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield flows, file by file.

        Raises:
            PluginError: NFStream is not installed.
            SourceError: The file, or every file of the folder, cannot be read.
        """
        if importlib.util.find_spec("nfstream") is None:
            msg = "Captures are read through NFStream, which is not installed."
            raise PluginError(msg, where=str(source), do="pip install 'netvigil-flowprep[pcap]'")
        files = capture_files(source)
        with Meters(self.config.n_meters, stall_s=self.config.stall_s) as meters:
            read = functools.partial(self._file, meters=meters, batch_rows=batch_rows)
            yield from in_turn(source, files, read)

    def _file(self, turn: Turn, *, meters: Meters, batch_rows: int) -> Iterator[FlowBatch]:
        where = str(turn.file)
        with opened(turn.file) as capture, ThreadPoolExecutor(1) as pool:
            check(capture.path, where)
            walked = pool.submit(walk, capture.path)
            packets = 0

            def batches() -> Iterator[FlowBatch]:
                nonlocal packets
                for frame in _of_rows(flows, min(batch_rows, _MOST)):
                    packets += int(frame["bidirectional_packets"].sum())
                    yield self._batch(frame, turn)

            def aftermath() -> ReadReport:
                return _aftermath(turn.file, capture, walked.result(), packets)

            with closed_after(meters.batches(capture.path, where, self._job())) as flows:
                yield from closing(batches(), aftermath)

    def _batch(self, frame: pl.DataFrame, turn: Turn) -> FlowBatch:
        row = pl.int_range(turn.rows, turn.rows + frame.height, dtype=pl.Int64).alias("row")
        turn.rows += frame.height
        tally = Tally(turn.file.name)
        plan = self._plan
        return to_batch(
            Outputs.union([plan]).take(_plausible(frame).with_columns(row), plan, tally),
            self.info,
            source_file=turn.file.name,
            first_row=turn.first_row,
            tally=tally,
        )

    @functools.cached_property
    def _plan(self) -> Plan:
        """Return what the NFStream dialect makes of these columns: the same as of its CSV."""
        texts = {f.name: pl.String for f in schema(self.columns) if f.type == pa.string()}
        types = {name: texts.get(name, pl.Float64) for name in self.columns}
        config = NFStreamConfig(
            accounting_mode=self.config.accounting_mode, server_names=self.config.server_names
        )
        names = dict(zip(self.columns, self.columns, strict=True))
        plan = frame_plan(Path(), DIALECT, config, Layout(types, ","), names)
        assert plan is not None
        return plan

    def _job(self) -> dict[str, Any]:
        config = self.config
        return {
            "idle_timeout": config.idle_timeout,
            "active_timeout": config.active_timeout,
            "accounting_mode": config.accounting_mode,
            "n_dissections": config.n_dissections,
            "decode_tunnels": config.decode_tunnels,
            "snapshot_length": config.snapshot_length,
            "statistical_analysis": config.statistics,
            "columns": self.columns,
            "batch_rows": TURN,
        }


def _of_rows(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pl.DataFrame]:
    """Cut the meters' batches into frames of `rows` flows; the last may have fewer, or none."""
    held = None
    for batch in batches:
        frame = pl.DataFrame(batch)
        held = frame if held is None else pl.concat([held, frame])
        while held.height > rows:
            yield held.head(rows)
            held = held.slice(rows)
    if held is not None:
        yield held


def _plausible(frame: pl.DataFrame) -> pl.DataFrame:
    """Make times null that a broken or hostile capture set too far off to count in microseconds."""
    times = [name for name in frame.columns if name.endswith("_seen_ms")]
    latest = LATEST_US // 1000
    return frame.with_columns(
        pl.when(pl.col(name) <= latest).then(pl.col(name)).cast(pl.Int64) for name in times
    )


def _aftermath(file: Path, capture: Capture, found: Walk, packets: int) -> ReadReport:
    """Say what the flows of a capture do not: where it broke off, and packets in no flow."""
    tally = Tally(file.name)
    if damage := capture.damage or found.damage:
        kept = f"the {found.packets:,} packets before that are kept"
        tally.skip_file(file.name, f"damaged: {damage}; {kept}")
    report = tally.report()
    if found.packets <= packets:
        return report
    left = f"{found.packets - packets:,} of {found.packets:,} packets are in no flow"
    return report + note(f"{escape(file.name)}: {left} (not IP, later fragments, or cut short)")
