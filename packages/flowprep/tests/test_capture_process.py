"""The parent's side, with scripted children in place of NFStream's."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from netvigil.errors import PluginError, SourceError
from netvigil_flowprep.capture import process
from netvigil_flowprep.capture.process import Meters

PRELUDE = """
import json, os, signal, struct, sys
READY = json.load(open({ready!r}))
def send(kind, body=b""):
    sys.stdout.buffer.write(struct.pack(">cQ", kind, len(body)) + body)
    sys.stdout.buffer.flush()
def batch(number):
    send(b"B", bytes.fromhex(READY[number]))
send(b"A")
for line in sys.stdin:
    job = json.loads(line)
"""


def payload(number: int) -> str:
    """A batch of 10,000 times the same number, as hex; made here, so that children start fast."""
    rows = pa.record_batch({"n": pa.array([number] * 10_000, pa.int64())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    return str(sink.getvalue().to_pybytes().hex())


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Replace the metering child by one that runs these lines for each job."""

    def script(body: str, prelude: str = PRELUDE) -> None:
        ready = tmp_path / "ready.json"
        ready.write_text(json.dumps([payload(number) for number in range(32)]))
        code = prelude.format(ready=str(ready))
        code += textwrap.indent(textwrap.dedent(body), "    " if prelude else "")
        monkeypatch.setattr(process, "COMMAND", (sys.executable, "-I", "-S", "-c", code))

    return script


def numbers(meters: Meters, path: str) -> list[int]:
    batches = meters.batches(Path(path), path, {})
    found = [batch["n"].unique().to_pylist() for batch in batches if len(batch) == 10_000]
    return [number for numbers in found for number in numbers]


def test_one_child_serves_file_after_file(children: Callable[..., None]) -> None:
    children("SERVED = SERVED + 1 if 'SERVED' in globals() else 1; batch(SERVED); send(b'D')")
    with Meters(1, stall_s=60) as meters:
        assert [numbers(meters, name) for name in "abc"] == [[1], [2], [3]]


def test_several_meters_take_turns_in_a_fixed_order(children: Callable[..., None]) -> None:
    body = """
    me = job["meter"]
    for turn in range(3 - me):
        batch(10 * me + turn)
    send(b"D")
    """
    children(body)
    with Meters(3, stall_s=60) as meters:
        assert numbers(meters, "1") == [0, 10, 20, 1, 11, 2]


def test_a_child_that_dies_is_named_and_replaced(children: Callable[..., None]) -> None:
    body = """
    batch(1)
    if job["path"] == "bad":
        print("free(): invalid pointer\\x1b[2J", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    send(b"D")
    """
    children(body)
    with Meters(1, stall_s=60) as meters:
        with pytest.raises(SourceError, match=r"died over this capture \(signal 11\)") as error:
            numbers(meters, "bad")
        assert error.value.where == "bad"
        assert "invalid pointer\\x1b[2J" in error.value.do
        assert numbers(meters, "good") == [1]


def test_a_child_that_stalls_is_given_up(children: Callable[..., None]) -> None:
    children("batch(1); sys.stdin.read()")
    with Meters(1, stall_s=60) as meters:
        batches = meters.batches(Path("x"), "x", {})
        assert next(batches)["n"][0].as_py() == 1
        meters.stall_s = 0.01
        batches.close()
        with pytest.raises(SourceError, match="no progress"):
            numbers(meters, "x")


def test_an_error_message_is_passed_on_harmless(children: Callable[..., None]) -> None:
    children(r"send(b'E', b'bad dump file \x1b]0;x\x07')")
    with Meters(1, stall_s=60) as meters, pytest.raises(SourceError) as error:
        numbers(meters, "x")
    assert "bad dump file \\x1b]0;x\\x07" in error.value.what


def test_a_child_that_cannot_start_is_a_broken_installation(
    children: Callable[..., None],
) -> None:
    children("raise ImportError('libpcap.so.1: cannot open')", prelude="")
    with Meters(1, stall_s=60) as meters, pytest.raises(PluginError) as error:
        numbers(meters, "x")
    assert "libpcap.so.1" in error.value.where
    assert "pip install 'netvigil-flowprep[pcap]'" in error.value.do


def test_no_child_outlives_its_block(children: Callable[..., None], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    children(f"print(os.getpid(), file=open({str(pids)!r}, 'a')); batch(1); sys.stdin.read()")
    with Meters(2, stall_s=60) as meters:
        batches = meters.batches(Path("x"), "x", {})
        assert [len(next(batches)) for _ in range(2)] == [10_000, 10_000]
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_batch_far_ahead_of_its_reader_waits(children: Callable[..., None]) -> None:
    # 32 batches of 80 kB fill any pipe and the queue; none is lost while nobody reads.
    children("[batch(turn) for turn in range(32)]; send(b'D')")
    with Meters(1, stall_s=60) as meters:
        batches = meters.batches(Path("x"), "x", {})
        first = next(batches)["n"][0].as_py()
        assert [first, *(b["n"][0].as_py() for b in batches)] == list(range(32))
