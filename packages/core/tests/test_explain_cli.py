"""`netvigil explain` as a person or a script calls it."""

from __future__ import annotations

import importlib.metadata
import json
import shutil

import pytest

from netvigil import builtins
from netvigil.cli import main
from netvigil.explaining.results import Explanations

from . import fakes, finished
from .test_plugins import Entry

HOSTILE = "\x1b]0;owned\x07[bold red]scan\u202e\r"
"""A terminal command, markup of our own printer, a right-to-left override, a carriage return."""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run of traffic whose attacker has a hostile name; tests copy it."""
    rows = finished.changed(fakes.traffic(300), src=lambda v: HOSTILE if v[:3] == "203" else v)
    return finished.run(tmp_path_factory.mktemp("done"), rows)


@pytest.fixture
def run(done, tmp_path):
    """A copy of the run beside its source, with the plugins of the command line being ours."""
    shutil.copy(done.parent / "a.csv", tmp_path)
    return shutil.copytree(done, tmp_path / "run")


@pytest.fixture
def call(capsys, monkeypatch):
    real = importlib.metadata.entry_points
    entries = [Entry(f"own-{i}", plugin, "netvigil") for i, plugin in enumerate((builtins, fakes))]

    def entry_points(**chosen):
        return list(entries) if chosen.get("group") == "netvigil" else real(**chosen)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    def run_command(*args):
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return stopped.value.code, out, err

    return run_command


def test_alerts_are_explained_in_words_and_kept_beside_the_run(call, run):
    code, out, err = call("explain", run, "--top", 2)
    assert (code, err) == (0, "")
    assert "1. " in out
    assert "2. " in out
    assert "3. " not in out
    assert "(alert)" in out
    assert "Features (permutation)" in out
    assert "usually" in out
    assert "Flows around it (occlusion)" in out
    assert "nothing raises the score" in out
    assert "Over all, mean absolute amount by permutation: x_a" in out
    assert f"Written: {run / 'explanations.json'}" in out
    assert f"Next: netvigil report {run}" in out
    kept = Explanations.load(run / "explanations.json")
    assert len(kept.flows) == 2
    assert not [path.name for path in run.iterdir() if "partial" in path.name]


def test_text_from_traffic_is_only_text(call, run):
    _, out, _ = call("explain", run, "--top", 3)
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(out)
    assert "\\x1b]0;owned\\x07[bold red]scan" in out.replace("\n", "").replace("\u2502 \u2502", "")


def test_a_machine_gets_the_document(call, run, tmp_path):
    target = tmp_path / "kept" / "why.json"
    code, out, _ = call("explain", run, "--top", 1, "--json", "--out", target)
    assert code == 0
    assert json.loads(out) == json.loads(target.read_text())
    assert not (run / "explanations.json").exists()


def test_explainers_and_their_settings_are_chosen(call, run):
    code, out, _ = call(
        "explain", run, "--top", 1, "--explainer", "permutation", "--set", "permutation.rows=7"
    )
    assert code == 0
    assert "occlusion" not in out
    (use,) = Explanations.load(run / "explanations.json").explainers
    assert use.config["rows"] == 7


def test_a_bundle_is_explained_on_a_source_and_nothing_is_written_into_it(call, run, tmp_path):
    before = sorted(p.name for p in (run / "bundle").iterdir())
    code, out, _ = call("explain", run / "bundle", "--source", tmp_path / "a.csv", "--top", 1)
    assert code == 0
    assert "Written" not in out
    assert sorted(p.name for p in (run / "bundle").iterdir()) == before


def test_no_alert_is_said(call, run):
    import pyarrow.parquet as pq

    table = pq.read_table(run / "scores.parquet")
    metadata = table.schema.metadata | {b"netvigil.cut": b"1e9"}
    pq.write_table(table.replace_schema_metadata(metadata), run / "scores.parquet")
    code, out, _ = call("explain", run)
    assert code == 0
    assert "there is nothing to explain" in out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--explainer", "occlusio"], 2, "Did you mean 'occlusion'?"),
        (["--explainer", "reconstruction-shares"], 2, "by feature"),
        (["--flow", "100000"], 2, "were not scored: 100000"),
        (["--source", "absent.csv"], 1, "no such source"),
        (["--set", "occlusion=3"], 2, "no setting of an explainer"),
    ],
)
def test_a_wrong_call_says_what_would_be_right(call, run, args, code, words):
    stopped, _, err = call("explain", run, *args)
    assert stopped == code
    assert words in err
    assert not (run / "explanations.json").exists()


def test_shap_that_is_absent_says_how_to_get_it(call, run, monkeypatch):
    monkeypatch.setattr("netvigil.explaining.shapley.find_spec", lambda _: None)
    code, _, err = call("explain", run, "--explainer", "shap")
    assert code == 2
    assert "pip install 'netvigil[shap]'" in err


def test_a_failure_leaves_the_older_document(call, run, monkeypatch):
    assert call("explain", run, "--top", 1)[0] == 0
    before = (run / "explanations.json").read_bytes()

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("netvigil.explaining.explain.tell", stop)
    assert call("explain", run, "--top", 2)[0] == 1
    assert (run / "explanations.json").read_bytes() == before
