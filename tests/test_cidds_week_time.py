"""CIDDS-001 from its text to figures of each class, with classifiers over flows between hosts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netvigil_flowprep.readers.cidds import FLAGS
from netvigil_flowprep.readers.times import WEEK

from .commands import experiment, netvigil, read_json

HEADER = (
    "Date first seen,Duration,Proto,Src IP Addr,Src Pt,Dst IP Addr,Dst Pt,Packets,Bytes,Flows,"
    "Flags,Tos,class,attackType,attackID,attackDescription"
)
WEEK_TIME = ["x_time_of_day", *(f"x_weekday_{day}" for day in WEEK)]
SUPPORT = {"benign": 150, "dos": 30, "pingscan": 30, "portscan": 30}  # of the last 240 flows


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 800 flows of four days as the published files are: padded, with suffixes and tokens."""
    rng = np.random.default_rng(0)
    lines = [HEADER]
    for number in range(800):
        day, minute = 14 + number // 200, number % 200 * 7
        time = f"2017-03-{day} {minute // 60:02}:{minute % 60:02}:{number % 60:02}.{number:03}"
        lines.append(f"{time},{_flow(number % 8, rng)}")
    path = tmp_path_factory.mktemp("cidds") / "CIDDS-001-internal-week1.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _flow(kind: int, rng: np.random.Generator) -> str:
    """Return a flow after its time: kinds 0, 1 and 2 are attacks, the others are not."""
    length, port, host = rng.uniform(0, 3), rng.integers(1024, 60_000), rng.integers(2, 20)
    name = ("dos", "portScan", "pingScan")[kind] if kind < 3 else "---"
    tail = f" 0,{'attacker' if kind < 3 else 'normal'},{name},{kind if kind < 3 else '---'},---"
    if kind == 0:
        return f"{length:9.3f},TCP  ,ATTACKER1,{port},192.168.100.6,80,900,   1.4 M,1,.AP.SF,{tail}"
    probed = f"192.168.100.{host}"
    if kind == 1:
        return f"    0.000,TCP  ,192.168.220.16,{port},{probed},{port},1,  58,1,....S.,{tail}"
    if kind == 2:
        return f"    0.000,ICMP ,192.168.220.16,0,{probed},8.0,1,  42,1,......,{tail}"
    packets = rng.integers(2, 60)
    return (
        f"{length:9.3f},TCP  ,192.168.200.{host},{port},100{host:02}_74,443,{packets:5},"
        f"{packets * 90:8},1,0x1b,{tail}"
    )


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run by time, the times of the week allowed; tests only read it."""
    folder = tmp_path_factory.mktemp("run")
    path = experiment(
        folder / "e.toml",
        source,
        flows={"reader": "cidds", "source": str(source), "week_time": True},
        features={"allow_shortcuts": WEEK_TIME},
        graph={"builder": "flow-host", "window_flows": 100},
        split={"protocol": "time", "axis": "flows", "train": 0.6, "calibrate": 0.1},
        classifier={"name": "decision-tree", "classes": "attacks"},
    )
    netvigil("run", "--no-report", path, "--out", folder / "run")
    return folder / "run"


def test_classes_of_a_cidds_file_are_told_apart(folder: Path) -> None:
    methods = read_json(folder / "metrics.json")["headline"]["methods"]
    found = next(m for m in methods if m["method"] == "decision-tree")["classes"]
    assert {c["name"]: c["support"] for c in found["classes"]} == SUPPORT
    assert all(c["taught"] for c in found["classes"])
    # The attacks differ by protocol and by bytes, so whoever reads those tells them apart.
    assert found["metrics"]["class_macro_f1"]["mean"] > 0.95


def test_the_receipt_says_that_the_time_of_the_week_was_allowed(folder: Path) -> None:
    features = read_json(folder / "receipt.json")["features"]
    assert set(WEEK_TIME) <= set(features["names"])
    assert {f"x_flag_{flag}" for flag in FLAGS} <= set(features["names"])
    assert features["allowed_shortcuts"] == WEEK_TIME
