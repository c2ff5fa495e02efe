"""Captures through NFStream: real files, written ones, hostile ones."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netvigil.contracts import FlowBatch
from netvigil.contracts.flows import ReadReport
from netvigil.errors import PluginError, SourceError
from netvigil.protocols import SourceHead
from netvigil_flowprep.capture.columns import wanted
from netvigil_flowprep.capture.config import PcapConfig
from netvigil_flowprep.capture.process import Meters
from netvigil_flowprep.capture.reader import Pcap
from netvigil_flowprep.readers.config import NFStreamConfig
from netvigil_flowprep.readers.delimited import Delimited
from netvigil_flowprep.readers.nfstream import DIALECT

pytestmark = [
    pytest.mark.pcap,
    pytest.mark.skipif(
        importlib.util.find_spec("nfstream") is None, reason="needs netvigil-flowprep[pcap]"
    ),
]


def read(source: Path, *, batch_rows: int = 100_000, **config: object) -> list[FlowBatch]:
    return list(Pcap(PcapConfig.model_validate(config)).read(source, batch_rows=batch_rows))


def whole(batches: list[FlowBatch]) -> tuple[pa.Table, ReadReport]:
    """All flows in the order of their ids, and the report."""
    table = pa.concat_tables(b.flows.table for b in batches).unify_dictionaries()
    report = sum((b.report for b in batches), ReadReport())
    return table.sort_by("flow_id").combine_chunks(), report


def plain(table: pa.Table) -> pl.DataFrame:
    """A table as values, without dictionaries."""
    return pl.DataFrame(table).with_columns(pl.col(pl.Categorical).cast(pl.String))


def udp(src: int, dst: int, payload: bytes = b"x" * 30) -> bytes:
    """An Ethernet frame with a UDP datagram from 10.0.0.<src> to 10.0.0.<dst>."""
    datagram = struct.pack(">HHHH", 1000 + src, 2000 + dst, 8 + len(payload), 0) + payload
    length = 20 + len(datagram)
    head = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, 17, 0)
    head += bytes((10, 0, 0, src, 10, 0, 0, dst))
    return bytes(12) + b"\x08\x00" + head + datagram


def pcap(packets: list[tuple[float, bytes]]) -> bytes:
    head = b"\xd4\xc3\xb2\xa1" + struct.pack("<HHiIII", 2, 4, 0, 0, 65535, 1)
    records = (
        struct.pack("<IIII", int(at), round(at % 1 * 1e6), len(p), len(p)) + p for at, p in packets
    )
    return head + b"".join(records)


TALK = [(1000.0, udp(1, 2)), (1000.5, udp(2, 1)), (1001.0, udp(3, 4)), (1002.0, bytes(60))]


def test_flows_of_a_written_capture(tmp_path: Path) -> None:
    # The answer swaps ports, too: 1001/2002 one way, 1002/2001 the other make two flows.
    path = tmp_path / "talk.pcap"
    reply = udp(2, 1)[:34] + struct.pack(">HH", 2002, 1001) + udp(2, 1)[38:]
    path.write_bytes(pcap([TALK[0], (1000.5, reply), *TALK[2:]]))
    table, report = whole(read(path, n_dissections=0))
    rows = plain(table).sort("start").to_dicts()
    assert [(r["src_ip"], r["dst_ip"], r["fwd_packets"], r["bwd_packets"]) for r in rows] == [
        ("10.0.0.1", "10.0.0.2", 1, 1),
        ("10.0.0.3", "10.0.0.4", 1, 0),
    ]
    first = rows[0]
    assert (first["src_port"], first["dst_port"], first["protocol"]) == (1001, 2002, 17)
    assert (first["start"].timestamp(), first["end"].timestamp()) == (1000.0, 1000.5)
    assert (first["fwd_bytes"], first["bwd_bytes"]) == (72, 72)
    assert report.read == 2
    assert report.examples == (
        "talk.pcap: 1 of 4 packets are in no flow (not IP, later fragments, or cut short)",
    )


def is_first_ip_fragment(frame: bytes) -> bool:
    """Whether a frame holds an IP packet with a transport header, found without NFStream."""
    at = 12
    kind = int.from_bytes(frame[at : at + 2])
    while kind == 0x8100:
        at += 4
        kind = int.from_bytes(frame[at : at + 2])
    if kind == 0x0800:
        return not int.from_bytes(frame[at + 8 : at + 10]) & 0x1FFF
    return kind == 0x86DD


def frames_of(path: Path) -> Iterator[bytes]:
    raw, at = path.read_bytes(), 24
    while at < len(raw):
        (length,) = struct.unpack_from("<8xI", raw, at)
        yield raw[at + 16 : at + 16 + length]
        at += 16 + length


def test_westermo_agrees_with_a_walk_over_its_packets(data: Path) -> None:
    source = data / "westermo" / "right.pcap"
    batches = read(source, batch_rows=6_000)
    table, report = whole(batches)
    frames = list(frames_of(source))
    assert len(frames) == 35_067
    packets = sum(is_first_ip_fragment(frame) for frame in frames)
    flows = pl.DataFrame(table)
    metered = flows.select(pl.col("fwd_packets") + pl.col("bwd_packets")).to_series().sum()
    assert metered == packets == 22_896
    assert report.read == len(table) == 15_649
    assert f"{35_067 - packets:,} of 35,067 packets are in no flow" in report.examples[0]
    assert table["flow_id"].to_pylist() == list(range(15_649))
    assert [len(b.flows) for b in batches] == [6_000, 6_000, 3_649]
    talk = flows.filter(pl.col("protocol").is_in([6, 17]))
    assert talk.select("src_ip", "dst_ip", "src_port", "dst_port", "protocol").n_unique() == 15_633
    assert flows.filter(~pl.col("protocol").is_in([6, 17]))["src_port"].null_count() > 0
    assert batches[0].flows.info.bytes_layer == "l2"
    assert flows["l7_proto"].drop_nulls().is_in(["ssh"]).any()
    assert "server_name" not in flows.columns


def test_a_capture_and_nfstreams_own_csv_of_it_are_the_same_flows(
    data: Path, tmp_path: Path
) -> None:
    source = data / "pcaps" / "attacks" / "sheeeep-logfile.pcap"
    code = (
        "import sys; from nfstream import NFStreamer; NFStreamer(source=sys.argv[1],"
        " statistical_analysis=True, n_meters=1).to_csv(sys.argv[2])"
    )
    csv = tmp_path / "flows.csv"
    # In a process of its own: NFStream forks, and pins its caller to two cores.
    subprocess.run([sys.executable, "-c", code, str(source), str(csv)], check=True)
    ours, _ = whole(read(source, server_names=True))
    dialect = Delimited(DIALECT, NFStreamConfig(server_names=True))
    theirs, _ = whole(list(dialect.read(csv, batch_rows=100_000)))
    assert set(ours.column_names) == set(theirs.column_names)
    left, right = (plain(t).drop("source_file") for t in (ours, theirs))
    right = right.select(left.columns)
    texts = [name for name in left.columns if not name.startswith("x_")]
    assert left.select(texts).equals(right.select(texts))
    for name in set(left.columns) - set(texts):
        np.testing.assert_allclose(left[name], right[name], rtol=1e-6, err_msg=name)


def test_ids_and_rows_do_not_depend_on_the_batch_size(data: Path) -> None:
    source = data / "pcaps" / "attacks" / "synscan.pcap"
    small, large = (whole(read(source, batch_rows=rows))[0] for rows in (300, 100_000))
    assert len(large) > 900
    assert plain(small).equals(plain(large))


def test_several_meters_find_the_same_flows_and_the_same_ids_again(data: Path) -> None:
    source = data / "pcaps" / "attacks" / "synscan.pcap"
    one, _ = whole(read(source, n_dissections=0))
    first, again = (whole(read(source, n_dissections=0, n_meters=2))[0] for _ in range(2))
    assert plain(first).equals(plain(again))
    key = ["start", "src_ip", "dst_ip", "src_port", "dst_port", "protocol"]
    ours, theirs = (plain(t).drop("flow_id", "source_row").sort(key) for t in (one, first))
    assert ours.equals(theirs)


def test_settings_reach_nfstream(data: Path) -> None:
    source = data / "pcaps" / "apps" / "ssh.pcap"
    default, _ = whole(read(source))
    bare, _ = whole(read(source, statistics=False, n_dissections=0, accounting_mode=3))
    cut, _ = whole(read(source, idle_timeout=1, active_timeout=1, n_dissections=0))
    assert default["l7_proto"].to_pylist()[0] == "ssh"
    assert "l7_proto" not in bare.column_names
    assert "x_bidirectional_mean_ps" not in bare.column_names
    assert bare["fwd_bytes"][0].as_py() < default["fwd_bytes"][0].as_py()
    assert len(cut) > len(default)
    assert Pcap(PcapConfig(accounting_mode=3)).info.bytes_layer == "payload"


@pytest.mark.parametrize("folder", ["odd", "apps", "attacks"])
def test_every_capture_of_the_collections_is_read(data: Path, folder: str) -> None:
    source = data / "pcaps" / folder
    table, report = whole(read(source, stall_s=60))
    assert report.skipped_files == ()
    assert report.read == len(table) == {"odd": 378, "apps": 2_628, "attacks": 9_427}[folder]
    assert table["flow_id"].to_pylist() == list(range(len(table)))
    files = {f.name for f in source.iterdir()}
    flowless = {"arp-leak.pcap", "erspanIII.pcap"}
    assert set(table["source_file"].unique().to_pylist()) >= files - flowless


def test_a_folder_names_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(TALK))
    (tmp_path / "b.pcap").write_bytes(b"")
    (tmp_path / "c.pcap").write_bytes(pcap(TALK)[:20] + struct.pack("<I", 105) + pcap(TALK)[24:])
    (tmp_path / "d.pcap.gz").write_bytes(gzip.compress(pcap(TALK)))
    (tmp_path / "notes\x1b[2J.txt").write_text("not a capture")
    (tmp_path / "e.pcap").write_bytes(pcap(TALK)[:-100])
    (tmp_path / "f.pcap.gz").write_bytes(gzip.compress(pcap(TALK))[:-20])
    table, report = whole(read(tmp_path, n_dissections=0))
    by_file = plain(table).group_by("source_file", maintain_order=True).len()
    assert by_file["source_file"].to_list()[:3] == ["a.pcap", "d.pcap.gz", "e.pcap"]
    assert table["flow_id"].to_pylist() == list(range(len(table)))
    skipped = dict(entry.split(": ", 1) for entry in report.skipped_files)
    assert skipped["b.pcap"] == "The capture is empty."
    assert "link type 105 (IEEE 802.11)" in skipped["c.pcap"]
    assert "the 2 packets before that are kept" in skipped["e.pcap"]
    assert "gzip stream breaks off" in skipped["f.pcap.gz"]
    assert "notes\\x1b[2J.txt" in skipped
    assert len(skipped) == 5


def test_a_truncated_capture_keeps_what_came_before(data: Path, tmp_path: Path) -> None:
    raw = (data / "westermo" / "right.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(raw[:300_003])
    table, report = whole(read(tmp_path / "cut.pcap", n_dissections=0))
    assert len(table) > 100
    assert len(report.skipped_files) == 1
    assert "before the end of a packet" in report.skipped_files[0]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.mkdir(), "holds no files"),
        (lambda path: None, "no such file"),
        (lambda path: path.write_text("ts,uid\n"), "neither a pcap nor"),
        (lambda path: path.write_bytes(gzip.compress(b"ts,uid\n")), "neither a pcap nor"),
        (lambda path: (path.mkdir(), (path / "x.txt").write_text("x")), "None of the folder's"),
    ],
)
def test_what_is_no_capture_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], what: str
) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    source = tmp_path / "source"
    make(source)
    with pytest.raises(SourceError, match=what):
        read(source)


def test_without_nfstream_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError) as error:
        read(tmp_path)
    assert error.value.do == "pip install 'netvigil-flowprep[pcap]'"


def test_a_capture_with_nothing_but_arp_gives_no_flows(data: Path) -> None:
    table, report = whole(read(data / "pcaps" / "odd" / "arp-leak.pcap", n_dissections=0))
    assert len(table) == 0
    assert "6 of 6 packets are in no flow" in report.examples[0]


def test_times_out_of_any_range_are_rejected_rows(tmp_path: Path) -> None:
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 65535, 20)
    frame = udp(1, 2)
    body = struct.pack("<IIIII", 0, 0x7FFFFFFF, 0xFFFFFFFF, len(frame), len(frame)) + frame
    length = 12 + len(body)
    packet = struct.pack("<II", 6, length) + body + struct.pack("<I", length)
    path = tmp_path / "far.pcapng"
    path.write_bytes(section + interface + packet)
    table, report = whole(read(path, n_dissections=0))
    assert (len(table), report.rejects) == (0, {"no start time": 1})


def test_sniffing(tmp_path: Path) -> None:
    pcaps = Pcap(PcapConfig())
    content = pcap(TALK)
    assert "link type 1 (Ethernet)" in str(pcaps.sniff(SourceHead(tmp_path / "x", content)))
    assert pcaps.sniff(SourceHead(tmp_path / "x", b"ts,uid\n")) is None
    (tmp_path / "b.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.txt").write_text("x")
    why = pcaps.sniff(SourceHead(tmp_path, b"", ("a.txt", "b.gz")))
    assert why == "the folder holds captures, first b.gz"
    assert pcaps.sniff(SourceHead(tmp_path, b"", ("a.txt",))) is None


@pytest.fixture(scope="module")
def meters() -> Iterator[Meters]:
    with Meters(1, stall_s=60) as meters:
        yield meters


def job(dissections: int) -> dict[str, object]:
    names = wanted(statistics=True, dissections=dissections, tunnels=True, server_names=True)
    return {
        "idle_timeout": 120,
        "active_timeout": 1800,
        "accounting_mode": 0,
        "n_dissections": dissections,
        "decode_tunnels": True,
        "snapshot_length": 1536,
        "statistical_analysis": True,
        "columns": names,
        "batch_rows": 1000,
    }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(packets=st.lists(st.binary(max_size=120), max_size=20))
def test_junk_packets_never_escape_as_anything_but_a_source_error(
    meters: Meters, tmp_path_factory: pytest.TempPathFactory, packets: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("junk") / "junk.pcap"
    path.write_bytes(
        pcap([(1000.0 + n, bytes(12) + b"\x08\x00E" + p) for n, p in enumerate(packets)])
    )
    with contextlib.suppress(SourceError):
        for batch in meters.batches(path, "junk", job(20)):
            assert batch.num_columns == len(job(20)["columns"])  # type: ignore[arg-type]


def test_captures_with_flipped_bytes_are_read_or_refused(
    meters: Meters, data: Path, tmp_path: Path
) -> None:
    files = sorted((data / "pcaps" / "odd").iterdir())[::6]
    chance = random.Random(3)
    for file in files:
        raw = bytearray(file.read_bytes())
        for _ in range(max(len(raw) // 50, 5)):
            raw[chance.randrange(24, len(raw))] = chance.randrange(256)
        path = tmp_path / file.name
        path.write_bytes(raw)
        with contextlib.suppress(SourceError):
            list(meters.batches(path, file.name, job(20)))


COMPARE = """
import json, sys
from netvigil_flowprep.capture import worker
class Kept(list):
    put = list.append
    def alive(self): pass
job = json.loads(sys.argv[1])
names = job["columns"]
found = []
for run in (worker.meter, worker.stream):
    channel = Kept()
    run(job, channel)
    flows = [f for f in channel if hasattr(f, "src_ip")]
    found.append([[getattr(f, n) for n in names] for f in flows])
print(len(found[0]), found[0] == found[1])
"""


def test_the_documented_iterator_gives_the_same_flows_as_the_meter(data: Path) -> None:
    # It is the way out where a later NFStream changes the meter's arguments.
    path = data / "pcaps" / "attacks" / "WebattackSQLinj.pcap"
    order = job(20) | {"path": str(path), "n_meters": 1, "meter": 0}
    command = [sys.executable, "-c", COMPARE, json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, same = done.stdout.split()[-2:]
    assert int(count) > 0
    assert same == "True"
