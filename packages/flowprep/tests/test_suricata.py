"""Suricata's EVE log: a real one, written ones, broken ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import FlowBatch
from netvigil.contracts.flows import ReadReport
from netvigil.errors import SourceError
from netvigil.parts import NoConfig
from netvigil.protocols import SourceHead
from netvigil_flowprep.readers.suricata import Suricata

Event = dict[str, Any]
TELNET: Event = {
    "timestamp": "2021-06-06T15:57:37.272281+0200",
    "flow_id": 2305843009213693951,
    "event_type": "flow",
    "src_ip": "178.72.77.34",
    "src_port": 11091,
    "dest_ip": "192.168.1.129",
    "dest_port": 23,
    "proto": "TCP",
    "app_proto": "failed",
    "flow": {
        "pkts_toserver": 2,
        "pkts_toclient": 1,
        "bytes_toserver": 120,
        "bytes_toclient": 54,
        "start": "2021-06-07T07:34:12.260567+0200",
        "end": "2021-06-07T07:34:12.260822+0200",
        "age": 0,
        "state": "closed",
        "reason": "shutdown",
        "alerted": True,
    },
    "tcp": {"tcp_flags": "16", "tcp_flags_ts": "02", "tcp_flags_tc": "14", "syn": True},
    "host": "sensor",
}
PING: Event = {
    "timestamp": "2021-06-07T08:00:00.000000+0000",
    "flow_id": 7,
    "event_type": "flow",
    "src_ip": "fe80::1",
    "dest_ip": "fe80::2",
    "proto": "IPv6-ICMP",
    "icmp_type": 128,
    "icmp_code": 0,
    "flow": {
        "pkts_toserver": 1,
        "pkts_toclient": 1,
        "bytes_toserver": 118,
        "bytes_toclient": 118,
        "start": "2021-06-07T05:34:12Z",
        "end": "2021-06-07T05:34:13Z",
        "state": "established",
    },
}
ALERT: Event = {"timestamp": "x", "event_type": "alert", "src_ip": "1.2.3.4", "flow": {"start": 5}}


def lines(events: Sequence[Event]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def written(folder: Path, text: str | bytes, name: str = "eve.json") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(source: Path, *, batch_rows: int = 100_000) -> list[FlowBatch]:
    return list(Suricata(NoConfig()).read(source, batch_rows=batch_rows))


def whole(batches: list[FlowBatch]) -> tuple[pl.DataFrame, ReadReport]:
    tables = pa.concat_tables(batch.flows.table for batch in batches)
    frame = pl.DataFrame(tables).with_columns(pl.col(pl.Categorical).cast(pl.String))
    return frame.sort("flow_id"), sum((b.report for b in batches), ReadReport())


def sniffed(path: Path) -> str | None:
    return Suricata(NoConfig()).sniff(SourceHead(path, path.read_bytes()[:65_536]))


def test_a_real_log(data: Path) -> None:
    path = data / "slips" / "test6-malicious.suricata.json"
    assert sniffed(path) == "JSON objects with event_type"
    batches = read(path, batch_rows=1_000)
    table, report = whole(batches)
    flows = [json.loads(line) for line in path.read_text().splitlines()]
    expected = {n: e for n, e in enumerate(flows) if e["event_type"] == "flow"}
    assert len(table) == report.read == len(expected) == 3_512
    assert report.rejected == report.repaired == 0
    assert table["source_row"].to_list() == table["flow_id"].to_list() == list(expected)
    assert table["source_uid"].to_list() == [str(e["flow_id"]) for e in expected.values()]
    sent = [e["flow"]["bytes_toserver"] for e in expected.values()]
    assert table["fwd_bytes"].to_list() == sent
    assert "1,488 events are no flows (alert 745, dns 680, http 56" in report.examples[0]
    small = table.drop("source_file")
    assert small.equals(whole(read(path))[0].drop("source_file"))


def test_what_an_event_becomes(tmp_path: Path) -> None:
    table, report = whole(read(written(tmp_path, lines([ALERT, TELNET, PING]))))
    telnet, ping = table.to_dicts()
    expected = {
        "flow_id": 1,
        "src_ip": "178.72.77.34",
        "dst_ip": "192.168.1.129",
        "src_port": 11091,
        "dst_port": 23,
        "protocol": 6,
        "fwd_packets": 2,
        "bwd_packets": 1,
        "fwd_bytes": 120,
        "bwd_bytes": 54,
        "tcp_flags": 0x16,
        "fwd_tcp_flags": 0x02,
        "bwd_tcp_flags": 0x14,
        "conn_state": "closed",
        "c_reason": "shutdown",
        "l7_proto": None,
        "source_uid": "2305843009213693951",
    }
    assert {name: telnet[name] for name in expected} == expected
    assert telnet["start"].isoformat() == "2021-06-07T05:34:12.260567+00:00"
    assert telnet["duration_s"] == pytest.approx(255e-6)
    assert (ping["protocol"], ping["icmp_type"], ping["icmp_code"]) == (58, 128, 0)
    assert (ping["src_port"], ping["tcp_flags"], ping["duration_s"]) == (None, None, 1.0)
    assert report.read == 2
    assert report.examples == ("eve.json: 1 events are no flows (alert 1)",)
    # Suricata's own verdict is no feature, and no truth either.
    assert not [name for name in table.columns if "alert" in name]


def test_broken_lines_are_counted_and_the_others_read(tmp_path: Path) -> None:
    text = lines([TELNET]) + '{"event_type": "flow", "flow": \n\nnull\n' + lines([PING] * 3)
    table, report = whole(read(written(tmp_path, text)))
    assert table["source_row"].to_list() == [0, 3, 4, 5]
    assert (report.read, report.rejected) == (6, 2)
    assert report.rejects == {"not a JSON object": 2}


def test_values_of_another_type_are_repaired_or_rejected(tmp_path: Path) -> None:
    events = [
        TELNET,
        TELNET | {"src_port": "11091", "flow": TELNET["flow"] | {"pkts_toserver": -4}},
        TELNET | {"flow": "none"},
        TELNET | {"tcp": {"tcp_flags": "zz", "tcp_flags_ts": 2}},
    ]
    table, report = whole(read(written(tmp_path, lines(events))))
    assert table["src_port"].to_list() == [11091] * 3
    assert table["fwd_packets"].to_list() == [2, None, 2]
    assert table["tcp_flags"].to_list() == [0x16, 0x16, None]
    assert report.rejects == {"no start time": 1}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.just(lines([PING]).encode())), max_size=8))
def test_junk_lines_lose_no_good_one(
    tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("eve") / "eve.json"
    path.write_bytes(lines([TELNET]).encode() + b"\n".join(junk) + b"\n" + lines([PING]).encode())
    table, report = whole(read(path, batch_rows=3))
    assert table["source_uid"].to_list()[0] == str(TELNET["flow_id"])
    assert table["source_uid"].to_list()[-1] == "7"
    assert len(table) == report.read - report.rejected


def test_a_broken_line_among_many_costs_only_itself(tmp_path: Path) -> None:
    # 600 kB: the block is cut in halves down to the broken line.
    events = [TELNET | {"flow_id": n} for n in range(1_500)]
    text = lines(events[:700]) + "{broken\n" + lines(events[700:])
    table, report = whole(read(written(tmp_path, text)))
    assert table["source_uid"].to_list() == [str(n) for n in range(1_500)]
    assert report.rejects == {"not a JSON object": 1}
    assert "row 700" in report.examples[0]


def test_rotated_and_compressed_logs_of_a_folder(tmp_path: Path) -> None:
    written(tmp_path, gzip.compress(lines([PING, ALERT, TELNET]).encode()), "eve-1.json.gz")
    written(tmp_path, lines([TELNET]), "eve-2.json")
    written(tmp_path, lines([ALERT]), "eve-3.json")
    written(tmp_path, "{}", "stats.json")
    names = tuple(sorted(path.name for path in tmp_path.iterdir()))
    assert Suricata(NoConfig()).sniff(SourceHead(tmp_path, b"", names)) is not None
    table, report = whole(read(tmp_path))
    assert table["flow_id"].to_list() == [0, 2, 3]
    assert report.skipped_files == (
        "eve-3.json: This EVE log has no event of type flow, only: alert 1.",
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "no EVE log"),
        ('{"ts": 1, "uid": "x"}\n', "no EVE log"),
        (lines([ALERT, TELNET | {"event_type": "netflow"}]), "alert 1, netflow 1"),
    ],
)
def test_what_has_no_flow_events_is_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(SourceError, match=what):
        read(written(tmp_path, text))


def test_a_folder_without_an_eve_log_is_refused(tmp_path: Path) -> None:
    assert Suricata(NoConfig()).sniff(SourceHead(tmp_path, b"", ("conn.log",))) is None
    with pytest.raises(SourceError, match="holds no EVE log"):
        read(tmp_path)
