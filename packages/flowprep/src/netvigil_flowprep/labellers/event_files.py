"""Event files: intervals during which something happened, and who did it.

Three forms are read: the log of the Westermo network traffic data set (`[epoch -- date -- offset]
    [BAD-SSH-START] text`, START and END in pairs), a CSV with a header, and a TOML file:

    [[event]]
    start = 2023-03-10T10:32:12Z      # or epoch seconds
    end = 2023-03-10T10:34:19Z
    category = "ssh"
    addresses = ["198.18.134.99"]     # flows with either endpoint among these
    source = "198.18.134.99"          # or flows between these two, in either direction
    target = "198.18.134.6"
    port = 22                         # the target's, where the pair also talks about other things
    protocol = "tcp"

A CSV has the same columns; several addresses are separated by spaces or semicolons.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from netvigil.errors import SourceError
from netvigil_flowprep.labellers.cells import integers, protocols, texts, times_us
from netvigil_flowprep.labellers.truth import category_names

COLUMNS = ("start", "end", "category", "addresses", "source", "target", "port", "protocol")
_TYPES = {"addresses": pl.List(pl.String), "port": pl.Int64(), "protocol": pl.Int64()}
_LINE = re.compile(r"^\[(?P<epoch>\d+(?:\.\d+)?) -- [^\]]*\] \[(?P<tag>[A-Z0-9-]+)\]")
_TAG = re.compile(r"^(?P<kind>BAD|GOOD)-(?P<category>.+)-(?P<edge>START|END)$")


@dataclass(frozen=True)
class Events:
    """What an event file says.

    Shapes:
        frame: [events] with `start_us`, `end_us` Int64, `category` String, `addresses`
            List(String), `source` and `target` String, `port` and `protocol` Int64
        covered_us: first and last moment that the file speaks about, or None where it only lists
        events
        dialect: "westermo", "csv" or "toml"
    """

    frame: pl.DataFrame
    covered_us: tuple[int, int] | None
    dialect: str


def read_events(path: Path) -> Events:
    """Read an event file of any of the three forms.

    Raises:
        SourceError: The file is missing, empty, of no known form, or holds an event without an end,
            with an end before its start, or with a time that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        msg = "The event file cannot be read."
        raise SourceError(msg, where=f"{path}: {error.strerror}") from error
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if path.suffix.lower() == ".toml":
        events = Events(_from_toml(text, path), None, "toml")
    elif _LINE.match(first):
        events = _from_westermo(lines, path)
    elif {"start", "end"} <= {name.strip().strip('"').lower() for name in first.split(",")}:
        events = Events(_from_csv(text, path), None, "csv")
    else:
        msg = "This is no event file." if first else "The event file is empty."
        do = "Give a CSV of start,end,category,addresses, a TOML of [[event]], or a Westermo log."
        raise SourceError(msg, where=f"{path}: {first[:80]!r}", do=do)
    _check(events.frame, path)
    return events


