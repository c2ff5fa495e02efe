"""Evidence is kept whole, and refused with the reason where it is not."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netvigil.errors import RunError
from netvigil.evidence import FOLDER, Evidence

from . import fakes, finished


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run with labels; tests only read it."""
    settings = {"evaluate": {"also": ["forest"], "baselines": [], "resamples": 5}}
    return finished.run(tmp_path_factory.mktemp("evidence"), fakes.traffic(), **settings)


def test_a_run_keeps_it_and_it_agrees_with_the_scores(run):
    evidence = Evidence.load(run / FOLDER)
    scores = pq.read_table(run / "scores.parquet").to_pandas()
    facts = evidence.facts
    assert (facts.test_flows, facts.alerts) == (len(scores), int(scores["alert"].sum()))
    assert facts.labelled
    assert facts.clock
    test = evidence.timeline.to_pandas()
    test = test[test["part"] == "test"]
    assert test["flows"].sum() == len(scores)
    assert test["alerts"].sum() == facts.alerts
    assert test["score_max"].max() == scores["score"].max()
    assert evidence.histogram.to_pandas()["flows"].sum() == len(scores)
    assert sum(facts.sample_of.values()) == len(scores)
    assert evidence.alerts.num_rows == facts.alerts
    known = dict(zip(scores["flow_id"], scores["score"], strict=True))
    for alert in evidence.alerts.to_pylist():
        assert alert["score"] == known[alert["flow_id"]]
        assert alert["reasons"]
    drawn = set(evidence.sample["flow_id"].to_pylist())
    assert drawn <= set(known)
    assert {"scan", "flood"} & set(evidence.events["attack"].to_pylist())


def test_every_method_and_rule_has_its_curves(run):
    frame = Evidence.load(run / FOLDER).curves.to_pandas()
    methods = set(frame["method"].astype(str))
    assert any("forest" in name for name in methods)
    assert "pair-rarity" in methods
    assert frame["x"].between(0, 1).all()
    assert frame["y"].between(0, 1).all()


def test_writing_and_reading_keeps_it(run, tmp_path):
    evidence = Evidence.load(run / FOLDER)
    evidence.save(tmp_path)
    again = Evidence.load(tmp_path)
    assert again.facts == evidence.facts
    for (name, table), (_, other) in zip(evidence.tables(), again.tables(), strict=True):
        assert table.equals(other), name


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda f: (f / "facts.json").unlink(), "kept nothing"),
        (lambda f: (f / "edges.parquet").unlink(), "kept nothing"),
        (lambda f: (f / "facts.json").write_text("{}"), "damaged, or of another version"),
        (lambda f: (f / "curves.parquet").write_bytes(b"PAR1"), "damaged, or of another version"),
        (lambda f: pq.write_table(pa.table({"x": [1]}), f / "events.parquet"), "damaged, or of"),
    ],
)
def test_damage_is_named(run, tmp_path, break_it, words):
    Evidence.load(run / FOLDER).save(tmp_path)
    break_it(tmp_path)
    with pytest.raises(RunError, match=words):
        Evidence.load(tmp_path)


def test_other_columns_are_refused(run):
    evidence = Evidence.load(run / FOLDER)
    values = dict(evidence.tables())
    values["events"] = pa.table({"attack": ["scan"]})
    with pytest.raises(RunError, match="events"):
        Evidence(evidence.facts, **values)
