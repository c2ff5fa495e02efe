"""From a run folder, or a bundle, and its source to explanations in words."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netvigil import hookimpl, parts, runner
from netvigil.bundle import load_bundle
from netvigil.contracts import EncodedFlows
from netvigil.errors import (
    BundleError,
    ConfigError,
    IncompatiblePartsError,
    RunError,
    SourceError,
    UnknownPartError,
)
from netvigil.explaining.choose import by_name
from netvigil.explaining.explain import Request, explain
from netvigil.explaining.results import Explanations
from netvigil.outputs import read_scores
from netvigil.phases import Phases
from netvigil.profile import FeatureProfile
from netvigil.protocols import State

from . import fakes, finished


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run beside its source; tests only read it."""
    return finished.run(tmp_path_factory.mktemp("done"), fakes.traffic())


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    """A run of an encoder that tells its error by feature; tests only read it."""
    folder = tmp_path_factory.mktemp("squares")
    return finished.run(folder, fakes.traffic(), encoder={"name": "squares"})


@pytest.fixture(scope="module")
def found(done) -> Explanations:
    return explain(done, fakes.plugins(), Request(top=6))


def moved(done, tmp_path):
    """Return a copy of a run, without its source."""
    return shutil.copytree(done, tmp_path / "elsewhere" / "run")


class TestARun:
    def test_the_highest_alerts_are_explained_in_order(self, done, found):
        scores, cut = read_scores(done / "scores.parquet")
        ranked = np.argsort(-scores.score, kind="stable")[:6]
        assert [flow.flow_id for flow in found.flows] == scores.flow_id[ranked].tolist()
        assert [flow.score for flow in found.flows] == pytest.approx(scores.score[ranked].tolist())
        assert found.cut == cut
        assert all(flow.alert for flow in found.flows)
        assert found.bundle == (done / "bundle" / "manifest.sha256").read_text().strip()
        assert found.sources[0].name == "a.csv"
        assert found.seed == 0

    def test_each_flow_says_when_who_and_how_much(self, done, found):
        alerts = [json.loads(line) for line in (done / "alerts.jsonl").read_text().splitlines()]
        beside = {alert["flow_id"]: alert for alert in alerts}
        for flow in found.flows:
            alert = beside[flow.flow_id]
            assert flow.when[:19] == alert["start"][:19]
            assert (flow.src, flow.dst, flow.dst_port) == (
                alert["src_ip"],
                alert["dst_ip"],
                alert["dst_port"],
            )
            assert list(flow.reasons) == alert["reasons"]

    def test_features_and_neighbours_are_explained_by_whoever_fits(self, found):
        assert [(use.name, use.about) for use in found.explainers] == [
            ("permutation", "features"),
            ("occlusion", "neighbours"),
        ]
        for flow in found.flows:
            features, neighbours = flow.told
            assert {part.name for part in features.features} == {
                "x_a",
                "x_b",
                "fwd_packets",
                "fwd_bytes",
                "bwd_packets",
                "bwd_bytes",
                "duration_s",
            }
            # This encoder looks at each flow by itself.
            assert {part.amount for part in neighbours.neighbours} <= {0.0}
            assert neighbours.check is None

    def test_what_the_attacks_differ_in_leads(self, found):
        """Attacks lie apart in x_a, and nowhere else."""
        leading = [flow.told[0].features[0] for flow in found.flows]
        assert [part.name for part in leading].count("x_a") >= 4
        first = next(part for part in leading if part.name == "x_a")
        assert first.words.startswith("x_a is ")
        assert "usually" in first.words
        assert first.deviations > 1
        assert next(iter(found.summary["permutation"])) == "x_a"

    def test_the_summary_is_the_mean_absolute_amount(self, found):
        amounts = [
            abs(part.amount)
            for flow in found.flows
            for part in flow.told[0].features
            if part.name == "x_b"
        ]
        assert found.summary["permutation"]["x_b"] == pytest.approx(np.mean(amounts))

    def test_the_checks_say_that_the_named_features_matter(self, found):
        checks = [flow.told[0].check for flow in found.flows]
        assert np.mean([check.named - check.random for check in checks]) > 0

    def test_twice_gives_the_same_document_which_comes_back(self, done, found, tmp_path):
        assert explain(done, fakes.plugins(), Request(top=6)).to_json() == found.to_json()
        (tmp_path / "e.json").write_text(found.to_json())
        assert Explanations.load(tmp_path / "e.json") == found
        assert Explanations.load(tmp_path / "absent.json") is None

    def test_a_flow_by_its_id_alert_or_not(self, done, found):
        scores, _ = read_scores(done / "scores.parquet")
        low = int(scores.flow_id[np.argmin(scores.score)])
        high = found.flows[2].flow_id
        made = explain(done, fakes.plugins(), Request(flows=(low, high)))
        assert [flow.flow_id for flow in made.flows] == [high, low]
        assert [flow.alert for flow in made.flows] == [True, False]
        assert made.flows[0].told[0].features == found.flows[2].told[0].features

    def test_progress_counts_every_flow(self, done):
        phases = Phases()
        explain(done, fakes.plugins(), Request(top=4), phases=phases)
        assert phases.flows["explain"] == 4


