"""Generators: what they see, what a classifier learns with them, what `generate` writes."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from netvigil import generating, parts
from netvigil.contracts import LabelTable
from netvigil.errors import ConfigError, ContractError, IncompatiblePartsError, RunError
from netvigil.generators import counts_of
from netvigil.phases import Phases
from netvigil.protocols import State
from netvigil.runner import run
from netvigil.store import FlowStore
from netvigil.testing.conformance import RuleBroken, check_generator, checks_for
from netvigil.truth import read_labels

from . import fakes, taught

PART = parts.Generator(
    name="echo", summary="Shows flows again.", config=taught.EchoConfig, make=taught.Echo
)


@pytest.fixture
def source(tmp_path):
    return fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))


def experiment(source, **sections):
    return fakes.experiment(source, **(taught.SECTIONS | sections))


def ran(source, out, **sections):
    made = experiment(source, **sections)
    plugins = fakes.plugins(taught.Taught())
    return run(made, plugins, base=source.parent, out=out, phases=Phases())


def generated(source, out, **sections):
    made = fakes.experiment(source, **({"generator": {"name": "echo", "windows": 4}} | sections))
    plugins = fakes.plugins(taught.Taught())
    return generating.generate(made, plugins, base=source.parent, out=out, phases=Phases())


class TestAugment:
    def test_a_classifier_learns_from_generated_flows_too(self, source, tmp_path, monkeypatch):
        seen = {}

        def fit(self, windows, labels, *, seed):
            batches = list(windows)
            seen[seed] = (batches, labels)
            return original(self, windows, labels, seed=seed)

        original = taught.Centroid.fit
        monkeypatch.setattr(taught.Centroid, "fit", fit)
        receipt = ran(source, tmp_path / "run", train={"augment": "echo", "augment_windows": 5})
        batches, labels = seen[0]
        # Generated windows come first, so that the latest train windows stay the last ones.
        assert len(batches[0]) == 5
        assert len(batches[0].flow_id) == 60
        ids = np.concatenate([batch.flow_id for batch in batches])
        assert len(np.unique(ids)) == len(ids)
        assert np.array_equal(np.sort(ids), np.sort(labels.table["flow_id"].to_numpy()))
        assert set(counts_of(labels)) == {"benign", "flood", "scan"}
        assert receipt.labels.augmentation
        assert "augmentation" in receipt.labels.words()
        assert receipt.config["train"]["augment"]["name"] == "echo"
        names = [m.method for m in receipt.evaluation.headline.methods]
        assert "centroid (augmented by echo)" in names
        lines = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
        said = [line for line in lines if line.get("event") == "augmented"]
        assert [line["seed"] for line in said] == [0, 1]
        assert sum(said[0]["flows"].values()) == 60

    def test_it_never_sees_a_flow_of_another_part(self, source, tmp_path, monkeypatch):
        seen = []
        original = taught.Echo.fit

        def fit(self, windows, labels, *, seed):
            seen.append(np.concatenate([w.flow_id for w in windows]))
            assert set(labels.table["flow_id"].to_pylist()) <= set(seen[-1].tolist())
            return original(self, windows, labels, seed=seed)

        monkeypatch.setattr(taught.Echo, "fit", fit)
        receipt = ran(source, tmp_path / "run", train={"augment": "echo"})
        assert [len(ids) for ids in seen] == 2 * [receipt.split.parts["train"].flows]

    def test_it_needs_a_classifier(self, source):
        with pytest.raises(ConfigError, match="there is none"):
            fakes.experiment(source, train={"augment": "echo"})
        with pytest.raises(ConfigError, match="augment_windows needs augment"):
            experiment(source, train={"augment_windows": 3})

    def test_windows_it_does_not_understand_are_refused(self, source, tmp_path):
        with pytest.raises(IncompatiblePartsError, match="learns from flow-host windows"):
            ran(source, tmp_path / "r", train={"augment": "echo"}, graph={"builder": "none"})

    def test_one_that_says_no_class_is_refused(self, source, tmp_path, monkeypatch):
        original = taught.Echo.generate

        def silent(self, windows, *, condition, seed):
            made = original(self, windows, condition=condition, seed=seed)
            return taught.Generated(made.windows)

        monkeypatch.setattr(taught.Echo, "generate", silent)
        with pytest.raises(ContractError, match="of what class"):
            ran(source, tmp_path / "run", train={"augment": "echo"})


class TestGenerate:
    def test_flows_can_be_read_by_everything_else(self, source, tmp_path):
        done = generated(source, tmp_path / "made")
        folder = tmp_path / "made"
        names = ["flows.labels.parquet", "flows.parquet", "generated.json", "snapshots.npz"]
        assert sorted(p.name for p in folder.iterdir() if p.suffix != ".png") == names
        store = FlowStore.open(folder / "flows.parquet")
        assert store.info.format == "synthetic"
        assert store.info.time_basis == "row-order"
        assert len(store) == done["flows"] == 48
        flows = next(store.batches())
        assert flows.table["start"].null_count == 48
        labels = read_labels(folder / "flows.labels.parquet")
        assert counts_of(labels) == done["classes"]
        written = json.loads((folder / "generated.json").read_text())
        assert written["source"]["name"] == "a.csv"
        assert written["generator"]["name"] == "echo"

    def test_features_come_back_in_their_own_units(self, source, tmp_path):
        """`echo` shows train flows again, so every row must be one of the source's."""
        generated(source, tmp_path / "made")
        made = pq.read_table(tmp_path / "made" / "flows.parquet")
        read = fakes.traffic(300)
        assert set(made["fwd_bytes"].to_pylist()) <= set(read["bytes"])

    def test_arrays_load_without_executing_anything(self, source, tmp_path):
        generated(source, tmp_path / "made")
        with np.load(tmp_path / "made" / "snapshots.npz", allow_pickle=False) as arrays:
            assert arrays["flow_ptr"].tolist() == [0, 12, 24, 36, 48]
            assert arrays["flow_x"].shape == (48, len(arrays["feature_names"]))

    def test_one_class_alone(self, source, tmp_path):
        section = {"name": "echo", "windows": 2, "condition": "scan"}
        done = generated(source, tmp_path / "made", generator=section)
        assert done["classes"] == {"benign": 0, "scan": 24}

    def test_the_same_seed_gives_the_same_flows(self, source, tmp_path):
        for name in ("one", "two"):
            generated(source, tmp_path / name)
        one, two = (pq.read_table(tmp_path / name / "flows.parquet") for name in ("one", "two"))
        assert one.equals(two)

    def test_nothing_is_left_where_it_fails(self, source, tmp_path):
        section = {"name": "echo", "windows": 2, "condition": "worms"}
        with pytest.raises(ConfigError, match="knows no class"):
            generated(source, tmp_path / "made", generator=section)
        assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
        generated(source, tmp_path / "made")
        with pytest.raises(RunError, match="something of that name"):
            generated(source, tmp_path / "made")

    def test_what_cannot_be_undone_or_taught_is_refused(self, source, tmp_path):
        with pytest.raises(ConfigError, match="nothing labels"):
            generated(source, tmp_path / "made", labels=None)
        sections = taught.SECTIONS | {"features": {"transforms": ["attack-mean"]}}
        with pytest.raises(ConfigError, match="cannot be undone"):
            generated(source, tmp_path / "made", **sections)


