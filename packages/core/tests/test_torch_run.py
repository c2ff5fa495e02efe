"""An encoder that trains, in a whole run: progress, log, kill and resume, bundle and receipt."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from netvigil import hookimpl, parts, runner
from netvigil.bundle import load_bundle
from netvigil.contracts import EncodedFlows
from netvigil.errors import NotFittedError
from netvigil.evaluation import Receipt
from netvigil.phases import Phases
from netvigil.protocols import State, Watch, Watched
from netvigil.torch.generators import build
from netvigil.torch.graphs import GraphBatch
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.training import fit_network

from . import fakes
from .torch.learners import Autoencoder


class SmallConfig(TrainingConfig):
    """Few epochs, and a checkpoint after each."""

    epochs: int = 5
    checkpoint_s: float = 1e-9


class Small:
    """Embeds flows by how far a linear map fails on them."""

    accelerator: str | None = None

    def __init__(self, config: SmallConfig) -> None:
        self.config, self.passes = config, config.epochs
        self.told = Watch()
        self.network: nn.Module | None = None

    def watch(self, watch: Watch) -> None:
        self.told = watch

    def fit(self, windows: Any, *, seed: int) -> Small:
        width = next(iter(windows)).flow_x.shape[1]
        learner, _ = fit_network(
            lambda device, rng: Autoencoder(build(lambda: nn.Linear(width, width), rng, device)),
            windows,
            self.config,
            seed=seed,
            watch=self.told,
            name="small",
        )
        self.network = learner.network
        if self.config.precision == "bfloat16":  # stands for a GPU
            self.accelerator = "Abacus 9000"
        return self

    @torch.no_grad()
    def encode(self, windows: Any) -> EncodedFlows:
        if self.network is None:
            msg = "small was used before it was fitted."
            raise NotFittedError(msg)
        x = GraphBatch.of(windows).x
        starts = np.repeat(windows.window_start, np.diff(windows.flow_ptr))
        return EncodedFlows(windows.flow_id, starts, embedding=(self.network(x) - x).numpy())

    def get_state(self) -> State:
        assert self.network is not None
        return State(arrays={n: t.numpy() for n, t in self.network.state_dict().items()})

    def set_state(self, state: State) -> Small:
        self.network = nn.Linear(*state.arrays["weight"].shape)
        self.network.load_state_dict({n: torch.tensor(a) for n, a in state.arrays.items()})
        return self


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    yield parts.Encoder(name="small", summary="A map.", config=SmallConfig, make=Small)


class KilledError(Exception):
    """Stands for a kill."""


class Killing(Phases):
    """Kills the run at the log line of an epoch of a seed."""

    at: tuple[int, int] | None = None

    def write(self, **values: object) -> None:
        super().write(**values)
        if (values.get("seed"), values.get("epoch")) == self.at:
            raise KilledError


class Shown:
    """Notes the totals of phases and what came of them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int | None, int]] = []

    @contextmanager
    def phase(self, name: str, total: int | None):
        done = []
        yield done.append
        self.seen.append((name, total, sum(done)))


@pytest.fixture
def plugins():
    return fakes.plugins(sys.modules[__name__])


@pytest.fixture
def experiment(tmp_path):
    source = fakes.write_csv(tmp_path / "flows.csv", fakes.traffic(400))
    return fakes.experiment(source, encoder={"name": "small"})


def test_the_encoder_is_one_that_reports(experiment):
    assert isinstance(Small(SmallConfig()), Watched)
    assert not isinstance(fakes.Sigma(fakes.SigmaConfig()), Watched)


@pytest.mark.parametrize("at", [(0, 3), (1, 2)])
def test_a_killed_run_resumes_to_the_same_numbers(experiment, plugins, tmp_path, at):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    runner.run(experiment, plugins, base=tmp_path, out=whole, phases=Phases())
    phases = Killing()
    phases.at = at
    with pytest.raises(KilledError):
        runner.run(experiment, plugins, base=tmp_path, out=cut, phases=phases)
    runner.run(experiment, plugins, base=tmp_path, out=cut, phases=Phases(), resume=True)
    lines = [json.loads(line) for line in (cut / "log.jsonl").read_text().splitlines()]
    assert [(e["seed"], e["epoch"]) for e in lines if e.get("event") == "resumed"] == [at]
    assert not (cut / "work").exists()
    for name in ("alerts.jsonl", "bundle/encoder.safetensors", "bundle/scorer.safetensors"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    ours, theirs = (pq.read_table(folder / "scores.parquet") for folder in (cut, whole))
    assert ours.equals(theirs)
    assert without_times(cut / "metrics.json") == without_times(whole / "metrics.json")


def without_times(path):
    """Return a JSON file's values without the seconds that something took."""

    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in {"fit_s", "score_s"}}
        return [strip(v) for v in value] if isinstance(value, list) else value

    return strip(json.loads(path.read_text()))


def test_every_epoch_is_in_the_log_and_all_passes_in_the_progress(experiment, plugins, tmp_path):
    shown = Shown()
    out = tmp_path / "run"
    runner.run(experiment, plugins, base=tmp_path, out=out, phases=Phases(display=shown))
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    epochs = [(e["seed"], e["epoch"]) for e in lines if e.get("event") == "epoch"]
    assert epochs == [(seed, epoch) for seed in (0, 1) for epoch in range(5)]
    flows = next(total for name, total, _ in shown.seen if name == "encode train")
    fits = [(total, done) for name, total, done in shown.seen if name == "fit encoder"]
    assert fits == [(5 * flows, 5 * flows)] * 2


def test_fit_keeps_no_checkpoints(experiment, plugins, tmp_path):
    out = tmp_path / "bundle"
    runner.fit(experiment, plugins, base=tmp_path, out=out, phases=Phases())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "flows.csv"]


def test_a_bundle_made_on_a_gpu_works_without_one(experiment, plugins, tmp_path):
    out = tmp_path / "bundle"
    runner.fit(experiment, plugins, base=tmp_path, out=out, phases=Phases())
    edit_device(out, "cuda:7")
    pipeline, _ = load_bundle(out, plugins)
    assert pipeline.assembly.encoder.config.device == "auto"
    found = runner.detect(
        out, experiment.flows.source, plugins, out=tmp_path / "found", phases=Phases()
    )
    assert found.flows == 400


def edit_device(bundle, device):
    import hashlib

    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["rooms"]["encoder"]["config"]["device"] == "auto"
    manifest["rooms"]["encoder"]["config"]["device"] = device
    text = json.dumps(manifest, indent=1)
    (bundle / "manifest.json").write_text(text)
    (bundle / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest() + "\n")


@pytest.mark.parametrize(("precision", "wanted"), [("float32", None), ("bfloat16", "Abacus 9000")])
def test_the_receipt_names_the_accelerator_and_the_versions(
    experiment, plugins, tmp_path, precision, wanted
):
    encoder = {"name": "small", "precision": precision}
    changed = fakes.experiment(experiment.flows.source, encoder=encoder)
    out = tmp_path / "run"
    runner.run(changed, plugins, base=tmp_path, out=out, phases=Phases())
    receipt = Receipt.from_json((out / "receipt.json").read_text())
    assert receipt.hardware.accelerator == wanted
    manifest = json.loads((out / "bundle" / "manifest.json").read_text())
    assert {"torch", "torch-geometric"} <= set(receipt.versions) & set(manifest["versions"])
