"""AutoGraphAD and Anomal-E from end to end: quick trainings on real flows, by the command line."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from netvigil import runner, tuning
from netvigil.config import load_experiment
from netvigil.contracts import FlowBatch, FlowTable, ReadReport
from netvigil.evaluation import Receipt, receipt_lines
from netvigil.phases import Advance, Phases
from netvigil.plugins import load_plugins
from netvigil.store import FlowStore

from .commands import (
    UNSW,
    experiment,
    fitted_files,
    netvigil,
    randomly_labelled,
    read_json,
    scores,
    without_times,
)

IOT = "iot-23/CTU-Malware-Capture-20-1-labeled.csv"
OFTEN = {"device": "cpu", "checkpoint_s": 1e-6}  # a checkpoint after every epoch
METHODS: dict[str, dict[str, dict[str, Any]]] = {
    "autographad": {
        "graph": {"builder": "flow-host"},
        "encoder": {"name": "autographad", "epochs": 8, "hidden": 8, **OFTEN},
        "scorer": {"name": "weighted-terms"},
    },
    "anomal-e": {
        "graph": {"builder": "flow-host", "whole": True},
        "encoder": {"name": "anomal-e", "epochs": 8, "hidden": 16, "embedding": 24, **OFTEN},
        "scorer": {"name": "pca"},
    },
}
SEEDS = {"seeds": [0, 1]}
methods = pytest.mark.parametrize("method", METHODS)


def write(folder: Path, method: str, source: object, **sections: dict[str, Any]) -> Path:
    """Write a quick experiment with a method; settings of its encoder are merged."""
    own = METHODS[method]
    merged = {"run": SEEDS, **own, **sections}
    merged["encoder"] = {**own["encoder"], **sections.get("encoder", {})}
    folder.mkdir(exist_ok=True)
    return experiment(folder / "e.toml", source, **merged)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a method's uninterrupted run on UNSW-NB15; each is run once."""
    folders: dict[str, Path] = {}

    def find(method: str) -> Path:
        if method not in folders:
            folder = tmp_path_factory.mktemp(method)
            netvigil(
                "run", "--no-report", write(folder, method, data / UNSW), "--out", folder / "run"
            )
            folders[method] = folder / "run"
        return folders[method]

    return find


@methods
def test_a_run_is_told_whole(method: str, finished: Callable[[str], Path]) -> None:
    folder = finished(method)
    receipt = read_json(folder / "receipt.json")
    assert [use for use, happened in receipt["labels"].items() if happened] == ["evaluation"]
    assert receipt["parity"] == []
    assert receipt["hardware"]["accelerator"] is None
    rows = {row["method"]: row for row in receipt["evaluation"]["headline"]["methods"]}
    own = rows[f"{method} + {METHODS[method]['scorer']['name']}"]
    assert own["seeds"] == [0, 1]
    assert 0 < own["metrics"]["auroc"]["mean"] < 1
    assert {"source-novelty", "pair-rarity", "all-benign"} <= set(rows)
    epochs = [line for line in log(folder) if line.get("event") == "epoch"]
    assert [(line["seed"], line["epoch"]) for line in epochs] == [
        (seed, epoch) for seed in (0, 1) for epoch in range(8)
    ]
    assert all(np.isfinite(line["train"]["total"]) for line in epochs)
    assert (epochs[0]["validation"] is None) == (method == "anomal-e")


@methods
def test_detect_scores_the_test_flows_as_the_run_did(
    method: str, data: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    """A bundle needs nothing of the run: on a file of the test flows alone, the scores return."""
    folder = finished(method)
    ran = scores(folder / "scores.parquet")
    rows = (data / UNSW).read_text("utf-8-sig").splitlines()
    wanted = sorted(ran)
    (tmp_path / "test.csv").write_text("\n".join(rows[i] for i in wanted) + "\n")
    netvigil("detect", folder / "bundle", tmp_path / "test.csv", "--out", tmp_path / "found")
    again = scores(tmp_path / "found" / "scores.parquet")
    assert sorted(again) == list(range(len(wanted)))
    left, right = (np.array([found[key] for key in sorted(found)]) for found in (again, ran))
    # Not the same bits: float32 sums depend on where in memory the arrays happen to lie.
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5 * float(np.std(right)))