class TestGraphMethods:
    def test_the_flows_that_raise_a_score_are_named(self, tmp_path):
        """One host sends forty flows within a window; its score is that count."""
        rows = fakes.traffic(400, seed=1)
        last = fakes.EPOCH_US + 3_590_000_000
        for k in range(40):
            place = 399 - k
            rows["start_us"][place] = rows["end_us"][place] = last + k * 1000
            rows["src"][place], rows["dst"][place] = "203.0.113.9", f"10.0.0.{1 + k % 8}"
            rows["dport"][place] = 1000 + k
        run = finished.run(tmp_path, rows, encoder={"name": "crowded"}, scorer={"name": "terms"})
        found = explain(run, fakes.plugins(), Request(top=1, explainers=("occlusion",)))
        (flow,) = found.flows
        assert flow.src == "203.0.113.9"
        (told,) = flow.told
        first = told.neighbours[0]
        assert first.kind == "host"
        assert first.amount == flow.score - 1 == first.flows
        assert f"{first.flows} other flows of 203.0.113.9, with 8 hosts" in first.words
        assert f"TCP to {first.flows} ports" in first.words
        assert told.check.named == told.check.things > 0


class TestFeatureErrors:
    def test_exact_shares_are_preferred(self, squares):
        found = explain(squares, fakes.plugins(), Request(top=3))
        assert [use.name for use in found.explainers] == ["reconstruction-shares", "occlusion"]
        pipeline, _ = load_bundle(squares / "bundle", fakes.plugins())
        for flow in found.flows:
            told = flow.told[0]
            assert told.unit == "reconstruction error"
            by_name = {part.name: part for part in told.features}
            part = by_name["x_a"]
            z = part.deviations  # the profile measures as the encoder does, but for its shift
            assert part.amount == pytest.approx(z**2, rel=0.1, abs=0.05)
        assert pipeline.profile.groups()["x_a"] == (pipeline.profile.names.index("x_a"),)

    def test_alerts_name_the_features_of_the_largest_error(self, squares):
        alerts = [json.loads(line) for line in (squares / "alerts.jsonl").read_text().splitlines()]
        said = [reason for alert in alerts for reason in alert["reasons"]]
        assert any("% of the error: x_a is" in reason for reason in said)
        evidence = pq.read_table(squares / "evidence" / "alerts.parquet").to_pylist()
        assert {row["flow_id"]: row["reasons"] for row in evidence} == {
            alert["flow_id"]: alert["reasons"] for alert in alerts
        }

    def test_detect_gives_the_same_reasons(self, squares, tmp_path):
        source = squares.parent / "a.csv"
        runner.detect(
            squares / "bundle", source, fakes.plugins(), out=tmp_path / "d", phases=Phases()
        )
        theirs, ours = (
            (folder / "alerts.jsonl").read_text().splitlines()
            for folder in (squares, tmp_path / "d")
        )
        assert ours[-len(theirs) :] == theirs


class Steep:
    """A classifier that is the surer of an attack the larger `x_a` is; learns its scale."""

    def __init__(self, config):
        self.scale_ = None

    def fit(self, windows, labels, *, seed):
        self.scale_ = float(max(graphs.flow_x.std() for graphs in windows))
        return self

    def classify(self, windows):
        x = windows.flow_x[:, windows.feature_names.index("x_a")]
        attack = (1 / (1 + np.exp(-2 * (x / self.scale_ - 1)))).astype(np.float32)
        starts = np.repeat(windows.window_start, np.diff(windows.flow_ptr))
        terms = {"benign": 1 - attack, "attack": attack}
        return EncodedFlows(windows.flow_id, starts, terms=terms)

    def get_state(self):
        return State(values={"scale": self.scale_})

    def set_state(self, state):
        self.scale_ = state.values["scale"]
        return self


class Supervised:
    """A plugin with the classifier above."""

    @hookimpl
    def netvigil_classifiers(self):
        yield parts.Classifier(name="steep", summary="Steep.", make=Steep, seeded=False)


