"""Classifiers from end to end: only the train part's labels, said everywhere, kept in bundles."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from netvigil import runner
from netvigil.config import load_experiment
from netvigil.errors import (
    ConfigError,
    ContractError,
    IncompatiblePartsError,
    NetvigilError,
    RunError,
    SourceError,
)
from netvigil.evaluation import receipt_lines, to_markdown
from netvigil.outputs import read_scores
from netvigil.phases import Phases
from netvigil.pipeline import assemble
from netvigil.report import open_run
from netvigil.tuning import search

from . import fakes, taught
from .test_runner import fitted_files, without_times


def experiment(source, **sections):
    return fakes.experiment(source, **(taught.SECTIONS | sections))


def run(source, out, *, resume=False, **sections):
    return runner.run(
        experiment(source, **sections),
        fakes.plugins(taught.Taught()),
        base=source.parent,
        out=out,
        phases=Phases(),
        resume=resume,
    )


def refused(source, error=ConfigError, **sections):
    def tried():
        made = experiment(source, **sections)
        assemble(made, fakes.plugins(taught.Taught()), base=source.parent)

    with pytest.raises(error) as caught:
        tried()
    return str(caught.value)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One finished run with a second classifier beside it; tests only read it."""
    folder = tmp_path_factory.mktemp("taught")
    source = fakes.write_csv(folder / "a.csv", fakes.traffic())
    also = [{"name": "centroid", "label": "sharp", "sharpness": 9.0}]
    evaluate = {"also": also, "baselines": ["median-distance"], "resamples": 5}
    return folder / "run", source, run(source, folder / "run", evaluate=evaluate)


@pytest.fixture
def source(tmp_path):
    return fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))


class TestReceipt:
    def test_it_says_which_labels_were_read(self, done):
        _, _, receipt = done
        words = receipt.labels.words()
        assert words.startswith("classifier: labels of the train part, evaluation; not:")
        assert receipt.labels.model
        assert not receipt.labels.transforms
        (snooping,) = [p for p in receipt.pitfalls if p.id == "P3"]
        assert "labels of the train part" in snooping.why

    def test_it_holds_the_classifier_and_neither_encoder_nor_scorer(self, done):
        folder, _, receipt = done
        assert receipt.config["classifier"]["options"]["sharpness"] == 1.0
        assert not {"encoder", "scorer"} & set(receipt.config)
        text = (folder / "config.toml").read_text()
        assert "[classifier]" in text
        assert "[encoder]" not in text

    def test_the_cut_is_one_half_unless_the_file_says_otherwise(self, done, source, tmp_path):
        _, _, receipt = done
        assert receipt.config["threshold"]["options"] == {"value": 0.5}
        assert receipt.threshold.mode == "label-free"
        other = run(source, tmp_path / "run", threshold={"name": "quantile", "keep": 0.2})
        assert other.threshold.rule == "quantile"
        low = run(source, tmp_path / "low", threshold={"value": 0.25})
        assert low.threshold.provenance == "given by hand: 0.25"

    def test_every_table_marks_the_row(self, done):
        folder, _, receipt = done
        assert receipt.evaluation is not None
        table = to_markdown(receipt.evaluation.headline)
        assert "**centroid SUPERVISED**" in table
        assert "**sharp SUPERVISED**" in table
        assert "*raw + median-distance*" in table
        assert "SUPERVISED, taught with the labels" in _page(folder)

    def test_baselines_have_no_cut_that_was_meant_for_probabilities(self, done):
        _, _, receipt = done
        rows = {m.method: m for m in receipt.evaluation.headline.methods}
        assert rows["raw + median-distance"].metrics["recall"].reason == "no cut was set"
        assert rows["pair-rarity"].confusions == (None,)
        assert rows["centroid"].metrics["recall"].mean > 0.8

    def test_classes_are_judged_by_arg_max(self, done):
        folder, _, receipt = done
        rows = {m.method: m for m in receipt.evaluation.headline.methods}
        report = rows["centroid"].classes
        assert [each.name for each in report.classes] == ["benign", "flood", "scan"]
        assert report.unseen_flows == 0
        assert report.metrics["accuracy"].mean > 0.8
        assert len(report.metrics["accuracy"].per_seed) == 2
        assert sum(map(sum, report.confusion)) == receipt.split.parts["test"].flows
        written = json.loads((folder / "metrics.json").read_text())
        (own,) = [m for m in written["headline"]["methods"] if m["method"] == "centroid"]
        assert own["classes"]["confusion"] == [list(row) for row in report.confusion]
        assert rows["pair-rarity"].classes is None

    def test_the_page_shows_each_class(self, done):
        text = _page(done[0])
        assert "Class by class" in text
        assert "What the flows of each class were taken for" in text


