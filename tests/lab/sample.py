"""Packs a run of the lab into netvigil-flowprep as its sample, and compares another run with it."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from netvigil.dataset import convert, labeller_choice, labels_path
from netvigil.phases import Phases, Quiet
from netvigil_flowprep.capture.container import walk
from netvigil_flowprep.samples import NAMES
from tests.lab.sample_readme import readme
from tests.lab.scenario import ROOT

SHIPPED = ROOT / "packages" / "flowprep" / "src" / "netvigil_flowprep" / "sample"

TIMES_S = 5.0
"""How far an event of a rebuilt run may begin, or end, from the same event of the sample."""

FLOWS = 0.15
"""How far the flows of a class may be apart, as a part of those of the sample."""

FEW = 6
"""Where a class has few flows, this many may be too many or too few."""


_RISING = ("flow_id", "start", "end", "source_row")  # from row to row they change little


@dataclass(frozen=True)
class Contents:
    """What is compared of a run: its events, relative to its start, and its flows per class."""

    lab: dict[str, Any]
    events: dict[tuple[str, str, str, int, int], tuple[float, float]]
    flows: dict[str, int]


def pack(run: Path, again: Path | None, into: Path = SHIPPED) -> list[Path]:
    """Write the sample's files from a run of the lab; returns their paths.

    `again` is a second run of the same plan, whose figures the README then shows beside.
    """
    into.mkdir(parents=True, exist_ok=True)
    capture = into / NAMES.capture
    with (
        (run / "capture.pcapng").open("rb") as source,
        capture.open("wb") as file,
        # Neither name nor time of the run: the same packets give the same file.
        gzip.GzipFile("", "wb", 9, file, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)
    shutil.copyfile(run / "events.toml", into / NAMES.events)
    _convert(capture, into / NAMES.events, into / NAMES.flows)
    for name in (NAMES.flows, NAMES.labels):
        _compress(into / name)
    text = _readme(contents(into), contents(again) if again else None, run / "capture.pcapng")
    (into / NAMES.readme).write_text(text, "utf-8")
    return [into / path for path in vars(NAMES).values()]


def _compress(path: Path) -> None:
    """Write a table again, as small as it gets, with the metadata that netvigil reads it by."""
    table, own = pq.read_table(path), pq.read_metadata(path).metadata
    rising = [name for name in _RISING if name in table.column_names]
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=19,
        write_statistics=False,
        use_dictionary=[name for name in table.column_names if name not in rising],
        column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({k: v for k, v in own.items() if k != b"ARROW:schema"})


def _readme(found: Contents, second: Contents | None, capture: Path) -> str:
    rebuilt = ""
    if second is not None:
        apart = [
            abs(mine - theirs)
            for key, times in second.events.items()
            for mine, theirs in zip(times, found.events[key], strict=True)
        ]
        rebuilt = f"""A second run is the last column of the last table;
its events began and ended within {max(apart):.1f} s of these."""
    return readme(
        found.lab,
        found.events,
        found.flows,
        second.flows if second else {},
        packets=walk(capture).packets,
        times=TIMES_S,
        part=FLOWS,
        few=FEW,
        rebuilt=rebuilt,
    )


def _convert(capture: Path, events: Path, flows: Path) -> None:
    convert(capture, flows, Phases(Quiet()), labeller=labeller_choice("events", events, ()))


def contents(folder: Path) -> Contents:
    """Read what is compared from a run or the sample; makes flows where only a capture is."""
    text = tomllib.loads((folder / NAMES.events).read_text("utf-8"))
    labels = folder / NAMES.labels
    if labels.exists():
        return Contents(text["lab"], _events(text), classes(labels))
    with tempfile.TemporaryDirectory() as scratch:
        flows = Path(scratch) / NAMES.flows
        _convert(folder / "capture.pcapng", folder / NAMES.events, flows)
        return Contents(text["lab"], _events(text), classes(labels_path(flows)))


def _events(text: Mapping[str, Any]) -> dict[tuple[str, str, str, int, int], tuple[float, float]]:
    """Return start and end of each event; a repeated one is told by its number."""
    start: datetime = text["lab"]["start"]
    times: dict[tuple[str, str, str, int, int], tuple[float, float]] = {}
    seen: Counter[tuple[str, str, str, int]] = Counter()
    for event in text["event"]:
        key = (event["category"], event["source"], event["target"], event.get("port", 0))
        seen[key] += 1
        moments = ((event[name] - start).total_seconds() for name in ("start", "end"))
        times[(*key, seen[key])] = (next(moments), next(moments))
    return times


def classes(labels: Path) -> dict[str, int]:
    """Return the flows of each class, "benign" among them."""
    attacks = pl.read_parquet(labels)["attack"].cast(pl.String).fill_null("benign")
    return dict(sorted(Counter(attacks.to_list()).items()))


def differences(run: Path, sample: Path = SHIPPED) -> list[str]:
    """Say where a rebuilt run differs from the sample by more than the tolerances."""
    one, other = contents(run), contents(sample)
    found = [
        f"{name} is {one.lab[name]}, not {other.lab[name]}"
        for name in ("seed", "minutes")
        if one.lab[name] != other.lab[name]
    ]
    found += [f"event {key} is missing" for key in sorted(other.events.keys() - one.events.keys())]
    found += [f"event {key} is new" for key in sorted(one.events.keys() - other.events.keys())]
    for key in sorted(one.events.keys() & other.events.keys()):
        for what, mine, theirs in zip(
            ("begins", "ends"), one.events[key], other.events[key], strict=True
        ):
            if abs(mine - theirs) > TIMES_S:
                found.append(f"event {key} {what} after {mine:.1f} s, not {theirs:.1f} s")
    for name in sorted(one.flows.keys() | other.flows.keys()):
        mine, theirs = one.flows.get(name, 0), other.flows.get(name, 0)
        if abs(mine - theirs) > max(FLOWS * theirs, FEW):
            found.append(f"{name} has {mine:,} flows, not {theirs:,}")
    return found