def test_a_classifier_is_explained_and_its_verdict_stays_a_reason(tmp_path):
    source = fakes.write_csv(tmp_path / "a.csv", fakes.traffic(400))
    plugins = fakes.plugins(Supervised())
    experiment = fakes.experiment(
        source,
        classifier={"name": "steep"},
        encoder=None,
        scorer=None,
        evaluate={"baselines": [], "resamples": 5},
    )
    run = tmp_path / "run"
    runner.run(experiment, plugins, base=tmp_path, out=run, phases=Phases())
    found = explain(run, plugins, Request(top=2, explainers=("permutation",)))
    assert found.method == "steep"
    alerts = [json.loads(line) for line in (run / "alerts.jsonl").read_text().splitlines()]
    beside = {alert["flow_id"]: alert["reasons"] for alert in alerts}
    for flow in found.flows:
        assert list(flow.reasons) == beside[flow.flow_id]
        assert flow.reasons[0].startswith("classified as attack")
        assert flow.told[0].features[0].name == "x_a"


class TestATestSource:
    @pytest.fixture
    def run(self, tmp_path):
        fakes.write_csv(tmp_path / "b.csv", fakes.traffic(300, seed=7))
        return finished.run(
            tmp_path,
            fakes.traffic(),
            flows={"source": str(tmp_path / "a.csv"), "test_source": str(tmp_path / "b.csv")},
            split={"protocol": "time", "calibrate": 0.3},
        )

    def test_both_sources_are_found_and_the_tested_flows_explained(self, run):
        found = explain(run, fakes.plugins(), Request(top=3))
        assert [use.name for use in found.sources] == ["a.csv", "b.csv"]
        scores, _ = read_scores(run / "scores.parquet")
        assert {flow.flow_id for flow in found.flows} <= set(scores.flow_id.tolist())
        assert min(scores.flow_id) >= 600  # the tested source's ids count on

    def test_sources_that_moved_are_told_apart_by_their_digests(self, run, tmp_path):
        before = explain(run, fakes.plugins(), Request(top=3)).flows
        shutil.move(tmp_path / "a.csv", tmp_path / "one.csv")
        shutil.move(tmp_path / "b.csv", tmp_path / "two.csv")
        given = [tmp_path / "two.csv", tmp_path / "one.csv"]
        assert explain(run, fakes.plugins(), Request(top=3), sources=given).flows == before
        with pytest.raises(SourceError, match=r"'a\.csv' is not to be found"):
            explain(run, fakes.plugins(), Request(), sources=given[:1])


class TestABundle:
    def test_it_scores_the_source_first(self, done, found):
        source = done.parent / "a.csv"
        made = explain(done / "bundle", fakes.plugins(), Request(top=300), sources=[source])
        by_id = {flow.flow_id: flow for flow in made.flows}
        for flow in found.flows:
            theirs = by_id[flow.flow_id]
            assert theirs.score == pytest.approx(flow.score)
            assert theirs.told[0] == flow.told[0]

    def test_it_needs_a_source(self, done):
        two = [done.parent / "a.csv"] * 2
        for given in ([], two):
            with pytest.raises(ConfigError, match="on one source"):
                explain(done / "bundle", fakes.plugins(), Request(), sources=given)


