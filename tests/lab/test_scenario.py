"""The lab itself, where it can run: what it records, and that it leaves nothing behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from netvigil.dataset import convert, labeller_choice
from netvigil.phases import Phases, Quiet
from netvigil_flowprep.capture.container import walk
from netvigil_flowprep.labellers.event_files import read_events
from tests.conftest import ROOT
from tests.lab import scenario
from tests.lab.__main__ import main
from tests.lab.capture import kept, packets, write_pcapng
from tests.lab.hosts import SUBNETS
from tests.lab.network import ETC, PREFIX, namespaces
from tests.lab.plan import make_plan
from tests.lab.processes import LabError
from tests.lab.truth import events_toml

CALL = [sys.executable, "-m", "tests.lab"]
MINUTES = 0.25  # with start and end 20 s of traffic

try:
    scenario.require_root_and_tools()
    _why = ""
except LabError as refusal:
    _why = str(refusal).replace("\n", " ")
able = pytest.mark.skipif(bool(_why), reason=_why or "the lab can run here")


def traces(prefix: str) -> list[str]:
    """Return what a lab has left on the machine: namespaces, processes, files."""
    found = [*namespaces(prefix), *map(str, ETC.glob(f"{prefix}*"))]
    found += map(str, Path("/tmp").glob(f"{prefix}*"))
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = folder.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        if prefix.encode() in words:
            found.append(f"{folder.name}: {words[:200]!r}")
    return found


@able
@pytest.mark.pcap
def test_a_scenario_becomes_labelled_flows(tmp_path: Path) -> None:
    """From one command to labels: every attack that ran has flows, and so has benign traffic."""
    target = tmp_path / "lab"
    call = [*CALL, "--to", str(target), "--minutes", str(MINUTES), "--seed", "5"]
    process = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert "packets" in said
    assert sorted(path.name for path in target.iterdir()) == ["capture.pcapng", "events.toml"]
    assert traces(f"{PREFIX}{process.pid}-") == []

    assert _recorded_twice(target / "capture.pcapng") == []
    if importlib.util.find_spec("nfstream") is None:
        pytest.skip("needs the extra netvigil-flowprep[pcap]")
    truth = labeller_choice("events", target / "events.toml", ())
    flows = target / "flows.parquet"
    done = convert(target / "capture.pcapng", flows, Phases(Quiet()), labeller=truth)
    counts = done["labels"]
    ran = {event.category for event in make_plan(seed=5, minutes=MINUTES).events}
    assert {name for name, count in counts.items() if count} == {*ran, "benign"}
    assert counts["benign"] > 100
    seen = set(pl.read_parquet(flows)["l7_proto"])
    assert {"dns", "tls", "http", "ssh", "modbus", "ntp", "smtp", "ftp_control"} <= seen
    start = pl.read_parquet(flows)["start"]
    lab = tomllib.loads((target / "events.toml").read_text("utf-8"))["lab"]
    assert abs((start.min() - lab["start"]).total_seconds()) < 10


def _recorded_twice(capture: Path) -> list[tuple[bytes, ...]]:
    """Return the IPv4 packets that were recorded more than once, told by their identification."""
    seen: set[tuple[bytes, ...]] = set()
    twice: list[tuple[bytes, ...]] = []
    data = capture.read_bytes()
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        frame = data[at + 28 : at + size - 4]
        if kind == 6 and frame[12:14] == b"\x08\x00" and frame[18:20] != b"\0\0":
            # Identification, addresses and the first bytes after the header: ports, sequence.
            key = (frame[18:20], frame[26:34], frame[34:42])
            twice += [key] if key in seen else []
            seen.add(key)
        at += size
    return twice


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "the lab did not come so far"
        time.sleep(0.02)


@able
@pytest.mark.parametrize(
    ("number", "far"),
    [(signal.SIGINT, "while it is built"), (signal.SIGTERM, "while it runs")],
    ids=["ctrl-c", "sigterm"],
)
def test_an_interrupted_lab_leaves_nothing(tmp_path: Path, number: int, far: str) -> None:
    with _running(tmp_path / "lab") as process:
        prefix = f"{PREFIX}{process.pid}-"
        runs = (lambda: len(traces(prefix)) > 60) if far == "while it runs" else None
        _wait(runs or (lambda: bool(namespaces(prefix))))
        process.send_signal(number)
        process.send_signal(number)  # impatience must not stop the cleaning
        assert process.wait(timeout=20) == 128 + number
        assert b"nothing is left" in (process.stderr.read() if process.stderr else b"")
        assert traces(prefix) == []
    assert list(tmp_path.iterdir()) == []


@able
def test_what_a_killed_lab_leaves_is_cleaned(tmp_path: Path) -> None:
    with _running(tmp_path / "lab") as process:
        prefix = f"{PREFIX}{process.pid}-"
        _wait(lambda: len(traces(prefix)) > 60)
        process.kill()
        process.wait(timeout=10)
    done = CliRunner().invoke(main, ["--clean"])
    assert prefix in done.output
    assert traces(prefix) == []


def _running(target: Path) -> subprocess.Popen[bytes]:
    call = [*CALL, "--to", str(target), "--minutes", "3"]
    return subprocess.Popen(call, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@able
def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = CliRunner().invoke(main, ["--to", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.splitlines()[-3:] == [
        "The folder for the capture is not empty.",
        str(tmp_path),
        "Give a new folder with --to.",
    ]


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = CliRunner().invoke(main, ["--to", str(tmp_path / "lab")])
    assert done.exit_code == 1
    what, where, do = done.output.splitlines()[-3:]
    assert "needs root" in what
    assert "1000" in where
    assert "sudo" in do


def test_missing_tools_are_named_with_what_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(scenario, "TOOLS", ("sh", "no-such-tool"))
    with pytest.raises(LabError, match=r"(?s)no-such-tool\napt-get install .*tcpdump"):
        scenario.require_root_and_tools()


def test_without_a_target_the_call_is_wrong() -> None:
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 2
    assert "--to" in done.output
    assert "Example: python -m tests.lab" in CliRunner().invoke(main, ["--help"]).output


def test_recordings_become_one_capture_in_the_order_of_time(tmp_path: Path) -> None:
    frame = bytes(range(61))
    times = {"office": (5, 1_000_000), "servers": (3, 2_000_000)}
    for name, moments in times.items():
        text = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 1)
        for moment in moments:
            text += struct.pack("<IIII", *divmod(moment, 1_000_000), len(frame), 200) + frame
        (tmp_path / f"{name}.pcap").write_bytes(text)
    recordings = [tmp_path / f"{name}.pcap" for name in times]
    assert [at for at, *_ in packets(recordings[0])] == [5, 1_000_000]
    target = tmp_path / "both.pcapng"
    assert write_pcapng(recordings, target) == 4
    found = walk(target)
    assert found.packets == 4
    assert not found.damage
    data = target.read_bytes()
    assert [data.index(struct.pack("<IIIII", n, 0, at, 61, 200)) for n, at in _ORDER] == sorted(
        data.index(struct.pack("<IIIII", n, 0, at, 61, 200)) for n, at in _ORDER
    )


_ORDER = ((1, 3), (0, 5), (0, 1_000_000), (1, 2_000_000))


def test_events_say_when_attacks_really_happened(tmp_path: Path) -> None:
    plan = make_plan(seed=0, minutes=MINUTES)
    times = {
        event.attack: {"start": 1_000.5 + n, "end": 1_003.0 + n, "outcome": "ok"}
        for n, event in enumerate(plan.events)
    }
    path = tmp_path / "events.toml"
    path.write_text(events_toml(plan, 1_000.0, times), "utf-8")
    frame = read_events(path).frame
    assert frame.height == len(plan.events)
    assert frame["end_us"].max() == round((1_003.0 + len(plan.events)) * 1e6)
    assert set(frame.filter(pl.col("category") == "lateral")["port"]) == {22}
    times["beacon"]["outcome"] = "OSError: no"
    with pytest.raises(LabError, match=r"(?s)did not happen.*beacon: OSError"):
        events_toml(plan, 1_000.0, times)


def test_every_subnet_records_only_what_comes_from_it() -> None:
    filters = [kept(subnet) for subnet in SUBNETS]
    for subnet, text in zip(SUBNETS, filters, strict=True):
        assert sum(str(subnet.v4) in other for other in filters) == 1
        assert f"src net {subnet.v4}" in text
