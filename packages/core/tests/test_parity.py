"""What reads labels to make training data needs `run.parity`, and then nothing hides it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from netvigil import hookimpl, parts, runner
from netvigil.bundle import load_bundle
from netvigil.comparison.marks import marks_of
from netvigil.config import load_experiment
from netvigil.contracts import FlowFeatures
from netvigil.errors import ConfigError, ContractError, IncompatiblePartsError, RunError
from netvigil.evaluation.table import receipt_lines
from netvigil.outputs import read_scores
from netvigil.phases import Phases
from netvigil.pipeline import assemble

from . import fakes

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


class BenignMean(fakes.Center):
    """Centres on the flows that labels call benign."""

    seen: list[tuple[int, int]] = []  # noqa: RUF012 - what the tests look at

    def fit(self, features, *, seed):
        raise ContractError("benign-mean needs labels.")

    def fit_labelled(self, features, is_attack, *, seed):
        type(self).seen.append((len(features), int(is_attack.sum())))
        benign = FlowFeatures(features.x[~is_attack], features.names)
        return fakes.Center.fit(self, benign, seed=seed)


class Official:
    @hookimpl
    def netvigil_flow_transforms(self):
        for name, make in (("benign-mean", BenignMean), ("no-labels", fakes.Center)):
            yield parts.FlowTransform(
                name=name,
                summary="Reads labels.",
                config=fakes.CenterConfig,
                make=make,
                supervised=True,
            )

    @hookimpl
    def netvigil_encoders(self):
        yield parts.Encoder(
            name="official",
            summary="Distance in deviations, as published.",
            config=fakes.SigmaConfig,
            make=fakes.Sigma,
            parity={
                "split": {"protocol": "paper-stratified", "train": 0.6, "calibrate": 0.1},
                "features": {"transforms": ["benign-mean"]},
                "encoder": {"epochs": 3},
                "notes": {"encoder.epochs": "three epochs", "text": ["Doubled edges"]},
            },
        )


PARITY = {
    "encoder": {"name": "official"},
    "split": None,
    "features": None,
    "run": {"seeds": [0], "parity": True},
}
ALL = (
    "RANDOM STRATIFIED SPLIT",
    "LABEL-FITTED BENIGN MEAN",
    "THREE EPOCHS",
    "DOUBLED EDGES",
)


def run(source, out, **sections):
    return runner.run(
        fakes.experiment(source, **sections),
        fakes.plugins(Official()),
        base=source.parent,
        out=out,
        phases=Phases(),
    )


@pytest.fixture
def source(tmp_path):
    return fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))


class TestRefused:
    @pytest.mark.parametrize(
        "sections",
        [
            {"split": {"protocol": "paper-stratified"}},
            {"features": {"transforms": ["center", "benign-mean"]}},
            {"features": {"transforms": ["center"], "fit_on": "all"}},
        ],
    )
    def test_without_parity(self, sections, source):
        experiment = fakes.experiment(source, **sections)
        with pytest.raises(ConfigError, match=r"reads labels|they are tested on") as caught:
            assemble(experiment, fakes.plugins(Official()), base=source.parent)
        assert "Set run.parity = true" in str(caught.value)

    @pytest.mark.parametrize("features", [None, {"transforms": ["center"]}])
    def test_without_labels(self, features, source, tmp_path):
        sections = PARITY | {"labels": None, "features": features}
        with pytest.raises(ConfigError, match="nothing labels the flows"):
            run(source, tmp_path / "run", **sections)

    def test_where_the_labels_know_one_class_only(self, source, tmp_path):
        rows = fakes.traffic(300)
        rows["label"] = [text if text == "benign" else "" for text in rows["label"]]
        rows["label"] = ["" for _ in rows["label"][:-1]] + ["benign"]
        plain = fakes.write_csv(source, rows)
        sections = PARITY | {"split": {"protocol": "time", "train": 0.5, "calibrate": 0.2}}
        with pytest.raises(RunError, match="no flow of the train part has one"):
            run(plain, tmp_path / "run", **sections)

    def test_a_supervised_transform_that_cannot_be_taught(self, source, tmp_path):
        sections = PARITY | {"features": {"transforms": ["no-labels"]}}
        with pytest.raises(IncompatiblePartsError, match="has no `fit_labelled`"):
            run(source, tmp_path / "run", **sections)


class TestReceipt:
    def test_it_says_so_in_capitals_everywhere(self, source, tmp_path):
        receipt = run(source, tmp_path / "run", **PARITY)
        assert receipt.parity == ALL
        assert json.loads((tmp_path / "run" / "receipt.json").read_text())["parity"] == list(ALL)
        first, words = receipt_lines(receipt)[0]
        assert first == "PARITY"
        assert words.isupper()
        assert all(note in words for note in ALL)
        assert receipt.split.shuffled
        assert receipt.labels.split
        assert receipt.labels.transforms
        assert receipt.labels.words().startswith("split, transforms, evaluation; not:")
        (snooping,) = [p for p in receipt.pitfalls if p.id == "P3"]
        assert snooping.state == "touched"
        assert all(note in snooping.why for note in ALL)
        assert receipt.config["run"]["parity"]
        assert receipt.config["split"]["protocol"] == "paper-stratified"

    def test_a_choice_that_the_file_took_back_is_not_named(self, source, tmp_path):
        sections = PARITY | {
            "split": {"protocol": "time"},
            "encoder": {"name": "official", "epochs": 1},
        }
        receipt = run(source, tmp_path / "run", **sections)
        assert receipt.parity == ("LABEL-FITTED BENIGN MEAN", "DOUBLED EDGES")
        assert not receipt.split.shuffled
        assert not receipt.labels.split

    def test_the_strict_form_has_no_such_line(self, source, tmp_path):
        receipt = run(source, tmp_path / "run", run={"seeds": [0]})
        assert receipt.parity == ()
        assert "PARITY" not in dict(receipt_lines(receipt))
        assert "split" not in receipt.labels.words()

    def test_the_resolved_config_runs_again_to_the_same_scores(self, source, tmp_path):
        run(source, tmp_path / "run", **PARITY)
        again = load_experiment(tmp_path / "run" / "config.toml", [f"flows.source='{source}'"])
        runner.run(
            again,
            fakes.plugins(Official()),
            base=source.parent,
            out=tmp_path / "again",
            phases=Phases(),
        )
        first, second = (
            read_scores(tmp_path / name / "scores.parquet") for name in ("run", "again")
        )
        assert first[0].score.tobytes() == second[0].score.tobytes()
        assert first[1] == second[1]


class TestOneLeakAlone:
    """An encoder without an official pipeline: the file switches each leak on by name."""

    ONLY = {"run": {"seeds": [0], "parity": True}}  # noqa: RUF012 - read, never written

    def of(self, source, out, **sections):
        return run(source, out, **(self.ONLY | sections))

    def test_none(self, source, tmp_path):
        receipt = self.of(source, tmp_path / "run")
        assert receipt.parity == ("NONE OF THE OFFICIAL CHOICES IS IN FORCE",)
        strict = run(source, tmp_path / "strict", run={"seeds": [0]})
        assert receipt.evaluation.headline == strict.evaluation.headline.model_copy(
            update={"methods": receipt.evaluation.headline.methods}
        )
        first, second = (r.evaluation.headline.methods[-1].metrics for r in (receipt, strict))
        assert first == second

    def test_transforms_fitted_on_all_flows(self, source, tmp_path):
        features = {"transforms": ["center"]}
        leaky = features | {"fit_on": "all"}
        receipt = self.of(source, tmp_path / "all", features=leaky)
        assert receipt.parity == ("TRANSFORMS FITTED ON ALL FLOWS",)
        assert not receipt.labels.transforms
        self.of(source, tmp_path / "train", features=features)
        medians = [
            load_bundle(tmp_path / name / "bundle", fakes.plugins(Official()))[0]
            .transforms[0]
            .get_state()
            .arrays["median"]
            for name in ("all", "train")
        ]
        everything = np.array(fakes.traffic(300)["x_a"], np.float32)
        column = receipt.features.names.index("x_a")
        assert medians[0][column] == pytest.approx(np.median(everything), abs=1e-6)
        assert medians[1][column] != pytest.approx(np.median(everything), abs=1e-6)

    def test_time_as_a_feature(self, source, tmp_path):
        receipt = self.of(
            source,
            tmp_path / "run",
            features={"transforms": ["center"], "allow_shortcuts": ["start"]},
        )
        assert receipt.parity == ("SHORTCUT FEATURES START",)
        assert "start" in receipt.features.names
        pipeline, _ = load_bundle(tmp_path / "run" / "bundle", fakes.plugins(Official()))
        rows = np.array(fakes.traffic(300)["start_us"])
        assert pipeline.contract.origin_us == rows[0]

    def test_duplicates_kept(self, source, tmp_path):
        rows = {name: [*values, *values[-40:]] for name, values in fakes.traffic(300).items()}
        fakes.write_csv(source, rows)
        kept = {**fakes.settings(source)["split"], "duplicates": "count"}
        receipt = self.of(source, tmp_path / "kept", split=kept)
        assert receipt.parity == ("DUPLICATES KEPT",)
        assert (receipt.split.repeats, receipt.split.repeats_across) == (40, 0)
        words = dict(receipt_lines(receipt))["exact repeats"]
        assert words.startswith("40 of 340 flows, kept: 300 differ;")
        dropped = self.of(source, tmp_path / "dropped", split=kept | {"duplicates": "drop"})
        assert dropped.parity == ("NONE OF THE OFFICIAL CHOICES IS IN FORCE",)
        assert dropped.split.parts["repeated"].flows == 40
        flows = {name: part.flows for name, part in receipt.split.parts.items()}
        assert dropped.split.parts["test"].flows == flows["test"] - 40
        assert "left out: 300 differ" in dict(receipt_lines(dropped))["exact repeats"]


class TestBenignCalibration:
    SPLIT = {"protocol": "time", "train": 0.5, "calibrate": 0.2}  # noqa: RUF012 - only read
    CUT = {"name": "quantile", "keep": 0.01}  # noqa: RUF012 - only read

    def of(self, source, out, *, benign):
        train = {"benign_calibration": benign}
        return run(
            source, out, split=self.SPLIT, train=train, threshold=self.CUT, run={"seeds": [0]}
        )

    def test_the_cut_is_set_without_the_attacks_and_the_receipt_says_so(self, source, tmp_path):
        whole = self.of(source, tmp_path / "whole", benign=False)
        calm = self.of(source, tmp_path / "calm", benign=True)
        assert whole.split.parts["calibrate"].attacks > 0
        (before,), (after,) = (
            [m for m in r.evaluation.headline.methods if m.kind == "method"] for r in (whole, calm)
        )
        assert after.metrics["auroc"] == before.metrics["auroc"]
        assert after.cuts[0] < before.cuts[0]
        assert calm.labels.words().startswith("calibration filter, evaluation; not: train filter")
        assert not whole.labels.calibration
        (snooping,) = [p for p in calm.pitfalls if p.id == "P3"]
        assert "attacks were taken out of what the cut was set on" in snooping.why
        assert "F" in marks_of(calm, after)
        assert "F" not in marks_of(whole, before)

    def test_nothing_is_left(self, tmp_path):
        rows = fakes.traffic(300)
        rows["label"][100:260] = ["scan"] * 160
        source = fakes.write_csv(tmp_path / "b.csv", rows)
        with pytest.raises(RunError, match="nothing can set the cut"):
            self.of(source, tmp_path / "run", benign=True)


def test_a_supervised_transform_meets_the_attacks_that_training_leaves_out(source, tmp_path):
    split = {"protocol": "time", "train": 0.5, "calibrate": 0.2}
    BenignMean.seen.clear()
    sections = PARITY | {"split": split, "train": {"drop_attacks": True}}
    receipt = run(source, tmp_path / "run", **sections)
    train = receipt.split.parts["train"]
    assert train.attacks > 0
    assert BenignMean.seen == [(train.flows, train.attacks)]
    assert receipt.train_attack_share == 0


def test_a_supervised_transform_learns_from_known_train_flows_only(tmp_path):
    rows = fakes.traffic(300)
    rows["label"][:40] = [""] * 40
    source = fakes.write_csv(tmp_path / "a.csv", rows)
    split = {"protocol": "time", "train": 0.5, "calibrate": 0.2}
    BenignMean.seen.clear()
    receipt = run(source, tmp_path / "run", **(PARITY | {"split": split}))
    train = receipt.split.parts["train"]
    assert BenignMean.seen == [(train.known, train.attacks)]
    assert train.known == train.flows - 40


def test_a_bundle_at_parity_detects(source, tmp_path):
    run(source, tmp_path / "run", **PARITY)
    found = runner.detect(
        tmp_path / "run" / "bundle",
        source,
        fakes.plugins(Official()),
        out=tmp_path / "out",
        phases=Phases(),
    )
    assert found.flows == 300


def test_the_stratified_split_gives_each_class_its_shares(source, tmp_path):
    receipt = run(source, tmp_path / "run", **PARITY)
    parts_of = receipt.split.parts
    attacks = sum(part.attacks for part in parts_of.values())
    assert parts_of["train"].attacks == pytest.approx(0.6 * attacks, abs=1)
    assert parts_of["train"].flows == pytest.approx(0.6 * 300, abs=2)
    assert np.datetime64(parts_of["train"].last[:19]) > np.datetime64(parts_of["test"].first[:19])
