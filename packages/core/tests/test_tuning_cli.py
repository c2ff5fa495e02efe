"""`netvigil tune` as a person or a script calls it."""

from __future__ import annotations

import importlib.metadata
import json

import pytest
import tomli_w

from netvigil import builtins
from netvigil.cli import main
from netvigil.cli.tune import TrialBars

from . import fakes, tunable
from .test_plugins import Entry

pytest.importorskip("optuna")


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Call the command line in a folder with an experiment file and its source."""
    real = importlib.metadata.entry_points
    own = [builtins, fakes, tunable.TunablePlugin()]
    entries = [Entry(f"own-{i}", plugin, "netvigil") for i, plugin in enumerate(own)]

    def entry_points(**chosen):
        return list(entries) if chosen.get("group") == "netvigil" else real(**chosen)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.chdir(tmp_path)
    fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))
    values = fakes.settings("a.csv", encoder={"name": "learner"}, scorer={"name": "jitter"})
    (tmp_path / "e.toml").write_text(tomli_w.dumps(values), "utf-8")

    def run_command(*args):
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run_command


def test_the_best_ten_and_what_was_read_are_printed(call, tmp_path):
    code, out, err = call("tune", "e.toml", "--space", "wide", "--out", "t")
    assert (code, err) == (0, "")
    assert "Best of 8 trials by validation-loss (minimize)" in out
    assert "encoder.shift" in out
    assert "labels read  none" in out
    assert "test part    not read" in out
    assert "scorer.noise, threshold.keep: this objective cannot judge them" in out
    assert "Next: netvigil run t/best.toml" in out
    assert call("run", "t/best.toml", "--out", "r")[0] == 0


def test_options_go_before_the_file(call, tmp_path):
    options = ("--trials", 3, "--objective", "validation-auprc", "--set", "run.seeds=[5]")
    code, out, _ = call("tune", "e.toml", *options, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["folder"] == "netvigil-runs/e-tuned"
    assert told["tuning"]["objective"] == "validation-auprc"
    assert told["tuning"]["reads_labels"]
    assert told["tuning"]["trials"] == 3
    assert told["tuning"]["seeds"] == [5]
    assert told["tuning"]["best"]["sd"] is None


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--space", "wid"), 2, "Did you mean 'wide'?"),
        (("--objective", "test-auprc"), 2, "validation-auprc"),
        (("--set", "tune.sampler=best"), 2, "tune.sampler"),
        (("--resume",), 1, "no unfinished run"),
        (("--jobs", 0), 2, "--jobs"),
        (("--set", "encoder.breaks=true"), 1, "All 8 trials failed"),
    ],
)
def test_mistakes(call, options, code, words):
    found, out, err = call("tune", "e.toml", *options)
    assert found == code
    assert words in err
    assert "Traceback" not in out + err


def test_failed_trials_are_counted(call):
    space = '{"encoder.breaks" = [true, false]}'
    code, out, _ = call("tune", "e.toml", "--set", f"tune.space={space}", "--out", "t")
    assert code == 0
    assert "1 trials, the first: The loss is not finite." in out


def test_bars_show_trials_and_flows(capsys):
    bars = TrialBars()
    for name in ("read", "trials"):
        with bars.phase(name, 2) as advance:
            advance(2)
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "flows" in shown