def _page(folder):
    from netvigil.report.page import to_html

    return to_html([open_run(folder)])


class TestSameBits:
    def test_detect_scores_and_names_the_test_flows_as_run_did(self, done, tmp_path):
        folder, source, _ = done
        found = runner.detect(
            folder / "bundle",
            source,
            fakes.plugins(taught.Taught()),
            out=tmp_path / "out",
            phases=Phases(),
        )
        first, second = (
            pq.read_table(path / "scores.parquet").sort_by("flow_id")
            for path in (folder, tmp_path / "out")
        )
        assert found.flows == second.num_rows == 600
        ids = first["flow_id"].to_numpy()
        same = second.filter(np.isin(second["flow_id"].to_numpy(), ids))
        assert same["score"].to_numpy().tobytes() == first["score"].to_numpy().tobytes()
        assert same["class"].to_pylist() == first["class"].to_pylist()
        assert set(first["class"].to_pylist()) == {"benign", "flood", "scan"}

    def test_score_files_are_read_back_without_their_classes(self, done):
        table, cut = read_scores(done[0] / "scores.parquet")
        assert cut == 0.5
        assert 0 <= table.score.min() < table.score.max() <= 1

    def test_alerts_begin_with_the_verdict(self, done):
        lines = (done[0] / "alerts.jsonl").read_text().splitlines()
        assert lines
        for line in map(json.loads, lines):
            assert line["reasons"][0].startswith(("classified as ", "classified as scan"))

    def test_fit_makes_the_bundle_that_run_makes(self, done, tmp_path):
        folder, source, _ = done
        runner.fit(
            experiment(source),
            fakes.plugins(taught.Taught()),
            base=source.parent,
            out=tmp_path / "bundle",
            phases=Phases(),
        )
        assert fitted_files(tmp_path / "bundle") == fitted_files(folder / "bundle")
        rooms = json.loads((folder / "bundle" / "manifest.json").read_text())["rooms"]
        assert "classifier" in rooms
        assert not {"encoder", "scorer"} & set(rooms)

    def test_the_resolved_config_runs_again_to_the_same_scores(self, done, tmp_path):
        folder, source, _ = done
        again = load_experiment(folder / "config.toml", [f"flows.source='{source}'"])
        runner.run(
            again,
            fakes.plugins(taught.Taught()),
            base=source.parent,
            out=tmp_path / "again",
            phases=Phases(),
        )
        assert without_times(tmp_path / "again" / "metrics.json") == without_times(
            folder / "metrics.json"
        )

    def test_a_killed_run_resumes_to_the_same_numbers(self, source, tmp_path, monkeypatch):
        seeds = {"run": {"seeds": [0, 1, 2]}}
        run(source, tmp_path / "whole", **seeds)
        monkeypatch.setattr(taught.Centroid, "stop_at", 1)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "run", **seeds)
        monkeypatch.setattr(taught.Centroid, "stop_at", None)
        run(source, tmp_path / "run", resume=True, **seeds)
        whole, resumed = (
            without_times(tmp_path / name / "metrics.json") for name in ("whole", "run")
        )
        assert whole == resumed


