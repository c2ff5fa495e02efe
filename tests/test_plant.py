"""`netvigil data plant`, which needs a reader and so more than core alone."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest

from netvigil import planting
from netvigil.cli import main, plant
from netvigil.contracts import FlowBatch, ReadReport
from netvigil.store import FlowStore
from netvigil.testing.synthetic import traffic
from netvigil.truth import read_labels


def test_the_command_writes_both_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows = traffic(4000, seed=0).flows
    source, to = tmp_path / "flows.parquet", tmp_path / "planted" / "flows.parquet"
    FlowStore.write(iter([FlowBatch(flows, ReadReport(read=len(flows)))]), source)
    args = ["data", "plant", str(source), "--json"]
    with pytest.raises(SystemExit) as stopped:
        main([*args, "--to", str(to)])
    assert stopped.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["flows"] == len(FlowStore.open(to)) == 2400
    labels = read_labels(to.with_name("flows.labels.parquet"))
    assert sum(said["planted"].values()) == int(pc.sum(labels.table["is_attack"]).as_py())
    none = tmp_path / "none.parquet"
    with pytest.raises(SystemExit) as stopped:
        main([*args, "--to", str(none), "--share", "0.0001"])
    assert stopped.value.code == 2
    assert "would be made strange" in capsys.readouterr().err
    assert not list(tmp_path.glob("*none*"))


def test_the_command_names_every_kind() -> None:
    """It keeps its own list, so that `--help` imports no Arrow."""
    assert plant.KINDS == planting.KINDS
