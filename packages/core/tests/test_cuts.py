"""A cut that moves: the same in a run and in detection, per flow in every table and count."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netvigil import hookimpl, parts, runner
from netvigil.contracts import LabelTable
from netvigil.cuts import at, cut_range, follow
from netvigil.errors import ContractError
from netvigil.evaluation import Confusion, MethodScores, evaluate
from netvigil.evidence import FOLDER, Evidence
from netvigil.explaining.explain import Request, explain
from netvigil.outputs import ScoreFile, read_scores
from netvigil.phases import Phases
from netvigil.seeds import MethodRun, SeedResults
from netvigil.store import FlowStore

from . import fakes

MINUTE_US = 60_000_000


class Tide(fakes.Quantile):
    """Adds to its cut a hundredth of the mean score of the minute before."""

    def follow(self):
        return Ebb(self.cut_)


class Ebb:
    def __init__(self, cut):
        self.first, self.added, self.minute, self.scores = cut, 0.0, None, []

    def cuts(self, start_us, score):
        found = []
        for when, value in zip(start_us, score, strict=True):
            if when // MINUTE_US != self.minute:
                self.added = 0.01 * float(np.mean(self.scores)) if self.scores else 0.0
                self.minute, self.scores = when // MINUTE_US, []
            found.append(self.first + self.added)
            self.scores.append(value)
        return np.array(found)


class TidePlugin:
    @hookimpl
    def netvigil_thresholds(self):
        yield parts.Threshold(name="tide", summary="Moves.", config=fakes.QuantileConfig, make=Tide)


PLUGINS = fakes.plugins(TidePlugin())


class Standing:
    cut_ = 2.5


def test_a_cut_that_stands_still_is_one_number():
    cut_of = follow(Standing())
    assert cut_of(None, np.zeros(3)) == 2.5
    assert cut_range(2.5) is None
    assert at(2.5, slice(0, 1)) == 2.5


def test_cuts_of_some_flows_and_their_range():
    cuts = np.array([3.0, 1.0, 2.0])
    assert at(cuts, np.array([2, 0])).tolist() == [2.0, 3.0]
    assert cut_range(cuts) == (1.0, 3.0)
    assert cut_range(cuts[:0]) is None


@pytest.mark.parametrize("wrong", [np.zeros(2), np.full(3, np.inf), np.zeros((3, 1))])
def test_cuts_that_are_not_one_per_flow_are_refused(wrong):
    class Wrong(Standing):
        def follow(self):
            return self

        def cuts(self, start_us, score):
            del start_us, score
            return wrong

    with pytest.raises(ContractError, match="moving cut"):
        follow(Wrong())(None, np.zeros(3))


def test_decisions_follow_each_flows_own_cut_by_hand():
    ids = np.arange(4)
    attack = np.array([False, True, True, False])
    score, cuts = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 2.0, 2.5, 4.5])
    # Alerts: the first flow and the third; a score at its cut is none.
    assert Confusion.at(score, attack, cuts) == Confusion(1, 1, 1, 1)
    labels = LabelTable.of(ids[1:], attack[1:], pa.array(["scan", "flood", ""]))
    run = MethodScores(method="m", score=score, cut=cuts)
    found = evaluate(
        flow_id=ids, labels=labels, runs=[run], start_us=ids * 3_600 * 10**6, resamples=1
    )
    (method,) = found.headline.methods
    assert method.cuts == (0.5,)
    assert method.moved == ((0.5, 4.5),)
    assert {each.attack: each.recall.mean for each in method.attacks} == {"flood": 1, "scan": 0}
    # The alert on the flow without a label counts for the operator alone.
    assert method.metrics["precision"].mean == 1.0
    assert method.metrics["alerts_per_hour"].mean == pytest.approx(2 / 3)
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_cuts_of_another_length_or_no_numbers_are_refused():
    labels = LabelTable.of(np.arange(3), np.arange(3) > 1, pa.array(["", "", "scan"]))
    short = MethodScores(method="m", score=np.zeros(3), cut=np.zeros(2))
    with pytest.raises(ContractError, match="cut of m"):
        evaluate(flow_id=np.arange(3), labels=labels, runs=[short], resamples=1)
    with pytest.raises(ContractError, match="not a number"):
        MethodScores(method="m", score=np.zeros(2), cut=np.array([1.0, np.nan]))


def test_a_score_file_has_a_column_of_cuts(tmp_path):
    table = fakes_table(6)
    with ScoreFile(tmp_path / "s.parquet", cut=1.0, bundle="b", moving=True) as file:
        for rows in (slice(0, 2), slice(2, 6)):
            file.add(table(rows), cuts=np.arange(6.0)[rows] / 2)
    assert file.range == (0.0, 2.5)
    found, cuts = read_scores(tmp_path / "s.parquet")
    assert cuts.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    raw = pq.read_table(tmp_path / "s.parquet")
    assert raw["alert"].to_pylist() == (found.score > cuts).tolist()


def fakes_table(flows):
    from netvigil.contracts import ScoreTable

    ids = np.arange(flows)
    return lambda rows: ScoreTable(ids[rows], np.sqrt(ids[rows]), ids[rows])


def test_cuts_survive_a_seeds_file(tmp_path):
    shared = {"kind": "also", "calibrate": np.zeros(1), "test": np.ones(2), "cut": 0.5}
    shared |= {"provenance": "", "seeded": True, "fit_s": None, "score_s": 0.1}
    moving = MethodRun(method="a", cuts=np.array([0.5, 0.7]), **shared)
    SeedResults(0, (moving, MethodRun(method="b", **shared))).save(tmp_path / "0.npz")
    first, second = SeedResults.load(tmp_path / "0.npz").runs
    assert first.test_cuts.tolist() == [0.5, 0.7]
    assert second.test_cuts == 0.5


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving")
    source = fakes.write_csv(folder / "a.csv", fakes.traffic())
    experiment = fakes.experiment(source, threshold={"name": "tide", "keep": 0.1})
    receipt = runner.run(experiment, PLUGINS, base=folder, out=folder / "run", phases=Phases())
    return folder, source, receipt


def alerts_of(folder):
    return [json.loads(line) for line in (folder / "alerts.jsonl").read_text("utf-8").splitlines()]


def test_a_run_writes_each_flows_cut(done):
    folder, _, receipt = done
    scores, cuts = read_scores(folder / "run" / "scores.parquet")
    assert len(np.unique(cuts)) > 2
    alerts = alerts_of(folder / "run")
    above = scores.score > cuts
    assert [alert["flow_id"] for alert in alerts] == scores.flow_id[above].tolist()
    assert [alert["cut"] for alert in alerts] == cuts[above].tolist()
    own = next(m for m in receipt.evaluation.headline.methods if m.kind == "method")
    assert own.moved[0] == (cuts.min(), cuts.max())
    counts = own.confusions[0]
    assert counts.true_positives + counts.false_positives == above.sum()


def test_the_evidence_has_each_bins_cut(done):
    folder, _, _ = done
    scores, cuts = read_scores(folder / "run" / "scores.parquet")
    evidence = Evidence.load(folder / "run" / FOLDER)
    assert evidence.facts.moved == (cuts.min(), cuts.max())
    assert evidence.facts.alerts == (scores.score > cuts).sum()
    timeline = evidence.timeline.to_pandas()
    test = timeline[timeline["part"] == "test"]
    assert test["alerts"].sum() == evidence.facts.alerts
    assert set(test["cut"]) <= set(cuts)
    assert timeline[timeline["part"] == "calibrate"]["cut"].nunique() == 1


def test_detection_moves_the_cut_in_batches_as_one_pass_would(done, tmp_path, monkeypatch):
    folder, source, _ = done
    monkeypatch.setattr(FlowStore.select, "__kwdefaults__", {"columns": None, "rows": 37})
    found = runner.detect(
        folder / "run" / "bundle", source, PLUGINS, out=tmp_path / "out", phases=Phases()
    )
    scores, cuts = read_scores(tmp_path / "out" / "scores.parquet")
    start = np.array(fakes.traffic()["start_us"])
    expected = Ebb(found.cut).cuts(start, scores.score)
    assert cuts.tolist() == expected.tolist()
    assert found.moved == (cuts.min(), cuts.max())
    assert found.alerts == (scores.score > cuts).sum() == len(alerts_of(tmp_path / "out"))


def test_a_bundle_and_a_run_explain_what_lies_above_its_own_cut(done):
    folder, source, _ = done
    alerts = {alert["flow_id"] for alert in alerts_of(folder / "run")}
    found = explain(folder / "run", PLUGINS, Request(top=len(alerts) + 9))
    assert {flow.flow_id for flow in found.flows} == alerts
    assert all(flow.alert for flow in found.flows)
    scores, cuts = read_scores(folder / "run" / "scores.parquet")
    below = int(scores.flow_id[np.argmax(np.where(scores.score > cuts, -np.inf, scores.score))])
    again = explain(folder / "run", PLUGINS, Request(flows=(below,)))
    assert [flow.alert for flow in again.flows] == [False]
    bundled = explain(folder / "run" / "bundle", PLUGINS, Request(top=3), sources=(source,))
    assert len(bundled.flows) == 3
    assert bundled.cut == found.cut


def test_evaluate_reads_the_cuts_of_a_score_file(done):
    folder, _, receipt = done
    table, cuts = read_scores(folder / "run" / "scores.parquet")
    own = next(m for m in receipt.evaluation.headline.methods if m.kind == "method")
    run = MethodScores(method="again", score=table.score, cut=cuts)
    assert run.forget().cut == own.cuts[0]
