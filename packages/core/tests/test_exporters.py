"""JSON lines: one alert per line, whatever text the traffic brought."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import ALERTS, AlertTable
from netvigil.exporters import Jsonl

from . import fakes

HOSTILE = 'x\x1b[2J\n"},{\u2028\N{PILE OF POO}'


def alerts(*rows) -> AlertTable:
    base = {
        "flow_id": 7,
        "start": fakes.EPOCH_US,
        "end": fakes.EPOCH_US + 1,
        "src_ip": "10.0.0.1",
        "src_port": 80,
        "dst_ip": None,
        "dst_port": None,
        "protocol": 6,
        "score": 2.0,
        "cut": 1.0,
        "reasons": ["why"],
        "bundle": "abc",
    }
    return AlertTable(pa.Table.from_pylist([base | row for row in rows], schema=ALERTS))


def test_one_line_per_alert_over_all_tables(tmp_path):
    target = tmp_path / "alerts.jsonl"
    written = Jsonl().export([alerts({}, {"flow_id": 8}), alerts(), alerts({"flow_id": 9})], target)
    lines = target.read_text("ascii").splitlines()
    assert written == len(lines) == 3
    found = [json.loads(line) for line in lines]
    assert [row["flow_id"] for row in found] == [7, 8, 9]
    assert found[0]["start"] == "2026-02-25T06:13:20.000000+00:00"
    assert found[0]["end"] == "2026-02-25T06:13:20.000001+00:00"
    assert found[0]["dst_ip"] is None
    assert list(found[0]) == ALERTS.names


def test_text_from_traffic_stays_inside_its_line(tmp_path):
    target = tmp_path / "alerts.jsonl"
    Jsonl().export([alerts({"src_ip": HOSTILE, "reasons": [HOSTILE]})], target)
    raw = target.read_bytes()
    assert raw.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in raw[:-1])
    assert json.loads(raw)["src_ip"] == HOSTILE
    assert json.loads(raw)["reasons"] == [HOSTILE]


TEXT = st.text(max_size=9) | st.sampled_from(["", "\n", "]\n[", "%s", '"', "null", "\\", HOSTILE])


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "src_ip": st.none() | TEXT,
                "src_port": st.none() | st.integers(0, 65_535),
                "score": st.floats(min_value=1.5, allow_nan=False),
                "reasons": st.none() | st.lists(st.none() | TEXT, max_size=3),
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_each_line_is_what_json_makes_of_its_row(rows):
    times = {"start": "2026-02-25T06:13:20.000000+00:00", "end": "2026-02-25T06:13:20.000001+00:00"}
    made = alerts(*rows)
    with TemporaryDirectory() as folder:
        target = Path(folder) / "alerts.jsonl"
        Jsonl().export([made], target)
        assert target.read_text("ascii").splitlines() == [
            json.dumps(row | times) for row in made.table.to_pylist()
        ]


def test_a_source_without_clock_has_alerts_without_times(tmp_path):
    target = tmp_path / "alerts.jsonl"
    Jsonl().export([alerts({"start": None, "end": None})], target)
    assert json.loads(target.read_text())["start"] is None


def test_no_alert_is_an_empty_file(tmp_path):
    assert Jsonl().export([], tmp_path / "a") == 0
    assert (tmp_path / "a").read_bytes() == b""
