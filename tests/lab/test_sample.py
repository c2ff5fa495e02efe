"""The sample that netvigil-flowprep ships: what its README says of it, and how runs compare."""

from __future__ import annotations

import gzip
import importlib.util
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from netvigil.dataset import convert, labeller_choice
from netvigil.phases import Phases, Quiet
from netvigil_flowprep.capture.container import walk
from netvigil_flowprep.samples import NAMES
from tests.lab.sample import SHIPPED, classes, contents, differences

TOTAL = 1_500_000  # bytes, of all files
README = (SHIPPED / NAMES.readme).read_text("utf-8")


def test_the_sample_is_small() -> None:
    assert {path.name for path in SHIPPED.iterdir()} == {str(p) for p in vars(NAMES).values()}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= TOTAL


def test_the_readme_counts_what_is_there(tmp_path: Path) -> None:
    counts = classes(SHIPPED / NAMES.labels)
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d.]+)% \|", README, re.MULTILINE)
    assert {name: int(count.replace(",", "")) for name, count, _ in rows} == counts
    for name, _, part in rows:
        assert float(part) == pytest.approx(100 * counts[name] / sum(counts.values()), abs=0.06)
    assert f"| {sum(counts.values()):,} flows" in README
    capture = tmp_path / "capture.pcapng"
    capture.write_bytes(gzip.decompress((SHIPPED / NAMES.capture).read_bytes()))
    assert f"| {walk(capture).packets:,} packets" in README


def test_the_readme_lists_every_event() -> None:
    found = contents(SHIPPED)
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", README, re.MULTILINE)
    listed = {(name, int(start), int(end)) for name, start, end in rows}
    real = {(key[0], round(times[0]), round(times[1])) for key, times in found.events.items()}
    assert listed == real
    assert f"--minutes {found.lab['minutes']:g} --seed {found.lab['seed']}" in README


@pytest.mark.pcap
def test_the_capture_becomes_the_stored_flows(tmp_path: Path) -> None:
    if importlib.util.find_spec("nfstream") is None:
        pytest.skip("needs the extra netvigil-flowprep[pcap]")
    truth = labeller_choice("events", SHIPPED / NAMES.events, ())
    flows = tmp_path / NAMES.flows
    convert(SHIPPED / NAMES.capture, flows, Phases(Quiet()), labeller=truth)
    for name in (NAMES.flows, NAMES.labels):
        made, stored = (pl.read_parquet(folder / name) for folder in (tmp_path, SHIPPED))
        assert made.height == stored.height
        same = ["flow_id", "attack"] if name == NAMES.labels else _CERTAIN
        assert made.select(same).equals(stored.select(same)), name


_CERTAIN = [
    *("flow_id", "start", "end", "src_ip", "dst_ip", "src_port", "dst_port", "protocol"),
    *("fwd_packets", "bwd_packets", "fwd_bytes", "bwd_bytes"),
]
"""What another version of NFStream would not change, unlike the names of applications."""


def test_the_sample_agrees_with_itself_and_not_with_another(tmp_path: Path) -> None:
    assert differences(SHIPPED) == []
    other = tmp_path / "other"
    shutil.copytree(SHIPPED, other)
    events = (other / NAMES.events).read_text("utf-8")
    events = events.replace("minutes = ", "minutes = 1").replace('"beacon"', '"beakon"')
    (other / NAMES.events).write_text(events, "utf-8")
    labels = pl.read_parquet(other / NAMES.labels)
    kept = labels.filter(pl.col("attack").cast(pl.String).ne_missing("http_flood"))
    kept.write_parquet(other / NAMES.labels)
    said = "\n".join(differences(other))
    for words in ("minutes is 1", "('beacon',", "is missing", "('beakon',", "http_flood has 0"):
        assert words in said