@methods
def test_labels_reach_neither_weights_nor_scores(
    method: str, data: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = finished(method)
    source = randomly_labelled(data / UNSW, tmp_path / "random.csv", seed=3)
    netvigil("run", "--no-report", write(tmp_path, method, source), "--out", tmp_path / "run")
    weights = fitted_files(folder / "bundle")
    assert "encoder.safetensors" in weights
    assert fitted_files(tmp_path / "run" / "bundle") == weights
    assert scores(tmp_path / "run/scores.parquet") == scores(folder / "scores.parquet")
    assert shares(tmp_path / "run") != shares(folder)


@methods
def test_dropping_attacks_uses_labels_and_says_so(
    method: str, data: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    file = write(tmp_path, method, data / UNSW, train={"drop_attacks": True}, run={"seeds": [0]})
    netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    receipt = read_json(tmp_path / "run" / "receipt.json")
    assert receipt["labels"]["train_filter"]
    assert receipt["train_attack_share"] == 0
    files = (f / "bundle" / "encoder.safetensors" for f in (tmp_path / "run", finished(method)))
    without, whole = (load_file(path) for path in files)
    assert without.keys() == whole.keys()
    assert any(not np.array_equal(without[name], whole[name]) for name in whole)


@methods
@pytest.mark.parametrize("source", [IOT, "westermo/flows_bottom.csv.gz"])
def test_other_kinds_of_logs(method: str, source: str, data: Path, tmp_path: Path) -> None:
    split = {"axis": "flows", "train": 0.45, "calibrate": 0.1}
    encoder = {"epochs": 2}
    one = {"seeds": [0]}
    file = write(tmp_path, method, data / source, split=split, encoder=encoder, run=one)
    netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    receipt = read_json(tmp_path / "run" / "receipt.json")
    found = scores(tmp_path / "run" / "scores.parquet")
    assert len(found) == receipt["split"]["parts"]["test"]["flows"]
    assert receipt["evaluation"]["headline"]["attacks"] > 0


class Killed(Exception):  # noqa: N818 - it stands for a kill, not for an error
    """Stands for a kill in the middle of something."""


class Kill:
    """A display that stops everything at the `at`-th advance of the `nth` phase of a name."""

    def __init__(self, phase_name: str, *, nth: int = 1, at: int = 1) -> None:
        self.name, self.nth, self.at = phase_name, nth, at
        self.seen = 0

    @contextmanager
    def phase(self, name: str, total: int | None) -> Iterator[Advance]:
        mine = name == self.name
        self.seen += mine
        calls = 0

        def advance(_: int) -> None:
            nonlocal calls
            calls += 1
            if mine and (self.seen, calls) == (self.nth, self.at):
                raise Killed

        yield advance


@methods
@pytest.mark.parametrize("nth", [1, 2], ids=["first-seed", "second-seed"])
def test_killed_in_training_and_resumed_ends_equal(
    method: str, nth: int, data: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    file, out = write(tmp_path, method, data / UNSW), tmp_path / "run"
    kill = Kill("fit encoder", nth=nth, at=9 if method == "autographad" else 4)
    with pytest.raises(Killed):
        runner.run(
            load_experiment(file), load_plugins(), base=tmp_path, out=out, phases=Phases(kill)
        )
    assert not out.exists()
    netvigil("run", "--no-report", file, "--out", out, "--resume")
    (resumed,) = [line for line in log(out) if line.get("event") == "resumed"]
    assert resumed["seed"] == nth - 1
    assert 0 < resumed["epoch"] < 8
    whole = finished(method)
    assert without_times(read_json(out / "metrics.json")) == without_times(
        read_json(whole / "metrics.json")
    )
    assert scores(out / "scores.parquet") == scores(whole / "scores.parquet")
    assert fitted_files(out / "bundle") == fitted_files(whole / "bundle")


PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "autographad": (
        {"layers": 2, "augment": 0.4, "feature_loss": "cosine", "regulariser": True},
        {"weights": {"feature": 1.0, "structure": 0.1, "kl": 1.0}},
    ),
    "anomal-e": (
        {"hidden": 128, "embedding": 256, "patience": 4000, "direction": "both"},
        {"n_components": 0.98, "whiten": False, "weighted": True},
    ),
}


@methods
def test_a_preset_is_in_force_and_written_down(method: str, data: Path, tmp_path: Path) -> None:
    encoder = {"name": method, "preset": "published-3.4", "epochs": 2, "device": "cpu"}
    sections: dict[str, dict[str, Any]] = {
        "graph": {"builder": "flow-host"},
        "encoder": encoder,
        "evaluate": {"resamples": 10, "baselines": [], "also": []},
    }
    file = experiment(tmp_path / "e.toml", data / UNSW, **sections)
    netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    config = read_json(tmp_path / "run" / "receipt.json")["config"]
    network, scorer = PRESETS[method]
    assert config["encoder"]["preset"] == "published-3.4"
    assert network.items() <= config["encoder"]["options"].items()
    assert config["encoder"]["options"]["epochs"] == 2  # what the file says goes first
    assert scorer.items() <= config["scorer"]["options"].items()
    assert config["threshold"]["options"] == {"keep": 0.05}
    assert (
        tomllib.loads((tmp_path / "run" / "config.toml").read_text())["encoder"]
        == (config["encoder"])
    )
    again = ("--set", f"flows.source={data / UNSW}", "--out", tmp_path / "again")
    netvigil("run", "--no-report", tmp_path / "run" / "config.toml", *again)
    assert scores(tmp_path / "again/scores.parquet") == scores(tmp_path / "run/scores.parquet")


def test_parity_is_said_in_capitals(data: Path, tmp_path: Path) -> None:
    quick = {"name": "anomal-e", "epochs": 2, "device": "cpu"}
    official = {"encoder": quick, "split": {}, "run": {"seeds": [0], "parity": True}}
    file = experiment(tmp_path / "e.toml", data / UNSW, **official)
    said = netvigil("run", "--no-report", file, "--out", tmp_path / "run")
    (line,) = [line for line in said.splitlines() if line.startswith("PARITY")]
    for words in ("RANDOM STRATIFIED SPLIT", "LABEL-FITTED TARGET ENCODING", "EDGES DOUBLED"):
        assert words in line
    receipt = read_json(tmp_path / "run" / "receipt.json")
    assert receipt["labels"]["split"]
    assert receipt["labels"]["transforms"]
    assert receipt["config"]["graph"]["options"]["whole"]


@pytest.mark.parametrize(
    "sections",
    [
        {"split": {"protocol": "paper-stratified"}},
        {"features": {"transforms": ["clean", "target-encoding"]}},
    ],
    ids=["split", "transform"],
)
def test_what_reads_labels_is_refused_without_parity(
    sections: dict[str, Any], tmp_path: Path
) -> None:
    file = write(tmp_path, "anomal-e", "absent.csv", **sections)
    said = netvigil("run", "--no-report", file, "--out", tmp_path / "run", code=2)
    assert "reads labels" in said
    assert "run.parity = true" in said


@pytest.mark.parametrize(
    ("method", "sections", "words"),
    [
        ("autographad", {"graph": {"builder": "none"}}, "Builders that fit: flow-host"),
        ("anomal-e", {"graph": {"builder": "none"}}, "Builders that fit: flow-host"),
        ("autographad", {"encoder": {"layers": 4}}, "less than or equal to 3"),
        ("anomal-e", {"encoder": {"layers": 4}}, "less than or equal to 3"),
        ("autographad", {"encoder": {"preset": "published-3.5"}}, "'published-3.4'"),
        ("autographad", {"scorer": {"name": "hbos"}}, "weighted-terms"),
        ("anomal-e", {"scorer": {"name": "weighted-terms"}}, "Scorers that fit:"),
        ("anomal-e", {"encoder": {"own_egde": True}}, "'own_edge'"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_what_cannot_work_is_refused_before_anything_is_read(
    method: str, sections: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = write(tmp_path, method, "absent.csv", **sections)
    said = netvigil("run", "--no-report", file, "--out", tmp_path / "run", code=2)
    assert words in " ".join(said.split())
    assert not list(tmp_path.glob("run*"))


@methods
def test_a_gpu_that_is_not_there(method: str, data: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    file = write(tmp_path, method, data / IOT, encoder={"device": "cuda"})
    said = netvigil("run", "--no-report", file, "--out", tmp_path / "run", code=2)
    assert "'cuda' is asked for" in said
    assert 'device = "auto"' in said
    assert not (tmp_path / "run").exists()


@methods
def test_a_bundle_refuses_what_it_was_not_fitted_for(
    method: str, data: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    bundle = finished(method) / "bundle"
    said = netvigil("detect", bundle, data / IOT, "--out", tmp_path / "other", code=1)
    assert "lacks" in said
    assert "features that the bundle needs" in said
    netvigil("data", "convert", data / UNSW, "--to", tmp_path / "flows.parquet")
    source = without_addresses(tmp_path / "flows.parquet", tmp_path / "bare.parquet")
    said = netvigil("detect", bundle, source, "--out", tmp_path / "bare", code=2)
    assert "no addresses" in said
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "bare").exists()


@methods
def test_a_bundle_whose_settings_are_not_its_networks(
    method: str, finished: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    """Somebody edits the manifest and its digest: an error, not a traceback."""
    bundle = tmp_path / "bundle"
    shutil.copytree(finished(method) / "bundle", bundle)
    manifest = read_json(bundle / "manifest.json")
    edited = json.dumps(manifest).replace('"layers": 1', '"layers": 2')
    assert edited != json.dumps(manifest)
    (bundle / "manifest.json").write_text(edited, "utf-8")
    digest = hashlib.sha256(edited.encode()).hexdigest()
    (bundle / "manifest.sha256").write_text(f"{digest}\n")
    said = netvigil("detect", bundle, data / UNSW, "--out", tmp_path / "found", code=1)
    assert f"encoder '{method}'" in said
    assert not (tmp_path / "found").exists()


def test_compare_puts_both_methods_in_one_table(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    runs = [finished(method) for method in METHODS]
    files = ("--csv", tmp_path / "all.csv", "--html", tmp_path / "all.html")
    told = json.loads(netvigil("compare", *runs, *files, "--json"))
    found = {(row["method"], row["auroc"]) for row in told["rows"]}
    for folder in runs:
        for row in read_json(folder / "metrics.json")["headline"]["methods"]:
            assert (row["method"], row["metrics"]["auroc"]["mean"]) in found
    table = pa.csv.read_csv(tmp_path / "all.csv")
    assert {method for method, _ in found} == set(table["method"].to_pylist())
    page = (tmp_path / "all.html").read_text("utf-8")
    assert "autographad + weighted-terms" in page
    assert "anomal-e + pca" in page


SPACE = {"encoder.layers": [1, 2], "encoder.draws": [1, 2]}


@pytest.mark.parametrize(
    ("objective", "labels"), [("validation-loss", False), ("validation-auprc", True)]
)
def test_a_search_is_resumed_and_its_best_file_runs(
    objective: str, labels: bool, data: Path, tmp_path: Path
) -> None:
    file = write(
        tmp_path,
        "autographad",
        data / UNSW,
        encoder={"epochs": 3},
        run={"seeds": [0]},
        tune={"space": SPACE, "objective": objective},
    )
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    netvigil("tune", file, "--out", whole)
    with pytest.raises(Killed):
        tuning.tune(
            load_experiment(file), base=tmp_path, out=cut, phases=Phases(Kill("trials", at=2))
        )
    netvigil("tune", file, "--out", cut, "--resume")
    found, wanted = (read_json(folder / "tuning.json") for folder in (cut, whole))
    assert found["best"] == wanted["best"]
    assert (found["trials"], found["failed"]) == (4, 0)
    assert not found["reads_test_part"]
    assert found["reads_labels"] == labels
    netvigil("run", "--no-report", cut / "best.toml", "--out", tmp_path / "run")
    receipt = Receipt.from_json((tmp_path / "run" / "receipt.json").read_bytes())
    assert receipt.labels.tuning == labels
    assert objective in dict(receipt_lines(receipt))["settings chosen by"]
    best = {key.removeprefix("encoder."): v for key, v in found["best"]["settings"].items()}
    assert best.items() <= receipt.config["encoder"]["options"].items()


def test_the_published_regimes_run_by_one_command(data: Path, root: Path, tmp_path: Path) -> None:
    quick: dict[str, object] = {"encoder.epochs": 1, "run.seeds": "[0]", "run.device": "cpu"}
    quick |= {"evaluate.resamples": 5, "evaluate.baselines": '["iforest"]'}
    settings = [f"--set={key}={value}" for key, value in quick.items()]
    few = (data / UNSW).read_text("utf-8-sig").splitlines()[:6_000]  # it is about settings
    (tmp_path / "few.csv").write_text("\n".join(few) + "\n", "utf-8")
    source = f"--set=flows.source={tmp_path / 'few.csv'}"
    suite = root / "packages" / "autographad" / "experiments" / "regimes.toml"
    chosen = ("--only", "regime=3.4,method=autographad,method=anomal-e")
    netvigil("run", "--no-report", suite, "--out", tmp_path / "all", *chosen, source, *settings)
    receipts = [read_json(path) for path in (tmp_path / "all").glob("*/*/receipt.json")]
    encoders = {receipt["config"]["encoder"]["name"]: receipt for receipt in receipts}
    assert encoders.keys() == {"autographad", "anomal-e"}
    for receipt in receipts:
        assert receipt["config"]["encoder"]["preset"] == "published-3.4"
        assert not receipt["labels"]["train_filter"]
    table = pa.csv.read_csv(tmp_path / "all" / "comparison.csv")
    rows = set(table["method"].to_pylist())
    assert {"anomal-e + cblof (published)", "anomal-e + hbos (published)"} <= rows
    assert {"autographad + weighted-terms", "autographad + kl", "raw + iforest"} <= rows


def log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def shares(folder: Path) -> float:
    """Return the share of attacks that a run found in its train part."""
    return float(read_json(folder / "receipt.json")["train_attack_share"])


def without_addresses(source: Path, target: Path) -> Path:
    """Write the flows of a store again, without the addresses of any."""
    store = FlowStore.open(source)
    table = pq.read_table(source)
    for name in ("src_ip", "dst_ip"):
        place = table.schema.get_field_index(name)
        nothing = pa.nulls(len(table), table.schema.field(place).type)
        table = table.set_column(place, table.schema.field(place), nothing)
    flows = FlowTable(table.replace_schema_metadata(None), store.info)
    FlowStore.write([FlowBatch(flows, ReadReport())], target)
    return target