class TestLabels:
    def test_those_of_later_parts_change_no_score(self, tmp_path):
        rows = fakes.traffic(300)
        dice = np.random.default_rng(5)
        mixed = dict(rows)
        labels = np.array(rows["label"])
        # The split is by time: the first half of the hour teaches.
        late = np.array(rows["start_us"]) > fakes.EPOCH_US + 1_900_000_000
        labels[late] = dice.permutation(labels[late])
        mixed["label"] = labels.tolist()
        scores = []
        for name, table in (("a", rows), ("b", mixed)):
            source = fakes.write_csv(tmp_path / f"{name}.csv", table)
            run(source, tmp_path / name, run={"seeds": [0]})
            scores.append(read_scores(tmp_path / name / "scores.parquet")[0].score.tobytes())
        assert scores[0] == scores[1]

    def test_binary_classes_know_no_attack_by_name(self, source, tmp_path):
        made = {"name": "centroid", "classes": "binary"}
        receipt = run(source, tmp_path / "run", classifier=made)
        (own,) = [m for m in receipt.evaluation.headline.methods if m.classes is not None]
        assert [each.name for each in own.classes.classes] == ["benign", "attack"]
        assert own.classes.unseen_flows == 0
        assert {a.attack for a in own.attacks} == {"flood", "scan"}

    def test_a_class_of_the_test_part_alone_is_counted(self, tmp_path):
        rows = fakes.traffic(300)
        late = np.array(rows["start_us"]) > fakes.EPOCH_US + 3_000_000_000
        rows["label"] = [
            "worm" if flag and text != "benign" else text
            for flag, text in zip(late.tolist(), rows["label"], strict=True)
        ]
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        receipt = run(source, tmp_path / "run", run={"seeds": [0]})
        (own,) = [m for m in receipt.evaluation.headline.methods if m.classes is not None]
        worm = own.classes.classes[-1]
        assert (worm.name, worm.taught) == ("worm", False)
        assert worm.support == own.classes.unseen_flows > 0
        assert worm.recall.mean == 0
        assert "only in the test part" in _page(tmp_path / "run")

    def test_unknown_flows_teach_nothing(self, tmp_path, monkeypatch):
        seen = []
        real = taught.Centroid.fit

        def spy(self, windows, labels, *, seed):
            seen.append(len(labels))
            return real(self, windows, labels, seed=seed)

        monkeypatch.setattr(taught.Centroid, "fit", spy)
        rows = fakes.traffic(300)
        rows["label"][:40] = [""] * 40
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        receipt = run(source, tmp_path / "run", run={"seeds": [0]})
        train = receipt.split.parts["train"]
        assert seen == [train.known]
        assert train.known == train.flows - 40

    def test_one_class_only_is_refused(self, tmp_path):
        rows = fakes.traffic(300)
        rows["label"] = ["benign" for _ in rows["label"]]
        source = fakes.write_csv(tmp_path / "a.csv", rows)
        with pytest.raises(ContractError, match="no attack is among the labelled flows"):
            run(source, tmp_path / "run")

    def test_an_attack_that_calls_itself_benign_is_refused(self, source, tmp_path):
        with pytest.raises(ContractError, match="An attack is called 'benign'"):
            run(source, tmp_path / "run", labels={"labeller": "inline", "benign": "scan"})


class TestRefused:
    @pytest.mark.parametrize("section", ["encoder", "scorer"])
    def test_an_encoder_or_scorer_beside_it(self, source, section):
        text = refused(source, **{section: {"name": "sigma"}})
        assert text.splitlines() == [
            f"A classifier stands in the place of encoder and scorer, but [{section}] is there.",
            "[classifier]",
            "Take one of them out.",
        ]

    def test_training_without_attacks(self, source):
        text = refused(source, train={"drop_attacks": True})
        assert "drop_attacks leaves it none" in text

    def test_without_labels(self, source):
        assert "nothing labels the flows" in refused(source, labels=None)

    def test_an_unknown_name_and_an_unknown_setting(self, source):
        text = refused(source, NetvigilError, classifier={"name": "centriod"})
        assert "Did you mean 'centroid'?" in text
        text = refused(source, classifier={"name": "centroid", "sharpnes": 2})
        assert "Did you mean 'sharpness'?" in text

    def test_windows_it_does_not_read(self, source):
        made = {"classifier": {"name": "wild"}, "graph": {"builder": "none"}}
        text = refused(source, IncompatiblePartsError, **made)
        assert "Classifier 'wild' reads flow-host windows" in text

    def test_a_scorer_beside_a_classifier(self, source):
        text = refused(source, NetvigilError, evaluate={"also": ["forest"]})
        assert "No classifier is named 'forest'" in text

    def test_two_rows_of_one_name(self, source):
        text = refused(source, evaluate={"also": ["centroid"]})
        assert "Two rows would be called 'centroid'" in text

    def test_numbers_that_are_no_probabilities(self, source, tmp_path):
        with pytest.raises(ContractError, match="do not add up to 1"):
            run(source, tmp_path / "run", classifier={"name": "wild"})

    def test_no_calibration_part_for_a_threshold_that_needs_one(self, source):
        split = {"protocol": "time", "train": 0.6, "calibrate": 0}
        text = refused(source, split=split, threshold={"name": "quantile"})
        assert "set on the calibration part, and there is none" in text

    def test_a_search_over_its_settings(self, source, tmp_path):
        with pytest.raises(ConfigError, match="a classifier is neither"):
            search.tune(
                experiment(source),
                base=source.parent,
                out=tmp_path / "out",
                phases=Phases(),
                load=lambda: fakes.plugins(taught.Taught()),
            )


