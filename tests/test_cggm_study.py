"""What `netvigil_cggm` does with flows, which needs readers and builders of other packages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from click.testing import CliRunner

from netvigil import parts
from netvigil.addresses import text_keys
from netvigil.cli import main as netvigil
from netvigil.config import parse_experiment
from netvigil.contracts import FlowBatch, FlowFeatures, ReadReport, WindowGraphs
from netvigil.phases import Phases
from netvigil.plugins import load_plugins
from netvigil.runner import run
from netvigil.store import FlowStore
from netvigil.testing.synthetic import traffic
from netvigil_cggm.__main__ import main
from netvigil_cggm.snapshots import most_active, take_snapshots

QUICK = {"steps": 3, "batch": 4, "critic_steps": 1, "nodes": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parquet file of labelled flows, the labels inline."""
    folder = tmp_path_factory.mktemp("labelled")
    flows, labels = traffic(1_500, seed=1, attack_share=0.3)
    truth = labels.align(flows.flow_id)
    label = np.where(truth.is_attack, "attack", "benign").tolist()
    columns = {"flow_id": flows.flow_id, "label": label, "attack": truth.attack.tolist()}
    inline = pa.table(columns)
    batch = FlowBatch(flows, ReadReport(read=len(flows)), inline)
    FlowStore.write(iter([batch]), folder / "flows.parquet")
    return folder / "flows.parquet"


def experiment_of(source: Path, **sections: object) -> dict[str, object]:
    return {
        "flows": {"source": str(source)},
        "labels": {},
        "split": {"protocol": "time", "axis": "flows", "train": 0.6, "calibrate": 0.1},
        "graph": {"builder": "flow-host", "window_flows": 100},
        "evaluate": {"baselines": [], "resamples": 5},
        "run": {"seeds": [0]},
        **sections,
    }


def test_a_study_of_flows(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        f'sources = ["{source}"]\nwindow_flows = 100\nclassifier_steps = 5\ndensities = [0.5]\n'
        'rivals = ["smote"]\n[cggm]\nsteps = 2\nnodes = 8\nbatch = 2\ncritic_steps = 1\n'
    )
    found = CliRunner().invoke(main, [str(file), "--to", str(tmp_path / "to")])
    assert found.exit_code == 0, found.output
    whole = json.loads((tmp_path / "to" / "study.json").read_text())
    assert {row["task"] for row in whole["classifiers"]} == {"classes", "binary"}
    assert {"density 0.5", "cggm", "smote", "real"} <= {
        r["taught_by"] for r in whole["classifiers"]
    }
    assert "| generator |" in (tmp_path / "to" / "study.md").read_text()
    assert (tmp_path / "to" / "real-and-synthetic.png").stat().st_size > 1_000
    assert dict(map(tuple, [row[:2] for row in whole["parts"]])) == {"train": 10, "test": 5}


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('sources = ["absent.csv"]')
    found = CliRunner().invoke(main, [str(file), "--to", str(tmp_path / "to")])
    assert found.exit_code == 1
    assert "no such source" in found.output
    assert not (tmp_path / "to").exists()


def test_generated_flows_are_a_source_for_every_command(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, made = tmp_path / "e.toml", tmp_path / "made"
    file.write_text(tomli_w.dumps(experiment_of(source, generator={"name": "cggm", **QUICK})))
    with pytest.raises(SystemExit) as stopped:
        netvigil(["generate", str(file), "--to", str(made), "--windows", "9", "--json"])
    assert stopped.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["windows"] == 9
    flows = pq.read_table(made / "flows.parquet")
    real = pq.read_table(source)
    seen = {*real["src_ip"].to_pylist(), *real["dst_ip"].to_pylist()}
    assert {*flows["src_ip"].to_pylist(), *flows["dst_ip"].to_pylist()} <= seen
    assert set(flows["protocol"].to_pylist()) <= set(real["protocol"].to_pylist())
    with np.load(made / "snapshots.npz", allow_pickle=False) as arrays:
        assert arrays["node_x"].shape[0] == len(arrays["node_class"]) == 9 * 8
    values = experiment_of(
        made / "flows.parquet",
        labels={"labeller": "table", "truth": str(made / "flows.labels.parquet")},
        split={"protocol": "rows", "train": 0.6, "calibrate": 0.1},
        classifier={"name": "random-forest", "n_estimators": 5},
        graph={"builder": "none"},
    )
    receipt = run(
        parse_experiment(values, base=tmp_path),
        load_plugins(),
        base=tmp_path,
        out=tmp_path / "run",
        phases=Phases(),
    )
    assert receipt.evaluation is not None


def test_a_classifier_learns_from_generated_flows(source: Path, tmp_path: Path) -> None:
    values = experiment_of(
        source,
        classifier={"name": "hetero-flow-gnn", "epochs": 2, "hidden": 8, "device": "cpu"},
        evaluate={"baselines": [], "resamples": 5, "also": [{"name": "random-forest"}]},
        train={"augment": {"name": "cggm", **QUICK}},
    )
    receipt = run(
        parse_experiment(values, base=tmp_path),
        load_plugins(),
        base=tmp_path,
        out=tmp_path / "run",
        phases=Phases(),
    )
    assert receipt.labels.augmentation
    assert receipt.evaluation is not None
    names = {row.method for row in receipt.evaluation.headline.methods}
    assert "hetero-flow-gnn (augmented by cggm)" in names
    assert "random-forest (augmented by cggm)" in names


def test_the_builder_and_snapshots_agree_on_node_features() -> None:
    """With the snapshots' addresses as its dictionary, the builder's means are theirs."""
    flows, labels = traffic(600, seed=2, attack_share=0.2)
    x = np.random.default_rng(0).standard_normal((len(flows), 3)).astype(np.float32)
    features = FlowFeatures(x, ("a", "b", "c"))
    plugins = load_plugins()

    def build(name: str, **settings: object) -> WindowGraphs:
        part = plugins.get(parts.GraphBuilder, name).part
        made = part.make(part.config.model_validate({"window_flows": 60, **settings}))
        graphs: WindowGraphs = made.build(flows, features, made.window_of(flows, first_row=0))
        return graphs

    plain = build("flow-host")
    keys = most_active(plain, 6)
    texts = sorted(
        {*flows.table["src_ip"].to_pylist(), *flows.table["dst_ip"].to_pylist()} - {None}
    )
    of = dict(zip(text_keys(pa.array(texts)).tolist(), texts, strict=True))
    addresses = [of[key] for key in keys.tolist()]
    truth = labels.align(flows.flow_id)
    whole = type(labels).of(flows.flow_id, truth.is_attack, pa.array(truth.attack.tolist()))
    snapshots = take_snapshots(plain, whole, keys)
    built = build("traffic-dispersion", addresses=addresses)
    assert built.node_x is not None
    node_x = built.node_x.reshape(len(snapshots), 7, 3)[:, 1:]
    np.testing.assert_allclose(node_x, snapshots.x, atol=1e-5)
    again = take_snapshots(built, whole, keys)
    assert np.array_equal(again.links, snapshots.links)
    np.testing.assert_allclose(again.x, snapshots.x, atol=1e-6)
