"""What an alert exporter owes: every alert once, complete in itself, its text tamed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from netvigil import parts
from netvigil.contracts import ALERTS, AlertTable
from netvigil.testing.conformance.rules import Subject, checks

HOSTILE = 'evil\x1b[2J\n{"score": 0}<script>alert(1)</script>\u202egpj.exe'
RAW_CONTROLS = (b"\x1b", b"\x00", "\u202e".encode())  # terminal escapes, NUL, text direction


def writes_every_alert(subject: Subject) -> None:
    """`export` writes each alert once and returns how many there were."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "alerts.out"
        count = subject.make().export(iter([alerts(4), alerts(3, first=4)]), target)
        subject.require(
            count == 7, "`export` returns the number of alerts.", found=f"{count} for 7."
        )
        subject.require(target.is_file(), "`export` writes to the target it is given.")
        subject.require(
            [p.name for p in Path(folder).iterdir()] == ["alerts.out"],
            "nothing else is left beside the target.",
        )
        content = target.read_bytes()
    missing = [i for i in range(7) if f"198.51.100.{i}".encode() not in content]
    subject.require(
        not _is_text(content) or not missing,
        "each alert names its endpoints.",
        found=f"No trace of 198.51.100.{missing[0]}." if missing else "",
        mend="Write src_ip and dst_ip: an alert must make sense without the input file.",
    )


def no_alerts_are_fine(subject: Subject) -> None:
    """No alerts give a file, not an error."""
    with TemporaryDirectory() as folder:
        for words, none in {"no table": [], "an empty table": [alerts(0)]}.items():
            target = Path(folder) / "alerts.out"
            count = subject.make().export(iter(none), target)
            subject.require(count == 0 and target.is_file(), f"{words} gives a file of no alerts.")


def twice_gives_equal_bytes(subject: Subject) -> None:
    """Equal alerts give equal bytes."""
    with TemporaryDirectory() as folder:
        targets = [Path(folder) / name for name in ("one", "two")]
        for target in targets:
            subject.make().export(iter([alerts(5)]), target)
        subject.require(
            targets[0].read_bytes() == targets[1].read_bytes(),
            "equal alerts give equal bytes.",
            mend="Leave out the time of writing and random ids.",
        )


def hostile_text_is_tamed(subject: Subject) -> None:
    """Text from traffic cannot forge a line or drive a terminal: control characters are escaped."""
    with TemporaryDirectory() as folder:
        plain, hostile = Path(folder) / "plain", Path(folder) / "hostile"
        subject.make().export(iter([alerts(3)]), plain)
        subject.make().export(iter([alerts(3, reason=HOSTILE)]), hostile)
        tame, content = plain.read_bytes(), hostile.read_bytes()
    if not _is_text(content):
        return
    raw = [control for control in RAW_CONTROLS if control in content]
    subject.require(not raw, "control characters are escaped.", found=f"Found raw {raw}.")
    subject.require(
        tame.count(b"\n") == content.count(b"\n"),
        "a line break inside a reason makes no new line.",
        mend="Escape text as the format demands; json.dumps does it.",
    )


def suffix_is_a_suffix(subject: Subject) -> None:
    """`suffix` is a file suffix with its dot."""
    suffix = subject.make().suffix
    subject.require(
        suffix.startswith(".") and len(suffix) > 1,
        "`suffix` looks like '.jsonl'.",
        found=repr(suffix),
    )


def alerts(count: int, *, first: int = 0, reason: str = "never seen before") -> AlertTable:
    """Make alerts from 198.51.100.<number>."""
    numbers = range(first, first + count)
    start = 1_772_000_000_000_000
    columns = {
        "flow_id": list(numbers),
        "start": [start + i for i in numbers],
        "end": [start + i + 5 for i in numbers],
        "src_ip": [f"198.51.100.{i}" for i in numbers],
        "src_port": [None if i == 0 else 40_000 + i for i in numbers],
        "dst_ip": [f"203.0.113.{i}" for i in numbers],
        "dst_port": [None if i == 0 else 443 for i in numbers],
        "protocol": [1 if i == 0 else 6 for i in numbers],
        "score": np.arange(count) + 2.5,
        "cut": np.full(count, 1.0),
        "reasons": [[reason, "many ports"] for _ in numbers],
        "bundle": ["0" * 16] * count,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in ALERTS]
    return AlertTable(pa.table(arrays, schema=ALERTS))


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not content.startswith(b"PAR1")


CHECKS = checks(
    parts.AlertExporter,
    writes_every_alert,
    no_alerts_are_fine,
    twice_gives_equal_bytes,
    hostile_text_is_tamed,
    suffix_is_a_suffix,
)
