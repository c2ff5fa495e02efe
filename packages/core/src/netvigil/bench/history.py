"""A history of rates: one line of JSON per measurement, and a page that plots it.

Figures of different machines and devices stand in different series; the machine's own speed stands
beside each, so that a slower day of one machine can be told from a slower revision.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from netvigil.bench.machine import Rates, fingerprint
from netvigil.errors import SourceError
from netvigil.report.theme import drawn, named, series, to_svg

JUMP = 0.15
"""A rate that falls by so much against the median of the five before is pointed at."""
BEFORE = 5


@dataclass(frozen=True)
class Entry:
    """One measurement of one case."""

    time: str
    revision: str
    machine: str
    case: str
    unit: str
    flows: int
    rate: float
    peak_mb: float | None
    steps: float


def append(folder: Path, rows: Iterable[Mapping[str, Any]], *, revision: str, rates: Rates) -> Path:
    """Add measured rows to the history of this machine, whole lines at a time; return its file."""
    about = fingerprint()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    base = {"time": now, "revision": revision, "machine": about["id"], "rates": asdict(rates)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{about['id']}.jsonl"
    text = "".join(json.dumps({**base, "hardware": about, **row}) + "\n" for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path


def read(folder: Path) -> list[Entry]:
    """Read every entry of a folder, in the order of time.

    Raises:
        SourceError: There is no history; a line is not one of ours.
    """
    entries = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            try:
                entries.append(_entry(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                msg = "A line of a history is not one of ours."
                raise SourceError(msg, where=f"{path}, line {number}", do=repr(error)) from error
    if not entries:
        msg = "There is no history of benchmarks."
        raise SourceError(
            msg, where=str(folder), do="`netvigil bench --history FOLDER` begins one."
        )
    return sorted(entries, key=lambda entry: entry.time)


def falls(entries: Sequence[Entry]) -> list[str]:
    """Return sentences about rates that fell against what the machine showed just before."""
    said = []
    for (machine, case, flows), points in _series(entries).items():
        earlier = sorted(point.rate for point in points[-1 - BEFORE : -1])
        if not earlier:
            continue
        usual, last = earlier[len(earlier) // 2], points[-1]
        if last.rate < usual * (1 - JUMP):
            said.append(
                f"{case}, {flows:,} flows, machine {machine}: {last.rate:,.0f} {last.unit}/s at "
                f"{last.revision[:12] or last.time}, {1 - last.rate / usual:.0%} below before."
            )
    return said


def page(entries: Sequence[Entry]) -> str:
    """Return one offline page: a picture per case, a colour per machine and size."""
    from netvigil.report.pages import render

    cases = sorted({entry.case for entry in entries})
    pictures = []
    for number, case in enumerate(cases):
        mine = [entry for entry in entries if entry.case == case]
        words = f"Rate of {case} over {len(mine)} measurements"
        svg = to_svg(_picture(mine), name=f"case-{number}", words=words)
        pictures.append((case, Markup(svg)))  # noqa: S704 - Matplotlib escapes its texts
    return render(
        "history.html", __package__ or "", pictures=pictures, falls=falls(entries), entries=entries
    )


@drawn
def _picture(entries: Sequence[Entry]) -> Figure:
    made = Figure(figsize=(9.6, 2.6))
    axes = made.subplots()
    for number, ((machine, _, flows), points) in enumerate(_series(entries).items()):
        places = [_when(point) for point in points]
        rates = [point.rate for point in points]
        label = named(f"{flows:,} flows, machine {machine}")
        axes.plot(places, rates, "o-", markersize=3, color=series(number), label=label)
    axes.set_ylabel(f"{entries[0].unit}/s")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower left")
    made.autofmt_xdate()
    return made


def _series(entries: Sequence[Entry]) -> dict[tuple[str, str, int], list[Entry]]:
    found: dict[tuple[str, str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.machine, entry.case, entry.flows].append(entry)
    return found


def _when(entry: Entry) -> Any:
    return datetime.fromisoformat(entry.time)


def _entry(line: Mapping[str, Any]) -> Entry:
    datetime.fromisoformat(line["time"])
    device = str(line.get("device", "cpu"))
    return Entry(
        time=str(line["time"]),
        revision=str(line["revision"]),
        machine=str(line["machine"]) + ("" if device == "cpu" else f", {device}"),
        case=str(line["case"]),
        unit=str(line["unit"]),
        flows=int(line["flows"]),
        rate=float(line["rate"]),
        peak_mb=line.get("peak_mb"),
        steps=float(line["rates"]["steps"]),
    )
