"""Captures to Parquet, beside NFStream's own way to a file with the same settings."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.baselines.tiled_flows import data_folder
from netvigil.store import FlowStore

TILES = 3  # 46,947 flows of 1.5 packets: what a flow costs, not what a packet costs
GAP_S = 200  # beyond the idle timeout, so that no flow reaches from one tile into the next


def tile(source: Path, target: Path, times: int) -> None:
    """Write a little-endian pcap `times` over, each time later than the time before."""
    raw = source.read_bytes()
    records = []
    at = 24
    while at + 16 <= len(raw):
        second, fraction, captured = struct.unpack_from("<III", raw, at)
        records.append((second, fraction, raw[at + 8 : at + 16 + captured]))
        at += 16 + captured
    span = records[-1][0] - records[0][0] + GAP_S
    with target.open("wb") as out:
        out.write(raw[:24])
        for turn in range(times):
            for second, fraction, rest in records:
                out.write(struct.pack("<II", second + turn * span, fraction) + rest)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "tiled.pcap"
    tile(data_folder() / "westermo" / "right.pcap", path, TILES)
    return path


def bench_capture_to_parquet(paired: Callable[..., Any], capture: Path, tmp_path: Path) -> None:
    nfstream = pytest.importorskip("nfstream")
    from netvigil_flowprep.capture.config import PcapConfig
    from netvigil_flowprep.capture.reader import Pcap

    pcap = Pcap(PcapConfig())

    def ours() -> int:
        return len(FlowStore.write(pcap.read(capture, batch_rows=65_536), tmp_path / "f.parquet"))

    def to_csv() -> int:
        cores = psutil.Process().cpu_affinity()
        streamer = nfstream.NFStreamer(
            source=str(capture), statistical_analysis=True, n_dissections=20, n_meters=1
        )
        try:
            return int(streamer.to_csv(str(tmp_path / "f.csv")))
        finally:
            psutil.Process().cpu_affinity(cores)  # NFStream leaves its caller pinned to two

    assert ours() == to_csv()
    paired(ours, to_csv, name="capture to parquet vs NFStream to_csv", floor=1.0, rounds=2)