def test_a_preset_is_laid_under_the_file(source, tmp_path):
    sections = {"classifier": {"name": "centroid", "preset": "sharp"}, "graph": None}
    receipt = run(source, tmp_path / "run", **sections)
    assert receipt.config["classifier"]["options"]["sharpness"] == 9.0
    assert receipt.config["graph"]["builder"] == "none"
    with pytest.raises(ConfigError, match="Classifier 'centroid' has no preset 'shrp'"):
        run(source, tmp_path / "no", classifier={"name": "centroid", "preset": "shrp"})


def test_a_layer_with_a_classifier_replaces_encoder_and_scorer(tmp_path, source):
    sections = '[flows]\nsource = "a.csv"\n[labels]\n'
    base = f'{sections}[encoder]\nname = "sigma"\n[scorer]\nname = "forest"\n'
    (tmp_path / "base.toml").write_text(base)
    (tmp_path / "top.toml").write_text('extends = "base.toml"\n[classifier]\nname = "centroid"\n')
    (tmp_path / "back.toml").write_text('extends = "top.toml"\n[scorer]\nname = "forest"\n')
    assert load_experiment(tmp_path / "top.toml").classifier is not None
    back = load_experiment(tmp_path / "back.toml")
    assert back.classifier is None
    assert back.scorer.name == "forest"


def test_supervised_transforms_need_no_parity_beside_a_classifier(source, tmp_path):
    features = {"transforms": ["attack-mean"]}
    receipt = run(source, tmp_path / "run", features=features)
    assert receipt.labels.transforms
    assert receipt.parity == ()
    with pytest.raises(ConfigError, match="reads labels, which no model here may see"):
        assemble(
            fakes.experiment(source, features=features),
            fakes.plugins(taught.Taught()),
            base=source.parent,
        )


DEALT = {"protocol": "paper-stratified", "dice": "scikit-learn", "train": 0.8, "calibrate": 0}


class TestStratifiedSplit:
    def test_it_is_allowed_and_said_in_capitals(self, source, tmp_path):
        receipt = run(source, tmp_path / "run", split=DEALT)
        lines = dict(receipt_lines(receipt))
        assert lines["split"] == "paper-stratified, RANDOM STRATIFIED SPLIT"
        assert receipt.split.shuffled
        assert receipt.labels.split
        assert receipt.parity == ()

    def test_it_has_a_page_without_a_calibration_part(self, source, tmp_path):
        receipt = run(source, tmp_path / "run", split=DEALT)
        assert receipt.split.parts["calibrate"].flows == 0
        assert "There is no calibration part" in _page(tmp_path / "run")

    @pytest.mark.parametrize("first", ["benign", "attacks"])
    def test_its_test_flows_are_those_of_scikit_learn(self, first, source, tmp_path):
        from sklearn.model_selection import train_test_split

        run(source, tmp_path / "run", split=DEALT | {"seed": 42, "dealt_first": first})
        labels = fakes.traffic(300)["label"]
        # scikit-learn deals classes in the order of their names.
        names = {"benign": "benign" if first == "benign" else "zero"}
        y = np.array([names.get(label, label) for label in labels])
        _, wanted = train_test_split(np.arange(300), test_size=0.2, stratify=y, random_state=42)
        table, _ = read_scores(tmp_path / "run" / "scores.parquet")
        assert sorted(table.flow_id.tolist()) == sorted(wanted.tolist())


