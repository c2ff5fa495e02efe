"""A file in the form of CIDDS-001 goes through the experiment of the graph classifier."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netvigil.cli import main
from netvigil_flowprep.readers.cidds import FLAGS

from .conftest import ROOT

HEADER = (
    "Date first seen,Duration,Proto,Src IP Addr,Src Pt,Dst IP Addr,Dst Pt,Packets,Bytes,Flows,"
    "Flags,Tos,class,attackType,attackID,attackDescription\n"
)
KINDS = (
    # class, attackType, source, destination, port, packets, bytes, flags
    ("normal", "---", "192.168.220.5", "DNS", "53.0", "1", "80", "......"),
    ("normal", "---", "192.168.200.8", "10008_74", "443.0", "40", " 1.4 M", ".AP.SF"),
    ("attacker", "dos", "192.168.220.16", "192.168.100.5", "80.0", "3", "180", "....S."),
    ("attacker", "portScan", "192.168.220.15", "192.168.100.6", "22.0", "1", "58", "0x12"),
)


def write(path: Path, rows: int) -> None:
    """Write rows of four kinds, seven in ten of them benign."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(HEADER)
        for row in range(rows):
            chosen = KINDS[int(rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))]
            kind, attack, source, destination, port, packets, size, flags = chosen
            clock = f"{row // 3600:02d}:{row // 60 % 60:02d}:{row % 60:02d}.{row % 1000:03d}"
            proto = "UDP  " if port == "53.0" else "TCP  "
            ends = f"{source},{40000 + row % 999},{destination},{port}"
            named = "---" if attack == "---" else "70"
            file.write(
                f"2017-03-15 {clock},{rng.random():.3f},{proto},{ends},"
                f"{packets},{size},1,{flags},0,{kind},{attack},{named},{named}\n"
            )


@pytest.mark.parametrize("name", ["by-time", "paper"])
def test_cidds(name: str, tmp_path: Path) -> None:
    write(tmp_path / "week1.csv", 1_500)
    file = ROOT / "packages" / "heterognn" / "experiments" / f"{name}.toml"
    settings = {
        "flows.source": tmp_path / "week1.csv",
        "run.seeds": "[0]",
        "classifier.epochs": 30,
        "classifier.learning_rate": 0.01,
        "evaluate.also": '["decision-tree"]',
    }
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    run = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(file), "--only", "data=unsw", "--no-report", "--out", str(run), *changes])
    assert stopped.value.code == 0
    metrics = json.loads((run / "unsw" / "metrics.json").read_text())
    ours = next(m for m in metrics["headline"]["methods"] if m["method"] == "hetero-flow-gnn")
    names = set(json.loads((run / "unsw" / "receipt.json").read_text())["features"]["names"])
    assert {f"x_flag_{flag}" for flag in FLAGS} <= names
    assert not names & {"x_flows", "x_tos"}
    assert ours["classes"]["metrics"]["class_macro_f1"]["mean"] > 0.9
    assert {row["name"] for row in ours["classes"]["classes"]} == {"benign", "dos", "portscan"}
