"""Zeek's conn log in all its forms: real files, written ones, broken ones."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
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
from netvigil_flowprep.readers.zeek import Zeek

FIELDS = (
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service"),
    *("duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp"),
    *("missed_bytes", "history", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes"),
    "tunnel_parents",
)
Row = dict[str, Any]
WEB: Row = {
    "ts": 1545403848.981338,
    "uid": "CDrk1",
    "id.orig_h": "192.168.1.195",
    "id.orig_p": 41040,
    "id.resp_h": "185.244.25.235",
    "id.resp_p": 80,
    "proto": "tcp",
    "service": "http",
    "duration": 1.477656,
    "orig_bytes": 149,
    "resp_bytes": 128252,
    "conn_state": "SF",
    "local_orig": True,
    "local_resp": False,
    "missed_bytes": 2896,
    "history": "ShADadttcfF",
    "orig_pkts": 94,
    "orig_ip_bytes": 5525,
    "resp_pkts": 96,
    "resp_ip_bytes": 139044,
}
PING: Row = {
    "ts": 1545403850.5,
    "uid": "CDrk2",
    "id.orig_h": "fe80::1",
    "id.orig_p": 143,
    "id.resp_h": "ff02::16",
    "id.resp_p": 0,
    "proto": "icmp",
    "conn_state": "OTH",
    "orig_pkts": 1,
    "orig_ip_bytes": 76,
    "resp_pkts": 0,
    "resp_ip_bytes": 0,
}
LABELLED = ("label", "detailedlabel")


def field(value: Any, unset: str = "-") -> str:
    if value is None:
        return unset
    if isinstance(value, bool):
        return "T" if value else "F"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def tsv(rows: Sequence[Row], *, extra: tuple[str, ...] = (), separator: str = "\t") -> str:
    names = (*FIELDS, *extra)
    head = {
        "set_separator": ",",
        "empty_field": "(empty)",
        "unset_field": "-",
        "path": "conn",
        "open": "2019-03-15-14-50-49",
        "fields": separator.join(names),
        "types": separator.join("string" for _ in names),
    }
    lines = [f"#separator \\x{ord(separator):02x}"]
    lines += [f"#{key}{separator}{value}" for key, value in head.items()]
    lines += [separator.join(field(row.get(name)) for name in names) for row in rows]
    return "\n".join((*lines, f"#close{separator}2019-03-15-15-00-00")) + "\n"


def packed(rows: Sequence[Row]) -> str:
    """The form of IoT-23: three values in the last field, between runs of spaces."""
    text = tsv(rows, extra=("label", "detailed-label"))
    lines = []
    for line in text.splitlines():
        is_table = line.startswith(("#fields", "#types")) or not line.startswith("#")
        lines.append("   ".join(line.rsplit("\t", 2)) if is_table else line)
    return "\n".join(lines) + "\n"


def json_lines(rows: Sequence[Row]) -> str:
    kept = ({k: v for k, v in row.items() if v is not None} for row in rows)
    return "".join(json.dumps(row) + "\n" for row in kept)


def comma(rows: Sequence[Row], extra: tuple[str, ...] = ("label", "detailed-label")) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*FIELDS, *extra))
    for row in rows:
        writer.writerow(field(row.get(name), "") for name in (*FIELDS, *extra))
    return out.getvalue()


def read(source: Path, *, batch_rows: int = 100_000) -> list[FlowBatch]:
    return list(Zeek(NoConfig()).read(source, batch_rows=batch_rows))


def whole(batches: list[FlowBatch]) -> tuple[pl.DataFrame, ReadReport]:
    """All flows as values in the order of their ids, and the report."""
    tables = pa.concat_tables(batch.flows.table for batch in batches)
    frame = pl.DataFrame(tables).with_columns(pl.col(pl.Categorical).cast(pl.String))
    return frame.sort("flow_id"), sum((b.report for b in batches), ReadReport())


def labels(batches: list[FlowBatch]) -> pl.DataFrame:
    tables = [batch.inline for batch in batches if batch.inline is not None]
    return pl.DataFrame(pa.concat_tables(tables)).sort("flow_id")


def written(folder: Path, text: str | bytes, name: str = "conn.log") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def sniffed(path: Path) -> str | None:
    return Zeek(NoConfig()).sniff(SourceHead(path, path.read_bytes()[:65_536]))


@pytest.mark.parametrize(
    ("name", "flows", "malicious"),
    [
        ("iot-23/CTU-Honeypot-Capture-5-1-labeled.csv", 1_374, 0),
        ("iot-23/CTU-Malware-Capture-20-1-labeled.csv", 3_209, 16),
        ("iot-23/CTU-Malware-Capture-8-1-labeled.csv", 10_403, 8_222),
        ("iot-23/CTU-IoT-Malware-Capture-34-1.conn.log.labeled", 23_145, 21_222),
        ("stratosphere/008.conn.log.labeled", 5_663, 4_201),
        ("stratosphere/010.conn.log.labeled", 5_347, 3_373),
    ],
)
def test_labelled_real_logs(data: Path, name: str, flows: int, malicious: int) -> None:
    assert sniffed(data / name)
    batches = read(data / name, batch_rows=4_000)
    table, report = whole(batches)
    assert len(table) == report.read == flows
    assert (report.repaired, report.rejected) == (0, 0)
    inline = labels(batches)
    assert inline["flow_id"].to_list() == table["flow_id"].to_list() == list(range(flows))
    assert (inline["label"].str.to_lowercase() == "malicious").sum() == malicious
    assert inline.filter(pl.col("label") == "Malicious")["attack"].null_count() == 0
    assert not inline["attack"].is_in(["-", "(empty)"]).any()
    assert table["source_uid"].n_unique() == flows
    assert (
        table["tcp_flags"].null_count()
        == (table["protocol"] != 6).sum()
        + table.filter((pl.col("protocol") == 6) & pl.col("tcp_flags").is_null()).height
    )


def test_labels_of_iot23_come_out_of_the_last_field(data: Path) -> None:
    path = data / "iot-23" / "CTU-IoT-Malware-Capture-34-1.conn.log.labeled"
    found = labels(read(path)).group_by("label", "attack").len().rows()
    assert {(label, attack): n for label, attack, n in found} == {
        ("Benign", None): 1_923,
        ("Malicious", "C&C"): 6_706,
        ("Malicious", "DDoS"): 14_394,
        ("Malicious", "PartOfAHorizontalPortScan"): 122,
    }


@pytest.mark.parametrize(
    ("name", "flows"),
    [
        ("stratosphere/002-port-scanning.conn.json.log", 4_504),
        ("slips/test9-mixed-zeek-dir", 576),
        ("slips/test10-mixed-zeek-dir", 141),
    ],
)
def test_unlabelled_real_logs(data: Path, name: str, flows: int) -> None:
    batches = read(data / name)
    table, report = whole(batches)
    assert len(table) == report.read == flows
    assert report.rejected == 0
    assert all(batch.inline is None for batch in batches)


def test_what_a_connection_becomes(tmp_path: Path) -> None:
    table, _ = whole(read(written(tmp_path, tsv([WEB, PING]))))
    web, ping = table.to_dicts()
    assert (web["start"].timestamp(), web["end"].timestamp()) == (
        pytest.approx(1545403848.981338, abs=1e-6),
        pytest.approx(1545403850.458994, abs=1e-6),
    )
    expected = {
        "src_ip": "192.168.1.195",
        "dst_ip": "185.244.25.235",
        "src_port": 41040,
        "dst_port": 80,
        "protocol": 6,
        "duration_s": 1.477656,
        "fwd_packets": 94,
        "bwd_packets": 96,
        "fwd_bytes": 5525,
        "bwd_bytes": 139044,
        "x_fwd_payload_bytes": 149.0,
        "x_bwd_payload_bytes": 128252.0,
        "x_missed_bytes": 2896.0,
        "x_local_orig": 1.0,
        "x_local_resp": 0.0,
        "conn_state": "SF",
        "l7_proto": "http",
        "source_uid": "CDrk1",
        "source_file": "conn.log",
        "icmp_type": None,
        # S A D F forward (t and c say nothing); h a d f backward.
        "fwd_tcp_flags": 0x02 | 0x10 | 0x08 | 0x01,
        "bwd_tcp_flags": 0x02 | 0x10 | 0x08 | 0x01,
    }
    assert {name: web[name] for name in expected} == expected
    expected = {
        "protocol": 58,
        "src_port": None,
        "dst_port": None,
        "icmp_type": 143,
        "icmp_code": 0,
        "tcp_flags": None,
        "duration_s": None,
        "x_fwd_payload_bytes": None,
        "l7_proto": None,
    }
    assert {name: ping[name] for name in expected} == expected
    assert ping["start"] == ping["end"]


TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
COUNT = st.integers(0, 2**40)
ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ROW = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 4_000_000_000_000_000).map(lambda us: us / 1e6),
        "id.orig_h": ADDRESS,
        "id.resp_h": ADDRESS,
        "id.orig_p": st.integers(0, 255),
        "id.resp_p": st.integers(0, 255),
        "proto": st.sampled_from(["tcp", "udp", "icmp", "unknown_transport"]),
        "conn_state": st.sampled_from(["SF", "S0", "REJ"]),
    },
    optional={
        "uid": TEXT,
        "service": TEXT,
        "duration": st.integers(0, 10**12).map(lambda us: us / 1e6),
        "local_orig": st.booleans(),
        "history": st.text("ShADadFfRr^cCtTwWgGQqIi", min_size=1, max_size=9),
        **dict.fromkeys(("orig_bytes", "resp_bytes", "missed_bytes", "orig_pkts"), COUNT),
        **dict.fromkeys(("resp_pkts", "orig_ip_bytes", "resp_ip_bytes"), COUNT),
        "label": st.sampled_from(["Benign", "Malicious", "Background"]),
        "detailed-label": TEXT,
    },
)
FORMS: dict[str, Callable[[Sequence[Row]], str]] = {
    "tsv": lambda rows: tsv(rows, extra=("label", "detailed-label")),
    "iot-23": packed,
    "json": json_lines,
    "csv": comma,
}


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=12), batch_rows=st.integers(1, 20))
def test_all_forms_of_a_log_are_the_same_flows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], batch_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    found = {}
    for name, form in FORMS.items():
        path = written(folder, form(rows), name)
        table, report = whole(read(path, batch_rows=batch_rows))
        assert (report.read, report.rejected, report.repaired) == (len(rows), 0, 0)
        found[name] = table.drop("source_file")
    for name in ("iot-23", "json", "csv"):
        assert found["tsv"].equals(found[name]), name
    starts = found["tsv"]["start"].dt.epoch("us").to_list()
    assert starts == [round(row["ts"] * 1e6) for row in rows]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([tsv([WEB]), json_lines([WEB]), comma([WEB])]))
def test_junk_after_a_good_row_loses_nothing_of_it(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, text: str
) -> None:
    path = written(tmp_path_factory.mktemp("junk"), text.encode() + junk)
    table, report = whole(read(path))
    assert "CDrk1" in table["source_uid"].to_list()
    assert len(table) == report.read - report.rejected


def test_the_batch_size_changes_nothing_but_the_batches(data: Path) -> None:
    path = data / "stratosphere" / "008.conn.log.labeled"
    small, large = (read(path, batch_rows=rows) for rows in (700, 100_000))
    assert len(small) > 5 * len(large)
    assert whole(small)[0].equals(whole(large)[0])
    assert labels(small).equals(labels(large))
    assert whole(small)[1] == whole(large)[1]


@pytest.mark.parametrize("form", ["tsv", "json", "csv"])
def test_broken_lines_are_counted_and_keep_their_numbers(tmp_path: Path, form: str) -> None:
    lines = FORMS[form]([WEB] * 5).splitlines(keepends=True)
    rows = [n for n, line in enumerate(lines) if "CDrk1" in line]
    lines[rows[1]] = lines[rows[1]][:40] + "\n"
    lines[rows[3]] = "\n\x1b[2J\n"
    table, report = whole(read(written(tmp_path, "".join(lines))))
    # The blank line before the escape sequence is no row.
    assert table["source_row"].to_list() == [0, 2, 4]
    assert (report.read, report.rejected) == (5, 2)
    assert sum(report.rejects.values()) == 2
    assert "\x1b" not in "".join(report.examples)
    assert "row 1" in report.examples[0]


def test_a_value_out_of_its_range_becomes_null_and_is_counted(tmp_path: Path) -> None:
    bad = WEB | {"orig_pkts": -1, "id.orig_p": 70_000, "duration": -2.0}
    for form in ("tsv", "json", "csv"):
        table, report = whole(read(written(tmp_path, FORMS[form]([bad, WEB]), form)))
        assert table["fwd_packets"].to_list() == [None, 94], form
        assert table["src_port"].to_list() == [None, 41040]
        assert (report.repaired, report.rejected) == (1, 0)
        assert report.repairs["negative duration"] == 1


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (1545403848.981338, 1545403848981338),
        (1545403848981, 1545403848981000),
        ("2018-12-21T14:50:48.981338Z", 1545403848981338),
        ("2018-12-21T16:50:48.981338+0200", 1545403848981338),
        (22.335172, 22335172),
    ],
)
def test_times_in_json(tmp_path: Path, ts: object, expected: int) -> None:
    table, _ = whole(read(written(tmp_path, json_lines([WEB | {"ts": ts}] * 2))))
    assert table["start"].dt.epoch("us").to_list() == [expected] * 2


def test_a_row_without_a_time_is_rejected(tmp_path: Path) -> None:
    rows = [WEB, WEB | {"ts": None}, WEB | {"ts": "noon"}]
    for form in ("tsv", "json"):
        table, report = whole(read(written(tmp_path, FORMS[form](rows), form)))
        assert len(table) == 1
        assert report.rejects == {"no start time": 2}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\t" + text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text[:-1],
        lambda text: text.split("#close")[0],
        lambda text: "\n\n" + text,
    ],
    ids=["tab first", "byte-order mark", "CRLF", "no last newline", "no #close", "blank first"],
)
def test_accidents_around_the_header(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = written(tmp_path, change(tsv([WEB, PING])))
    assert sniffed(path)
    expected, _ = whole(read(written(tmp_path, tsv([WEB, PING]), "plain")))
    found, report = whole(read(path))
    assert found.drop("source_file").equals(expected.drop("source_file"))
    assert report.rejected == 0


def test_joined_logs_and_another_separator(tmp_path: Path) -> None:
    text = tsv([WEB]) + tsv([PING], extra=LABELLED, separator="|") + tsv([WEB])
    table, report = whole(read(written(tmp_path, text)))
    assert table["protocol"].to_list() == [6, 58, 6]
    assert (report.read, report.rejected) == (3, 0)


def test_a_quote_and_bytes_that_are_not_utf8_are_plain_text(tmp_path: Path) -> None:
    text = tsv([WEB | {"service": 'ht"tp'}, WEB | {"service": "caf\x00"}])
    raw = text.encode().replace(b"\x00", b"\xe9")
    table, report = whole(read(written(tmp_path, raw)))
    assert table["l7_proto"].to_list() == ['ht"tp', "café"]
    assert report.rejected == 0


def test_a_folder_of_rotated_logs(tmp_path: Path) -> None:
    ten = written(tmp_path, gzip.compress(tsv([WEB] * 3).encode()), "conn.10:00:00-11:00:00.log.gz")
    written(tmp_path, json_lines([PING, WEB]), "conn.11:00:00-12:00:00.log")
    written(tmp_path, gzip.compress(tsv([WEB] * 900).encode())[:-400], "conn.12.log.gz")
    written(tmp_path, "", "conn.13.log")
    written(tmp_path, "#separator \\x09\n#path\tdns\n#fields\tts\n1\n", "dns.log")
    written(tmp_path, "conn-summary", "conn-summary.log")
    names = tuple(sorted(path.name for path in tmp_path.iterdir()))
    assert "conn.10:00:00" in str(Zeek(NoConfig()).sniff(SourceHead(tmp_path, b"", names)))
    table, report = whole(read(tmp_path, batch_rows=2))
    assert (
        table["source_file"].head(5).to_list()
        == [ten.name] * 3 + ["conn.11:00:00-12:00:00.log"] * 2
    )
    assert table["flow_id"].to_list() == list(range(len(table)))
    assert table["source_row"].head(5).to_list() == [0, 1, 2, 0, 1]
    assert len(report.skipped_files) == 2
    assert report.skipped_files[0].startswith("conn.12.log.gz: the gzip data is cut off; the rows")
    assert report.skipped_files[1].startswith("conn.13.log: ")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("#separator \\x09\n#path\tdns\n#fields\tts\tuid\n1\t2\n", "dns log, not its conn log"),
        ("#separator \\x09\n#path\tconn\n1\t2\n", "rows before its #fields line"),
        ("#fields\tts\tuid\n1\t2\n", "no field id.orig_h, id.resp_h, proto"),
        ("#fields\tts\tid.orig_h\tid.resp_h\tproto\tts\n1\t2\t3\t4\t5\n", "two fields of one name"),
        ('{"ts": 1, "id.orig_h": "1.2.3.4", "query": "x"}\n', "no conn log"),
        ("a,b,c\n1,2,3\n", "no conn log"),
        ("\x00\x01\x02", "no conn log"),
    ],
)
def test_what_is_no_conn_log_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SourceError, match=what):
        read(path)
    assert not text or sniffed(path) is None


def test_a_folder_without_conn_logs_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "x", "dns.log")
    assert Zeek(NoConfig()).sniff(SourceHead(tmp_path, b"", ("dns.log",))) is None
    with pytest.raises(SourceError, match="holds no conn log"):
        read(tmp_path)


def test_a_log_with_a_header_and_no_rows_is_an_empty_table(tmp_path: Path) -> None:
    batches = read(written(tmp_path, tsv([])))
    assert [len(batch.flows) for batch in batches] == [0]
    assert batches[0].report == ReadReport()


def test_ids_go_on_after_a_file_that_breaks_off(tmp_path: Path) -> None:
    # The second half of `a` is of another log, which is noticed only when it is reached.
    text = tsv([WEB] * 4) + "#path\tdns\n#fields\tts\n1\n"
    written(tmp_path, text, "conn.a.log")
    written(tmp_path, tsv([PING]), "conn.b.log")
    table, report = whole(read(tmp_path))
    assert table["flow_id"].to_list() == [0, 1, 2, 3, 4]
    assert len(report.skipped_files) == 1