class TestBadInput:
    def test_what_is_neither_run_nor_bundle(self, tmp_path):
        with pytest.raises(ConfigError, match="neither a run folder nor a bundle"):
            explain(tmp_path, fakes.plugins(), Request())

    def test_a_run_without_its_bundle(self, done, tmp_path):
        run = moved(done, tmp_path)
        shutil.rmtree(run / "bundle")
        with pytest.raises(RunError, match="no bundle any more"):
            explain(run, fakes.plugins(), Request())

    def test_a_bundle_that_was_changed(self, done, tmp_path):
        run = moved(done, tmp_path)
        with (run / "bundle" / "profile.safetensors").open("ab") as file:
            file.write(b"x")
        with pytest.raises(BundleError, match="changed after it was written"):
            explain(run, fakes.plugins(), Request())

    def test_a_source_that_moved_is_named_and_found_again(self, done, found, tmp_path):
        run = moved(done, tmp_path)
        with pytest.raises(SourceError, match=r"'a\.csv' is not to be found") as refused:
            explain(run, fakes.plugins(), Request())
        assert "--source" in refused.value.do
        other = shutil.copy(done.parent / "a.csv", tmp_path / "b.csv")
        made = explain(run, fakes.plugins(), Request(top=6), sources=[other])
        assert made.flows == found.flows

    def test_a_source_that_changed(self, done, tmp_path):
        run = moved(done, tmp_path)
        source = tmp_path / "a.csv"
        source.write_text((done.parent / "a.csv").read_text().replace("benign", "benigm", 1))
        with pytest.raises(SourceError, match="not to be found, or was changed"):
            explain(run, fakes.plugins(), Request())
        with pytest.raises(SourceError, match="not the source of the run, or it was changed"):
            explain(run, fakes.plugins(), Request(), sources=[source])

    def test_a_source_that_is_not_there(self, done, tmp_path):
        with pytest.raises(SourceError, match="no such source"):
            explain(done, fakes.plugins(), Request(), sources=[tmp_path / "absent.csv"])

    @pytest.mark.parametrize("flow", [0, 10_000])
    def test_a_flow_without_a_score(self, done, flow):
        """The first flow is a train flow; the other is not in the source at all."""
        with pytest.raises(ConfigError, match=f"were not scored: {flow}"):
            explain(done, fakes.plugins(), Request(flows=(flow,)))

    def test_scores_of_another_bundle(self, done, tmp_path):
        run = moved(done, tmp_path)
        table = pq.read_table(run / "scores.parquet")
        metadata = table.schema.metadata | {b"netvigil.bundle": b"other"}
        pq.write_table(table.replace_schema_metadata(metadata), run / "scores.parquet")
        with pytest.raises(RunError, match="another bundle"):
            explain(run, fakes.plugins(), Request(), sources=[done.parent / "a.csv"])

    def test_scores_that_come_out_differently(self, done, tmp_path):
        run = moved(done, tmp_path)
        table = pq.read_table(run / "scores.parquet")
        higher = pa.array(table["score"].to_numpy() + 1)
        table = table.set_column(2, table.schema.field("score"), higher)
        pq.write_table(table, run / "scores.parquet")
        with pytest.raises(RunError, match="score differently now"):
            explain(run, fakes.plugins(), Request(), sources=[done.parent / "a.csv"])

    def test_a_bundle_of_an_older_version_keeps_no_train_flows(self, done, monkeypatch):
        real = FeatureProfile.from_state

        def older(state):
            old = type(state)(
                {k: v for k, v in state.arrays.items() if k in {"mean", "deviation"}},
                {"names": state.values["names"]},
            )
            return real(old)

        monkeypatch.setattr(FeatureProfile, "from_state", staticmethod(older))
        with pytest.raises(IncompatiblePartsError, match="keeps no train flows"):
            explain(done, fakes.plugins(), Request(explainers=("permutation",)))
        made = explain(done, fakes.plugins(), Request(top=1))
        assert [use.name for use in made.explainers] == ["occlusion"]

    def test_no_alert_is_no_error(self, done, tmp_path):
        run = moved(done, tmp_path)
        table = pq.read_table(run / "scores.parquet")
        metadata = table.schema.metadata | {b"netvigil.cut": b"1e9"}
        pq.write_table(table.replace_schema_metadata(metadata), run / "scores.parquet")
        made = explain(run, fakes.plugins(), Request(), sources=[done.parent / "a.csv"])
        assert made.flows == ()
        assert made.explainers == ()

    def test_a_damaged_document(self, tmp_path):
        (tmp_path / "e.json").write_text('{"flows": 3}')
        with pytest.raises(RunError, match="damaged, or of another version"):
            Explanations.load(tmp_path / "e.json")


class TestChoosing:
    def named(self, *names, settings=()):
        return by_name(names, settings, fakes.plugins(), base=fakes.Path())

    def test_settings_reach_their_explainer(self):
        made = self.named("occlusion", settings=["occlusion.pairs=3"])
        assert made[0].config.pairs == 3

    def test_without_names_all_are_tried_by_rank(self):
        assert [each.name for each in self.named()] == [
            "reconstruction-shares",
            "permutation",
            "shap",
            "occlusion",
        ]

    def test_an_unknown_name(self):
        with pytest.raises(UnknownPartError, match="No explainer is named 'occlusio'") as refused:
            self.named("occlusio")
        assert "Did you mean 'occlusion'?" in refused.value.do

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ("occlusion.pears=3", "pairs"),
            ("occlusion.pairs=0", "greater than or equal to 1"),
            ("permutation.rows=3", "not asked to explain"),
            ("pairs=3", "no setting of an explainer"),
            ("occlusion.pairs", "no setting of an explainer"),
        ],
    )
    def test_a_wrong_setting(self, setting, words):
        with pytest.raises(ConfigError) as refused:
            self.named("occlusion", settings=[setting])
        assert words in str(refused.value)

    def test_an_absent_library_is_said_before_anything_is_read(self, done, monkeypatch):
        monkeypatch.setattr("netvigil.explaining.shapley.find_spec", lambda _: None)
        monkeypatch.setattr(
            "netvigil.explaining.explain.open_sources", lambda *_: pytest.fail("it was read")
        )
        with pytest.raises(IncompatiblePartsError, match="not installed"):
            explain(done, fakes.plugins(), Request(explainers=("shap",)))