@pytest.mark.parametrize("check", checks_for(PART), ids=str)
def test_a_sound_generator_passes_every_check(check):
    check(PART)


class NamesNothing(taught.Echo):
    def generate(self, windows, *, condition, seed):
        return taught.Generated(super().generate(windows, condition=condition, seed=seed).windows)


class MakesTooMany(taught.Echo):
    def generate(self, windows, *, condition, seed):
        return super().generate(windows + 1, condition=condition, seed=seed)


class GoesFar(taught.Echo):
    def fit(self, windows, labels, *, seed):
        super().fit(windows, labels, seed=seed)
        self.rows_ = {name: rows * 50 for name, rows in self.rows_.items()}
        return self


class IgnoresTheCondition(taught.Echo):
    def generate(self, windows, *, condition, seed):
        return super().generate(windows, condition=None, seed=seed)


class MixesClasses(taught.Echo):
    def fit(self, windows, labels, *, seed):
        super().fit(windows, labels, seed=seed)
        one, other = list(self.rows_)[1:]
        self.rows_ |= {one: self.rows_[other], other: self.rows_[one]}
        return self


class NeedsNoLabels(taught.Echo):
    def fit(self, windows, labels, *, seed):
        if labels is None:
            return self
        return super().fit(windows, labels, seed=seed)


class Forgets(taught.Echo):
    def set_state(self, state):
        rows = {name: rows[:1] for name, rows in state.arrays.items()}
        return super().set_state(State(rows, state.values))


@pytest.mark.parametrize(
    ("faulty", "rule"),
    [
        (NamesNothing, "flows-have-classes"),
        (MakesTooMany, "windows-of-its-kind"),
        (GoesFar, "features-stay-near"),
        (IgnoresTheCondition, "a-condition-is-kept"),
        (MixesClasses, "classes-differ-as-they-did"),
        (NeedsNoLabels, "labels-are-needed"),
        (Forgets, "state-round-trip"),
    ],
)
def test_each_check_catches_its_fault(faulty, rule):
    part = parts.Generator(name="faulty", summary="Faulty.", config=taught.EchoConfig, make=faulty)
    (check,) = [check for check in checks_for(part) if str(check) == rule]
    with pytest.raises(RuleBroken):
        check(part)
    with pytest.raises(RuleBroken):
        check_generator(part)


def test_counts_of_no_flow():
    assert counts_of(LabelTable.empty()) == {"benign": 0}
