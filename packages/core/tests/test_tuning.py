"""`netvigil tune` from end to end: what it searches, what it may read, what it leaves."""

from __future__ import annotations

import csv
import json
import tomllib

import numpy as np
import pytest

from netvigil import runner
from netvigil.config import load_experiment
from netvigil.errors import ConfigError, RunError
from netvigil.evaluation import receipt_lines
from netvigil.evaluation.ranking import Ranking, auprc
from netvigil.learn import run_seed
from netvigil.phases import Phases
from netvigil.pipeline import assemble
from netvigil.prepare import prepare
from netvigil.truth import ATTACK

from . import fakes, tunable
from .tunable import Learner, search

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

pytest.importorskip("optuna")

AGREEMENT = {"objective": "seed-agreement"}
LABELLED = {"objective": "validation-auprc"}


@pytest.fixture(autouse=True)
def powered(monkeypatch):
    """Every test begins with a power supply, and an empty list of fits."""
    monkeypatch.setattr(Learner, "fits", [])
    monkeypatch.setattr(Learner, "checkpoints", [])
    monkeypatch.setattr(Learner, "stop_after", None)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return fakes.write_csv(tmp_path_factory.mktemp("flows") / "a.csv", fakes.traffic(300))


def rows(folder):
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def settled(folder):
    """Return what must not depend on interruptions: every trial without its duration."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows(folder)]


class TestSearch:
    def test_the_grid_visits_every_point_once_and_finds_the_lowest_loss(self, source, tmp_path):
        found = search(source, tmp_path / "t")
        assert found.best.settings == {"encoder.shift": 0.4, "encoder.noise": 0.0}
        assert found.best.value == pytest.approx(0.0005)  # the mean of 0.000 and 0.001
        assert found.best.each == pytest.approx((0.0, 0.001))
        assert (found.trials, found.failed, found.points) == (8, 0, 8)
        points = {(r["encoder.shift"], r["encoder.noise"]) for r in rows(tmp_path / "t")}
        assert len(points) == 8

    def test_the_folder_holds_what_was_promised(self, source, tmp_path):
        found = search(source, tmp_path / "t")
        names = ["best.toml", "log.jsonl", "study.journal", "trials.csv", "tuning.json"]
        assert sorted(p.name for p in (tmp_path / "t").iterdir()) == names
        assert [p.name for p in tmp_path.iterdir()] == ["t"]
        kept = json.loads((tmp_path / "t" / "tuning.json").read_text("utf-8"))
        assert kept == found.model_dump(mode="json")
        assert not kept["reads_labels"]
        assert kept["sha256"] == runner.digest(source)
        assert {"netvigil", "optuna", "numpy"} <= set(kept["versions"])
        assert len(kept["top"]) == 8

    def test_trials_cap_the_grid_in_a_seeded_shuffled_order(self, source, tmp_path):
        def first(name, seed):
            search(source, tmp_path / name, tune={"trials": 3, "seed": seed})
            return [(r["encoder.shift"], r["encoder.noise"]) for r in rows(tmp_path / name)]

        assert len(first("a", 0)) == 3
        assert first("b", 0) == first("c", 0)
        assert first("d", 1) != first("b2", 0)

    @pytest.mark.parametrize("sampler", ["tpe", "random"])
    def test_ranges_are_searched(self, source, tmp_path, sampler):
        space = {
            "encoder.shift": {"low": 0.0, "high": 1.0, "step": 0.1},
            "encoder.noise": {"low": 0.001, "high": 1.0, "log": True},
            "encoder.epochs": {"low": 1, "high": 3},
        }
        settings = {"space": space, "sampler": sampler, "trials": 12}
        found = search(source, tmp_path / "t", tune=settings)
        drawn = [{k: json.loads(r[k]) for k in space} for r in rows(tmp_path / "t")]
        assert len(drawn) == 12
        for point in drawn:
            assert point["encoder.shift"] == pytest.approx(round(point["encoder.shift"], 1))
            assert 0.001 <= point["encoder.noise"] <= 1.0
            assert point["encoder.epochs"] in {1, 2, 3}
        assert found.best.value == min(float(r["value"]) for r in rows(tmp_path / "t"))
        assert found.points is None

    def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(self, source, tmp_path):
        space = {"encoder.breaks": [True, False]}
        found = search(source, tmp_path / "t", tune={"space": space})
        assert (found.trials, found.failed) == (2, 1)
        assert found.best.settings == {"encoder.breaks": False}
        assert found.first_failure == "The loss is not finite.\nLower encoder.noise."
        failed = [r for r in rows(tmp_path / "t") if r["state"] == "failed"]
        assert len(failed) == 1
        assert "not finite" in failed[0]["reason"]

    def test_where_all_fail_the_first_reason_is_told(self, source, tmp_path):
        with pytest.raises(RunError, match="All 8 trials failed") as caught:
            search(source, tmp_path / "t", encoder={"name": "learner", "breaks": True})
        assert "The loss is not finite." in str(caught.value)
        assert not (tmp_path / "t").exists()

    def test_keys_that_the_objective_cannot_judge_are_left_out(self, source, tmp_path):
        found = search(source, tmp_path / "a", tune={"space": "wide"})
        assert found.left_out == ("scorer.noise", "threshold.keep")
        assert found.points == 8
        tune = AGREEMENT | {"space": {"scorer.noise": [0.0, 1.0], "threshold.keep": [0.1, 0.2]}}
        found = search(source, tmp_path / "b", tune=tune)
        assert found.left_out == ("threshold.keep",)
        assert found.points == 2

    def test_more_noise_means_less_agreement(self, source, tmp_path):
        tune = AGREEMENT | {"space": {"scorer.noise": [5.0, 0.01, 0.5]}}
        found = search(source, tmp_path / "t", tune=tune, run={"seeds": [0, 1, 2]})
        assert [t.settings["scorer.noise"] for t in found.top] == [0.01, 0.5, 5.0]
        assert len(found.best.each) == 3  # pairs of three seeds
        assert 0.99 < found.best.value <= 1

    def test_scorer_settings_cost_no_training(self, source, tmp_path):
        tune = AGREEMENT | {"space": {"encoder.shift": [0.0, 0.2], "scorer.noise": [0.1, 0.2, 0.3]}}
        search(source, tmp_path / "t", tune=tune)
        assert len(Learner.fits) == 4  # two encoder settings with two seeds, for six trials

    def test_training_is_reported_and_keeps_checkpoints_by_trial(self, source, tmp_path):
        search(source, tmp_path / "t", tune={"trials": 2})
        lines = [line for line in tunable.log_lines(tmp_path / "t") if "event" in line]
        assert [line["trial"] for line in lines] == [0, 0, 1, 1]
        assert [p.name for p in Learner.checkpoints] == ["0-0", "0-1", "1-0", "1-1"]


class TestHonesty:
    def test_the_test_part_is_never_read(self, source, tmp_path):
        lines = source.read_text().splitlines()
        cut = len(lines) - 40  # all of them in the test part
        spoilt = [*lines[:cut], *(x.replace(",10.0.0.", ",10.9.9.") for x in lines[cut:])]
        spoilt[cut:] = [x.replace("benign", "scan") for x in spoilt[cut:]]
        assert spoilt != lines
        other = tmp_path / "a.csv"
        other.write_text("\n".join(spoilt) + "\n")
        tune = LABELLED | {"space": {"encoder.shift": [0.0, 0.4], "scorer.noise": [0.1, 3.0]}}
        search(source, tmp_path / "x", tune=tune)
        search(other, tmp_path / "y", tune=tune)
        assert settled(tmp_path / "x") == settled(tmp_path / "y")

    @pytest.mark.parametrize("objective", ["validation-loss", "seed-agreement"])
    def test_label_free_objectives_read_no_label(self, source, tmp_path, objective):
        rng = np.random.default_rng(5)
        lines = source.read_text().splitlines()
        spoilt = [line.rpartition(",")[0] + rng.choice([",scan", ",benign"]) for line in lines[1:]]
        other = tmp_path / "a.csv"
        other.write_text("\n".join([lines[0], *spoilt]) + "\n")
        tune = {"objective": objective, "space": {"encoder.noise": [0.0, 1.0]}}
        search(source, tmp_path / "x", tune=tune)
        search(other, tmp_path / "y", tune=tune)
        assert settled(tmp_path / "x") == settled(tmp_path / "y")

    def test_trials_work_on_windows_without_flows_or_labels(self, source, tmp_path):
        Learner.stop_after = 0
        with pytest.raises(KeyboardInterrupt):
            search(source, tmp_path / "t")
        material = tmp_path / "t.partial" / "work" / "material"
        kept = sorted(p.name for p in material.iterdir())
        assert kept == ["material.json", "windows-calibrate", "windows-train"]

    def test_a_trial_scores_what_a_run_with_its_settings_scores(self, source, tmp_path):
        tune = LABELLED | {"space": {"encoder.noise": [1.0], "scorer.noise": [0.5]}}
        found = search(source, tmp_path / "t", tune=tune)
        again = load_experiment(tmp_path / "t" / "best.toml")
        plugins = tunable.load()
        assembly = assemble(again, plugins, base=tmp_path)
        prepared = prepare(again, assembly, plugins, work=tmp_path / "w", phases=Phases())
        values = []
        for seed in again.run.seeds:
            own = run_seed(prepared, seed, Phases()).runs[0]
            calibration = prepared.calibration(own.calibrate, supervised=True)
            values.append(auprc(Ranking.of(own.calibrate, calibration.is_attack)).value)
        assert found.best.each == pytest.approx(values, rel=1e-12)
        assert (prepared.truth.state == ATTACK).any()

    def test_settings_that_change_the_windows_fail_their_trial(self, source, tmp_path):
        tune = {"space": {"encoder.preset": ["noisy"], "encoder.shift": [0.0]}}
        with pytest.raises(RunError, match="change how data is prepared"):
            search(source, tmp_path / "t", tune=tune, graph={"builder": "flow-host"})


class TestBest:
    def test_it_runs_as_it_is_and_its_receipt_says_how_it_was_tuned(self, source, tmp_path):
        search(source, tmp_path / "t", evaluate={"baselines": [], "resamples": 5})
        written = tomllib.loads((tmp_path / "t" / "best.toml").read_text("utf-8"))
        assert written["encoder"] == {"name": "learner", "shift": 0.4, "noise": 0.0}
        assert written["tuned"] == {
            "objective": "validation-loss",
            "trials": 8,
            "value": pytest.approx(0.0005),
            "space": "published",
        }
        assert "tune" not in written
        assert "split" in written
        assert "alerts" not in written  # what the file did not say stays unsaid
        receipt = self._run(tmp_path)
        assert not receipt.labels.tuning
        lines = dict(receipt_lines(receipt))
        assert "validation-loss" in lines["settings chosen by"]
        assert (
            "best of 8 trials of space 'published', no labels read" in lines["settings chosen by"]
        )

    def test_labels_read_by_the_search_are_declared(self, source, tmp_path):
        tune = LABELLED | {"space": {"scorer.noise": [0.1, 3.0]}}
        found = search(
            source, tmp_path / "t", tune=tune, evaluate={"baselines": [], "resamples": 5}
        )
        assert found.reads_labels
        assert found.best.settings == {"scorer.noise": 0.1}
        receipt = self._run(tmp_path)
        assert receipt.labels.tuning
        lines = dict(receipt_lines(receipt))
        assert "LABELS of the calibration part read" in lines["settings chosen by"]
        assert "space 'scorer.noise'" in lines["settings chosen by"]

    def test_a_receipt_without_a_search_says_nothing_of_one(self, source, tmp_path):
        plain = tunable.experiment(source, evaluate={"baselines": [], "resamples": 5})
        receipt = runner.run(
            plain, tunable.load(), base=tmp_path, out=tmp_path / "run", phases=Phases()
        )
        assert not receipt.labels.tuning
        assert "settings chosen by" not in dict(receipt_lines(receipt))

    def test_its_paths_do_not_depend_on_its_folder(self, source, tmp_path):
        folder = tmp_path / "there"
        folder.mkdir()
        flows = fakes.write_csv(folder / "b.csv", fakes.traffic(300))
        truth = "".join(f"{i},{'scan' if i % 7 == 0 else 'benign'}\n" for i in range(300))
        (folder / "truth.txt").write_text(truth, "utf-8")
        listed = {"labeller": "listed", "truth": "truth.txt"}
        search(flows, tmp_path / "deep" / "t", labels=listed, tune={"trials": 1})
        again = load_experiment(tmp_path / "deep" / "t" / "best.toml")
        assert again.flows.source == flows
        assert again.labels.options["truth"] == str(folder / "truth.txt")

    def test_a_tuned_file_is_not_tuned_again(self, source, tmp_path):
        search(source, tmp_path / "t", tune={"trials": 1})
        again = load_experiment(tmp_path / "t" / "best.toml")
        tuned = {"tuned": again.tuned.model_dump()}
        with pytest.raises(ConfigError, match="themselves chosen by a search"):
            search(source, tmp_path / "u", **tuned)

    @staticmethod
    def _run(folder):
        best = folder / "t" / "best.toml"
        return runner.run(
            load_experiment(best),
            tunable.load(),
            base=best.parent,
            out=folder / "run",
            phases=Phases(),
        )


class TestResume:
    @pytest.mark.parametrize(
        "tune",
        [
            {},
            AGREEMENT | {"space": "wide", "trials": 8},
            {
                "space": {"encoder.shift": {"low": 0.0, "high": 1.0}, "encoder.noise": [0.0, 1.0]},
                "sampler": "tpe",
                "trials": 14,
            },
            {"space": {"encoder.shift": {"low": 0, "high": 9}}, "sampler": "random", "trials": 5},
        ],
        ids=["grid", "agreement", "tpe", "random"],
    )
    def test_interrupted_and_resumed_is_uninterrupted(self, source, tmp_path, tune):
        whole = search(source, tmp_path / "whole", tune=tune)
        Learner.fits.clear()
        for stop_after in (3, 4):  # in the middle of a trial, and once more in the same one
            Learner.stop_after = stop_after
            with pytest.raises(KeyboardInterrupt):
                search(source, tmp_path / "t", tune=tune, resume=stop_after > 3)
            assert not (tmp_path / "t").exists()
        Learner.stop_after = None
        resumed = search(source, tmp_path / "t", tune=tune, resume=True)
        assert settled(tmp_path / "t") == settled(tmp_path / "whole")
        assert resumed.best == whole.best
        assert (resumed.trials, resumed.failed) == (whole.trials, whole.failed)

    def test_what_is_done_is_not_done_again(self, source, tmp_path):
        Learner.stop_after = 5  # two trials with two seeds each are finished, and one seed more
        with pytest.raises(KeyboardInterrupt):
            search(source, tmp_path / "t")
        Learner.stop_after = None
        phases = Phases()
        search(source, tmp_path / "t", resume=True, phases=phases)
        assert len(Learner.fits) == 16  # eight points with two seeds
        assert "read" not in phases.seconds  # the flows were prepared in the first attempt

    def test_an_unfinished_search_is_not_overwritten(self, source, tmp_path):
        Learner.stop_after = 1
        with pytest.raises(KeyboardInterrupt):
            search(source, tmp_path / "t")
        with pytest.raises(RunError, match="unfinished"):
            search(source, tmp_path / "t")
        with pytest.raises(RunError, match="differs in: tune"):
            search(source, tmp_path / "t", resume=True, tune={"trials": 2})

    def test_a_finished_search_stays(self, source, tmp_path):
        search(source, tmp_path / "t", tune={"trials": 1})
        with pytest.raises(RunError, match="finished"):
            search(source, tmp_path / "t")