def _from_westermo(lines: Sequence[str], path: Path) -> Events:
    rows: list[tuple[int, int, str]] = []
    open_since: dict[str, tuple[int, int]] = {}
    seen_us: list[int] = []
    for number, line in enumerate(lines, 1):
        found = _LINE.match(line)
        if not found:
            continue  # a text that runs over several lines
        # Through the decimal digits: 1678444174.081 as a float would lose the last microsecond.
        whole, _, fraction = found["epoch"].partition(".")
        seen_us.append(int(whole) * 1_000_000 + int(fraction[:6].ljust(6, "0")))
        tag = _TAG.match(found["tag"])
        if not tag or tag["kind"] == "GOOD":
            continue
        category, where = tag["category"], f"{path}, line {number}"
        if tag["edge"] == "START":
            if category in open_since:
                _refuse(f"BAD-{category} starts again before it ended.", where)
            open_since[category] = (seen_us[-1], number)
        else:
            if category not in open_since:
                _refuse(f"BAD-{category} ends without a start.", where)
            rows.append((open_since.pop(category)[0], seen_us[-1], category))
    for category, (_, number) in open_since.items():
        _refuse(f"BAD-{category} starts and never ends.", f"{path}, line {number}")
    schema = {"start_us": pl.Int64, "end_us": pl.Int64, "category": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("start_us")
    return Events(_complete(frame), (min(seen_us), max(seen_us)), "westermo")


def _from_csv(text: str, path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(text.encode(), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        msg = "The event file is no clean CSV."
        raise SourceError(msg, where=f"{path}: {str(error).splitlines()[0]}") from error
    table = table.rename({name: name.strip().lower() for name in table.columns})
    columns = {name: texts(table[name]) for name in COLUMNS if name in table.columns}
    times = {f"{n}_us": times_us(columns.pop(n), where=str(path)) for n in ("start", "end")}
    columns |= _numbers(columns, path)
    if "addresses" in columns:
        listed = columns["addresses"].str.replace_all(r"[\s;|]+", " ").str.split(" ")
        columns["addresses"] = listed
    return _complete(pl.DataFrame({**times, **columns}))


def _from_toml(text: str, path: Path) -> pl.DataFrame:
    try:
        events = tomllib.loads(text).get("event", [])
    except tomllib.TOMLDecodeError as error:
        msg = "The event file is no TOML."
        raise SourceError(msg, where=f"{path}: {error}") from error
    rows = [dict(_toml_event(event, f"{path}, event {n}")) for n, event in enumerate(events, 1)]
    table = pl.DataFrame(
        rows,
        schema={n: pl.List(pl.String) if n == "addresses" else pl.String for n in COLUMNS},
    )
    times = {f"{n}_us": times_us(table[n], where=str(path)) for n in ("start", "end")}
    numbers = _numbers({name: table[name] for name in table.columns}, path)
    return _complete(table.drop("start", "end").with_columns(**times, **numbers))


def _toml_event(event: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        if name not in COLUMNS:
            _refuse(f"An event has no '{name}'.", where)
        if name == "addresses" and not isinstance(value, list):
            _refuse("`addresses` is a list.", where)
        yield name, list(map(str, value)) if name == "addresses" else str(value)


def _numbers(columns: Mapping[str, pl.Series], path: Path) -> dict[str, pl.Series]:
    """Return ports and protocols as numbers, those of them that a file has."""
    numbers = {}
    if "port" in columns:
        numbers["port"] = integers(columns["port"], where=str(path), highest=65_535)
    if "protocol" in columns:
        numbers["protocol"] = protocols(columns["protocol"], where=str(path))
    return numbers


def _complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the columns that a file lacks, as nulls, and bring all into one order."""
    nulls = [None] * frame.height
    missing = [
        pl.Series(name, nulls, dtype=_TYPES.get(name, pl.String))
        for name in COLUMNS[2:]
        if name not in frame.columns
    ]
    frame = frame.with_columns(missing)
    frame = frame.with_columns(category_names(frame["category"]))
    return frame.select("start_us", "end_us", *COLUMNS[2:])


def _check(frame: pl.DataFrame, path: Path) -> None:
    if not frame.height:
        msg = "The event file lists no event."
        raise SourceError(msg, where=str(path))
    for name in ("start", "end"):
        if frame[f"{name}_us"].null_count():
            row = int(frame[f"{name}_us"].is_null().arg_true()[0])
            _refuse(f"Event {row + 1} has no {name}.", str(path))
    backwards = (frame["end_us"] < frame["start_us"]).arg_true()
    if len(backwards):
        _refuse(f"Event {int(backwards[0]) + 1} ends before it starts.", str(path))
    stray = (frame["port"].is_not_null() & frame["target"].is_null()).arg_true()
    if len(stray):
        _refuse(f"Event {int(stray[0]) + 1} has a port, but no target that it is of.", str(path))


def _refuse(msg: str, where: str) -> None:
    raise SourceError(
        msg, where=where, do="Repair the event file: each event needs a start and an end."
    )