class TestTestSource:
    @pytest.fixture
    def two(self, tmp_path):
        first = fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300, seed=1))
        second = fakes.write_csv(tmp_path / "b.csv", fakes.traffic(200, seed=2))
        return {"source": str(first), "test_source": str(second)}, first

    def test_every_flow_of_it_is_tested_and_no_other(self, two, tmp_path):
        flows, source = two
        receipt = run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2})
        parts_of = receipt.split.parts
        assert parts_of["test"].flows == 200
        assert (
            parts_of["train"].flows + parts_of["calibrate"].flows + parts_of["purged"].flows == 300
        )
        assert receipt.split.test_source
        table, _ = read_scores(tmp_path / "run" / "scores.parquet")
        assert sorted(table.flow_id.tolist()) == list(range(300, 500))

    def test_the_receipt_has_both_with_their_digests(self, two, tmp_path):
        flows, source = two
        receipt = run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2})
        assert [(d.source, d.part, d.flows) for d in receipt.data] == [
            ("a.csv", "train and calibrate", 300),
            ("b.csv", "test", 200),
        ]
        assert receipt.data[0].sha256 != receipt.data[1].sha256
        lines = dict(receipt_lines(receipt))
        assert lines["data (test)"].startswith("b.csv: 200 flows")
        assert lines["split"].endswith("the test part is a source of its own")
        assert receipt.config["flows"]["test_source"] == "b.csv"
        assert receipt.config["split"]["train"] == 0.8

    def test_what_is_taught_is_what_the_first_source_alone_teaches(self, two, tmp_path):
        flows, source = two
        split = {"protocol": "rows", "calibrate": 0.2}
        run(source, tmp_path / "both", flows=flows, split=split)
        runner.fit(
            experiment(source, flows=flows, split=split),
            fakes.plugins(taught.Taught()),
            base=source.parent,
            out=tmp_path / "alone",
            phases=Phases(),
        )
        assert fitted_files(tmp_path / "both" / "bundle") == fitted_files(tmp_path / "alone")

    def test_an_unsupervised_experiment_may_have_one_too(self, two, tmp_path):
        flows, source = two
        made = fakes.experiment(source, flows=flows, split={"calibrate": 0.3})
        receipt = runner.run(
            made, fakes.plugins(), base=tmp_path, out=tmp_path / "run", phases=Phases()
        )
        assert receipt.split.parts["test"].flows == 200

    def test_another_test_source_is_not_resumed(self, two, tmp_path, monkeypatch):
        flows, source = two
        monkeypatch.setattr(taught.Centroid, "stop_at", 1)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2})
        fakes.write_csv(tmp_path / "b.csv", fakes.traffic(200, seed=3))
        with pytest.raises(RunError):
            run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2}, resume=True)

    def test_stores_can_be_read_together(self, two, tmp_path):
        flows, source = two
        wanted = run(source, tmp_path / "csv", flows=flows, split={"calibrate": 0.2})
        stores = {}
        for key, path in flows.items():
            to = tmp_path / f"{key}.parquet"
            tiny = fakes.TinyCsv(fakes.TinyCsvConfig())
            fakes.FlowStore.write(tiny.read(source.parent / path, batch_rows=70), to)
            stores[key] = str(to)
        stores["reader"] = "tiny"
        found = run(source, tmp_path / "store", flows=stores, split={"calibrate": 0.2})
        first, second = (r.evaluation.headline.methods[-1].metrics for r in (wanted, found))
        assert first == second

    def test_other_columns_are_refused(self, two, tmp_path):
        flows, source = two
        rows = fakes.traffic(200)
        del rows["x_b"]
        fakes.write_csv(tmp_path / "b.csv", rows)
        with pytest.raises(SourceError, match="other columns than the source: x_b"):
            run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2})

    def test_another_kind_of_source_is_refused(self, two, tmp_path):
        flows, source = two
        fakes.write_csv(tmp_path / "b.csv", fakes.traffic(200, clock=False))
        with pytest.raises(SourceError, match="Both must be in one dialect"):
            run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2})

    def test_labels_that_know_none_of_it_are_refused(self, two, tmp_path):
        flows, source = two
        labels = {"labeller": "listed", "truth": _named(source)}
        with pytest.raises(RunError, match="nothing about any flow of the test source"):
            run(source, tmp_path / "run", flows=flows, labels=labels, split={"calibrate": 0.2})

    def test_shares_that_leave_something_over_are_refused(self, two):
        flows, source = two
        text = refused(source, flows=flows, split={"train": 0.5, "calibrate": 0.2})
        assert "train + calibrate must be 1, not 0.5 + 0.2" in text
        ranges = {
            f"{p}_range": ["2026-01-01", "2026-02-01"] for p in ("train", "calibrate", "test")
        }
        text = refused(source, flows=flows, split={"protocol": "ranges", **ranges})
        assert "Ranges name the test part" in text

    def test_one_that_is_not_there(self, two, tmp_path):
        flows, source = two
        (tmp_path / "b.csv").unlink()
        with pytest.raises(SourceError, match="no such source"):
            run(source, tmp_path / "run", flows=flows, split={"calibrate": 0.2})


def _named(source):
    path = source.with_name("named.txt")
    path.write_text("".join(f"{n},{'scan' if n % 3 else 'benign'}\n" for n in range(300)))
    return str(path)
