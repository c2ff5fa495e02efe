"""The `pcap` flow reader: captures to flows through NFStream.

Byte counters count what `accounting_mode` says; times have NFStream's resolution of a millisecond.
Packets without an IP header (ARP, LLDP, ...), later fragments of a datagram and packets cut short of
their headers belong to no flow; the report says how many packets of a capture that were.

`flow_id` counts flows in the order in which NFStream's meter gives them up (timeouts first, then the
rest), files in the order of their names. One meter has one such order; several meters take turns of a
fixed size, so that reading again with the same `n_meters` gives the same ids in constant memory.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field

from netvigil.contracts import FlowBatch, FlowInfo
from netvigil.contracts.flows import BytesLayer, ReadReport
from netvigil.errors import PluginError, SourceError
from netvigil.parts import PartConfig
from netvigil.protocols import SourceHead
from netvigil_flowprep.canonical import to_batch
from netvigil_flowprep.capture import link_types
from netvigil_flowprep.capture.columns import schema, wanted
from netvigil_flowprep.capture.container import Walk, check, first_link_type, is_capture, walk
from netvigil_flowprep.capture.files import Capture, capture_files, opened, starts_a_capture
from netvigil_flowprep.capture.process import Meters
from netvigil_flowprep.tally import Tally, escape

from netvigil_flowprep.capture.TMP import to_canonical
LAYERS: tuple[BytesLayer, ...] = ("l2", "ip", "l4", "payload")
"""What NFStream's accounting modes 0 to 3 count."""
TURN = 8192  # flows: 5 MB a batch, and enough to hide what a batch costs


class PcapConfig(PartConfig):
    """Settings of the `pcap` reader; NFStream's own defaults but for the statistics."""

    idle_timeout: int = Field(120, ge=1, description="Seconds of silence after which a flow ends.")
    active_timeout: int = Field(1800, ge=1, description="Seconds after which any flow ends.")
    statistics: bool = Field(
        default=True, description="Packet sizes, gaps between packets and flag counters per flow."
    )
    accounting_mode: Literal[0, 1, 2, 3] = Field(
        0, description="What bytes count: 0 frames, 1 IP packets, 2 segments, 3 payload."
    )
    n_dissections: int = Field(
        20,
        ge=0,
        le=255,
        description="Packets per flow shown to nDPI for `l7_proto`; 0 turns it off (13 % faster).",
    )
    decode_tunnels: bool = Field(
        default=True, description="Look inside GTP, TZSP and CAPWAP tunnels."
    )
    snapshot_length: int = Field(1536, ge=64, description="Bytes of a packet that are looked at.")
    server_names: bool = Field(
        default=False, description="Keep the names of requested servers, which are private."
    )
    n_meters: int = Field(
        1, ge=1, le=256, description="Processes that share the packets; flow ids depend on it."
    )
    stall_s: float = Field(
        600.0, gt=0, description="Give a capture up after so many seconds without any progress."
    )


class Pcap:
    """Reads a capture, or all captures of a folder, whole or compressed with gzip."""

    def __init__(self, config: PcapConfig) -> None:
        self.config = config
        self.info = FlowInfo(
            "pcap",
            time_basis="clock",
            bytes_layer=LAYERS[config.accounting_mode],
            direction="bi",
        )

    def sniff(self, head: SourceHead) -> str | None:
        """Recognise a capture by its magic number; a folder by a capture in it."""
        if head.names:
            first = next((n for n in head.names if starts_a_capture(head.path / n)), None)
            return f"the folder holds captures, first {escape(first)}" if first else None
        if not is_capture(head.head):
            return None
        link_type = first_link_type(head.head)
        layer = f", {link_types.describe(link_type)}" if link_type is not None else ""
        return f"the magic number of a capture: {head.head[:4].hex()}{layer}"

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield flows, file by file.

        Raises:
            PluginError: NFStream is not installed.
            SourceError: The file, or every file of the folder, cannot be read.
        """
        if importlib.util.find_spec("nfstream") is None:
            msg = "Captures are read through NFStream, which is not installed."
            raise PluginError(
                msg, where=str(source), do="pip install 'netvigil-flowprep[pcap]'"
            )
        files = capture_files(source)
        first_row, failed = 0, Tally(source.name)
        with Meters(self.config.n_meters, stall_s=self.config.stall_s) as meters:
            for file in files:
                try:
                    for batch in self._file(file, meters, first_row, batch_rows):
                        first_row += batch.report.read
                        yield batch
                except SourceError as error:
                    if len(files) == 1:
                        raise
                    failed.skip_file(file.name, error.what)
        yield from self._skipped(source, failed, files=len(files))

    def _file(
        self, file: Path, meters: Meters, first_row: int, batch_rows: int
    ) -> Iterator[FlowBatch]:
        with opened(file) as capture, ThreadPoolExecutor(1) as pool:
            check(capture.path, str(file))
            walked = pool.submit(walk, capture.path)
            tally, rows, packets = Tally(file.name), 0, 0
            frames = _of_rows(meters.batches(capture.path, str(file), self._job()), batch_rows)
            for frame, last in _marking_last(frames):
                packets += int(frame["bidirectional_packets"].sum())
                row = pl.int_range(rows, rows + frame.height, dtype=pl.Int64).alias("row")
                rows += frame.height
                batch = to_batch(
                    to_canonical(frame.with_columns(row)),
                    self.info,
                    source_file=file.name,
                    first_row=first_row,
                    tally=tally,
                )
                if last:
                    report = batch.report + _aftermath(file, capture, walked.result(), packets)
                    batch = replace(batch, report=report)
                yield batch

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
            "columns": self._columns(),
            "batch_rows": TURN,
        }

    def _columns(self) -> list[str]:
        return wanted(
            statistics=self.config.statistics,
            dissections=self.config.n_dissections,
            tunnels=self.config.decode_tunnels,
            server_names=self.config.server_names,
        )

    def _skipped(self, source: Path, failed: Tally, *, files: int) -> Iterator[FlowBatch]:
        report = failed.report()
        if not report.skipped_files:
            return
        if len(report.skipped_files) == files:
            msg = f"None of the {files:,} files of the folder is a capture that can be read."
            raise SourceError(msg, where=str(source), do="; ".join(report.skipped_files[:3]))
        none = pl.DataFrame(schema(self._columns()).empty_table())
        none = to_canonical(none.with_columns(pl.lit(0, pl.Int64).alias("row")))
        batch = to_batch(none, self.info, source_file="", first_row=0, tally=failed)
        yield replace(batch, report=report)


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


def _marking_last(frames: Iterator[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, bool]]:
    held = next(frames, None)
    for frame in frames:
        assert held is not None
        yield held, False
        held = frame
    if held is not None:
        yield held, True


def _aftermath(file: Path, capture: Capture, found: Walk, packets: int) -> ReadReport:
    """Say what the flows of a capture do not: where it broke off, and packets in no flow."""
    tally = Tally(file.name)
    if damage := capture.damage or found.damage:
        kept = f"the {found.packets:,} packets before that are kept"
        tally.skip_file(file.name, f"damaged: {damage}; {kept}")
    report = tally.report()
    if found.packets <= packets:
        return report
    note = f"{escape(file.name)}: {found.packets - packets:,} of {found.packets:,} packets are in no"
    return replace(report, examples=(f"{note} flow (not IP, later fragments, or cut short)",))
