"""Suites: every combination of what is varied, in order, resumed, and never stopped by one."""

from __future__ import annotations

import errno
import importlib.metadata
import json
from pathlib import Path

import pytest
import tomli_w

from netvigil import builtins, learn, runner
from netvigil.cli import main
from netvigil.comparison import compare, find_runs, to_html, to_rows
from netvigil.errors import ConfigError, RunError, UnknownPartError
from netvigil.phases import Phases
from netvigil.report.axes import sweeps
from netvigil.suite import SuiteNote, is_suite, load_suite, run_suite

from . import fakes
from .test_plugins import Entry

AXES = [
    {
        "axis": "data",
        "values": {"one": {"flows": {"source": "a.csv"}}, "two": {"flows": {"source": "b.csv"}}},
    },
    {
        "axis": "scorer",
        "values": {
            "median": {},
            "forest": {"scorer": {"name": "forest"}, "run": {"seeds": [5]}},
        },
    },
]


@pytest.fixture
def write(tmp_path):
    """Write a suite beside its two sources; `sections` replace the shared ones."""
    for name, seed in (("a", 0), ("b", 1)):
        fakes.write_csv(tmp_path / f"{name}.csv", fakes.traffic(200, seed=seed))

    def write_suite(axes=AXES, mode=None, **sections) -> Path:
        shared = fakes.settings("a.csv", **{"flows": None, "run": {"seeds": [0]}, **sections})
        suite = {"vary": axes} | ({} if mode is None else {"mode": mode})
        path = tmp_path / "suite.toml"
        path.write_text(tomli_w.dumps({**shared, "suite": suite}), "utf-8")
        return path

    return write_suite


def run(path, out, *, only=(), resume=False, said=None):
    return run_suite(
        load_suite(path).only(only),
        fakes.plugins(),
        out=out,
        make_phases=Phases,
        resume=resume,
        say=(said if said is not None else []).append,
    )


def states(outcomes):
    return {outcome.name: outcome.state for outcome in outcomes}


class TestReading:
    def test_the_product_in_the_order_of_the_file(self, write, tmp_path):
        suite = load_suite(write(), ["run.device=cpu"])
        assert [c.name for c in suite.combinations] == [
            "one/median",
            "one/forest",
            "two/median",
            "two/forest",
        ]
        first, second = suite.combinations[:2]
        assert first.at == {"data": "one", "scorer": "median"}
        assert first.experiment.flows.source == tmp_path / "a.csv"
        assert second.experiment.scorer.name == "forest"
        assert second.experiment.run.seeds == (5,)
        assert second.experiment.split.train == 0.5
        assert {c.experiment.run.device for c in suite.combinations} == {"cpu"}

    def test_a_value_takes_another_file_as_its_base(self, write, tmp_path):
        taken = {
            "flows": {"source": "far.csv"},
            "split": {"train": 0.3, "purge_s": 9.0},
            "scorer": {"name": "terms"},
        }
        (tmp_path / "far").mkdir()
        (tmp_path / "far" / "base.toml").write_text(tomli_w.dumps(taken), "utf-8")
        data = {"extends": "far/base.toml", "split": {"calibrate": 0.1}}
        axes = [{"axis": "data", "values": {"far": data}}, AXES[1]]
        made = [c.experiment for c in load_suite(write(axes)).combinations]
        assert {e.flows.source for e in made} == {tmp_path / "far" / "far.csv"}
        # taken over, said by the suite, said by the value
        assert (made[0].split.purge_s, made[0].split.train, made[0].split.calibrate) == (
            9,
            0.5,
            0.1,
        )
        assert [e.scorer.name for e in made] == ["median-distance", "forest"]

    def test_only_some(self, write):
        suite = load_suite(write())

        def names(*only):
            return [c.name for c in suite.only(only).combinations]

        assert names("data=one") == ["one/median", "one/forest"]
        assert names("data=one,scorer=forest") == ["one/forest"]
        assert names("data=one", "scorer = forest") == ["one/forest"]
        assert names("data=one,data=two,scorer=forest") == ["one/forest", "two/forest"]
        assert len(names()) == 4

    @pytest.mark.parametrize(
        ("only", "words"),
        [
            ("data", "Write --only axis=value"),
            ("dat=one", "Did you mean 'data'?"),
            ("data=oen", "Did you mean 'one'?"),
            ("data=xyz", "It has: one, two."),
        ],
    )
    def test_only_what_does_not_exist(self, write, only, words):
        with pytest.raises(ConfigError) as caught:
            load_suite(write()).only([only])
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("axes", "words"),
        [
            ([], "A suite varies something"),
            ([{"axis": "data", "values": {}}], "A suite varies something"),
            ([{"axis": "data"}], "'vary.0.values' is missing"),
            ([{"axis": "d", "valeus": {}, "values": {}}], "Did you mean 'values'?"),
            ([{"axis": "a b", "values": {"x": {}}}], "'a b' cannot be the name of an axis"),
            ([{"axis": "d", "values": {"../x": {}}}], "'../x' cannot be the name of a value"),
            ([{"axis": "d", "values": {"x.partial": {}}}], "'x.partial' cannot be"),
            ([{"axis": "d", "values": {"suite.json": {}}}], "'suite.json' cannot be"),
            ([{"axis": "d", "values": {"x": {}, "X": {}}}], "letter case aside"),
            ([AXES[0], AXES[0]], "Two of the suite's axis names are 'data'"),
            ([AXES[0], {**AXES[0], "axis": "d"}], "The axes data and d name different sources"),
            ([{"axis": "d", "values": {"x": 3}}], "'vary.0.values.x'"),
            ([{"axis": "d", "values": {"x": {"extends": "no.toml"}}}], "does not exist: no.toml"),
        ],
        ids=range(13),
    )
    def test_what_a_suite_cannot_be(self, write, axes, words):
        with pytest.raises(ConfigError) as caught:
            load_suite(write(axes))
        assert words in str(caught.value)
        assert "suite.toml" in str(caught.value)

    def test_a_wrong_combination_is_named(self, write):
        axes = [AXES[0], {"axis": "cut", "values": {"x": {"splt": {}}}}]
        with pytest.raises(ConfigError) as caught:
            load_suite(write(axes))
        assert "suite.toml: one/x" in str(caught.value)
        assert "Did you mean 'split'?" in str(caught.value)

    def test_what_is_a_suite(self, write, tmp_path):
        assert is_suite(write())
        plain = tmp_path / "plain.toml"
        plain.write_text('[flows]\nsource = "a"\n', "utf-8")
        assert not is_suite(plain)


class TestOneAtATime:
    AXES = (
        {**AXES[0], "crossed": True},
        AXES[1],
        {"axis": "keep", "values": {"few": {}, "many": {"threshold": {"keep": 0.4}}}},
    )

    @pytest.fixture
    def path(self, write):
        return write([*self.AXES], mode="one-at-a-time", threshold={"name": "quantile"})

    def test_each_value_alone_with_each_data(self, path):
        suite = load_suite(path)
        assert [c.name for c in suite.combinations] == [
            *("one/base", "one/scorer-forest", "one/keep-many"),
            *("two/base", "two/scorer-forest", "two/keep-many"),
        ]
        assert suite.base == {"scorer": "median", "keep": "few"}
        at = {c.name: c for c in suite.combinations}["two/keep-many"]
        assert dict(at.at) == {"data": "two", "scorer": "median", "keep": "many"}
        assert at.experiment.threshold.options == {"keep": 0.4}
        assert at.experiment.scorer.name == "median-distance"

    def test_only_and_resume_and_the_note(self, path, tmp_path):
        out = tmp_path / "out"
        outcomes = run(path, out, only=["data=one,keep=many"])
        assert states(outcomes) == {"one/keep-many": "finished"}
        outcomes = run(path, out, only=["data=one"], resume=True)
        assert states(outcomes) == {
            "one/base": "finished",
            "one/scorer-forest": "finished",
            "one/keep-many": "found",
        }
        note = SuiteNote.read(out)
        assert list(note.combinations) == ["one/base", "one/scorer-forest", "one/keep-many"]
        assert note.base == {"scorer": "median", "keep": "few"}

    def test_the_comparison_names_what_differs_and_draws_each_axis(self, path, tmp_path):
        out = tmp_path / "out"
        run(path, out)
        found, notes = find_runs([out])
        compared = compare(found, notes=notes)
        lines = [line.name for line in compared.lines() if line.kind == "method"]
        assert lines == [
            "sigma + forest",
            "sigma + median-distance (base)",
            "sigma + median-distance (keep many)",
        ]
        rows = {row["runs"]: row for row in to_rows(compared) if row["kind"] == "method"}
        assert rows["two/keep-many"]["axis_keep"] == "many"
        assert rows["two/keep-many"]["axis_scorer"] == "median"
        rule = next(row for row in to_rows(compared) if row["kind"] == "baseline")
        assert (rule["axis_data"], rule["axis_scorer"]) == ("one", None)
        drawn = sweeps(compared)
        assert [(sweep.axis, sweep.values) for sweep in drawn] == [
            ("scorer", ("median", "forest")),
            ("keep", ("few", "many")),
        ]
        # Of the axis `keep`, the run with another scorer is left out.
        assert [run.name for run in drawn[1].runs] == [
            *("one/base", "one/keep-many", "two/base", "two/keep-many"),
        ]
        assert to_html(compared).count('data-figure="axis-') == 2

    def test_two_combinations_of_one_folder(self, write):
        axes = [
            {"axis": "a", "values": {"x": {}, "b-c": {}}},
            {"axis": "a-b", "values": {"x": {}, "C": {}}},
        ]
        with pytest.raises(ConfigError, match="would have the folder 'a-b-C'"):
            load_suite(write(axes, mode="one-at-a-time", flows={"source": "a.csv"}))

    def test_another_mode(self, write):
        with pytest.raises(ConfigError, match="'mode'"):
            load_suite(write(mode="random"))


class TestRunning:
    def test_each_combination_has_its_run_folder(self, write, tmp_path):
        said = []
        outcomes = run(write(), tmp_path / "out", only=["data=two"], said=said)
        assert states(outcomes) == {"two/median": "finished", "two/forest": "finished"}
        assert said == ["Combination 1 of 2: two/median", "Combination 2 of 2: two/forest"]
        receipt = json.loads((tmp_path / "out/two/forest/receipt.json").read_text("utf-8"))
        assert (receipt["seeds"], receipt["data"][0]["source"]) == ([5], "b.csv")
        note = SuiteNote.read(tmp_path / "out")
        assert list(note.combinations) == ["two/median", "two/forest"]
        assert note.combinations["two/forest"].at == {"data": "two", "scorer": "forest"}

    def test_resuming_runs_what_is_missing_and_keeps_the_order(self, write, tmp_path):
        out = tmp_path / "out"
        run(write(), out, only=["data=two,scorer=forest"])
        before = (out / "two/forest/receipt.json").read_bytes()
        said = []
        outcomes = run(write(), out, resume=True, only=["scorer=forest"], said=said)
        assert states(outcomes) == {"one/forest": "finished", "two/forest": "found"}
        assert said[-1] == "  finished earlier"
        assert (out / "two/forest/receipt.json").read_bytes() == before
        assert list(SuiteNote.read(out).combinations) == ["one/forest", "two/forest"]

    def test_a_killed_run_goes_on(self, write, tmp_path, monkeypatch):
        out, real, asked = tmp_path / "out", runner.judge, []

        def killed(*args, **named):
            raise KeyboardInterrupt

        monkeypatch.setattr(runner, "judge", killed)
        with pytest.raises(KeyboardInterrupt):
            run(write(), out, only=["data=one"])
        assert (out / "one/median.partial/identity.json").exists()
        monkeypatch.setattr(runner, "judge", real)
        seed = learn.run_seed
        monkeypatch.setattr(
            learn, "run_seed", lambda *args, **named: asked.append(1) or seed(*args, **named)
        )
        outcomes = run(write(), out, only=["data=one"], resume=True)
        assert set(states(outcomes).values()) == {"finished"}
        assert len(asked) == 1  # the first one's seed was done before it was killed

    def test_a_finished_run_of_another_experiment_is_not_passed_off(self, write, tmp_path):
        out = tmp_path / "out"
        run(write(), out, only=["data=one,scorer=median"])
        changed = write(threshold={"name": "quantile", "keep": 0.2})
        (outcome,) = run(changed, out, only=["data=one,scorer=median"], resume=True)
        assert outcome.state == "failed"
        assert "differs in: threshold" in outcome.reason

    def test_what_fails_does_not_stop_the_others(self, write, tmp_path):
        (tmp_path / "a.csv").unlink()
        values = {"terms": {"scorer": {"name": "terms"}, "encoder": {"name": "raw"}}, "fits": {}}
        axes = [AXES[0], {"axis": "way", "values": values}]
        said = []
        outcomes = run(write(axes), tmp_path / "out", said=said)
        assert states(outcomes) == {
            "one/terms": "failed",
            "one/fits": "failed",
            "two/terms": "failed",
            "two/fits": "finished",
        }
        assert "needs error terms" in outcomes[0].reason
        assert "no such source" in outcomes[1].reason
        assert sum("failed: " in line for line in said) == 3

    def test_neither_does_a_bug_whose_traceback_is_kept(self, write, tmp_path, monkeypatch):
        real = runner.judge

        def broken(prepared, *args, **named):
            if prepared.experiment.flows.source.name == "a.csv":
                msg = "a bug"
                raise ZeroDivisionError(msg)
            return real(prepared, *args, **named)

        monkeypatch.setattr(runner, "judge", broken)
        out = tmp_path / "out"
        outcomes = run(write(), out, only=["scorer=median"])
        assert states(outcomes) == {"one/median": "failed", "two/median": "finished"}
        assert outcomes[0].reason == "ZeroDivisionError: a bug (see failures.txt)"
        assert "Traceback" in (out / "failures.txt").read_text("utf-8")
        monkeypatch.setattr(runner, "judge", real)
        assert set(states(run(write(), out, only=["scorer=median"], resume=True)).values()) == {
            "finished",
            "found",
        }
        assert not (out / "failures.txt").exists()

    def test_a_full_disk_stops_them_all(self, write, tmp_path, monkeypatch):
        def full(*args, **named):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(runner, "judge", full)
        with pytest.raises(OSError, match="No space"):
            run(write(), tmp_path / "out")

    @pytest.mark.parametrize(
        ("way", "error", "words"),
        [
            ({"scorer": {"name": "forst"}}, UnknownPartError, "forest"),
            ({"scorer": {"powr": 2}}, ConfigError, "Did you mean 'power'?"),
        ],
    )
    def test_a_wrong_name_is_refused_before_anything_runs(self, write, tmp_path, way, error, words):
        axes = [AXES[0], {"axis": "way", "values": {"fits": {}, "wrong": way}}]
        with pytest.raises(error) as caught:
            run(write(axes), tmp_path / "out")
        assert words in str(caught.value)
        assert "one/wrong" in str(caught.value)
        assert not (tmp_path / "out").exists()

    def test_folders_that_are_taken_or_absent(self, write, tmp_path):
        with pytest.raises(RunError, match="no suite to resume"):
            run(write(), tmp_path / "out", resume=True)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("x", "utf-8")
        with pytest.raises(RunError, match="something of that name"):
            run(write(), tmp_path / "out")

    @pytest.mark.parametrize("text", ["", "[]", '{"schema_version": "netvigil.suite/9"}'])
    def test_a_damaged_note(self, write, tmp_path, text):
        run(write(), tmp_path / "out", only=["data=one,scorer=median"])
        (tmp_path / "out" / "suite.json").write_text(text, "utf-8")
        with pytest.raises(RunError, match="note of the suite is damaged"):
            run(write(), tmp_path / "out", resume=True)


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch):
        """Let the command line find core's own parts and the fakes, whatever else is installed."""
        real = importlib.metadata.entry_points
        entries = [Entry("core", builtins, "netvigil"), Entry("fakes", fakes, "netvigil-fakes")]

        def entry_points(**chosen):
            return list(entries) if chosen.get("group") == "netvigil" else real(**chosen)

        monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    @pytest.fixture
    def call(self, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        def run_command(*args: object) -> tuple[int, str, str]:
            with pytest.raises(SystemExit) as stopped:
                main([str(a) for a in args])
            out, err = capsys.readouterr()
            assert "Traceback" not in out + err
            return stopped.value.code, out, err

        return run_command

    def test_a_suite_ends_with_one_comparison(self, call, write, tmp_path):
        code, out, err = call("run", write(), "--out", "s", "--only", "scorer=median")
        assert code == 0, err
        assert "Combination 2 of 2: two/median" in err
        assert "sigma + median-distance" in out
        assert "2 of 2 runs are whole" in out
        for end in ("html", "csv", "md"):
            assert (tmp_path / "s" / f"comparison.{end}").exists()
        code, out, err = call("run", write(), "--out", "s", "--resume", "--json")
        assert (code, err) == (0, "")
        assert [c["state"] for c in json.loads(out)["combinations"]] == [
            *("found", "finished"),
            *("found", "finished"),
        ]
        code, out, _ = call("compare", "s", "--wide", "--markdown")
        assert code == 0
        assert out.splitlines()[0] == "| method | one | two |"
        assert out.count("**sigma + forest**") == 1

    def test_a_failure_is_listed_at_the_end_and_exits_with_1(self, call, write, tmp_path):
        (tmp_path / "b.csv").unlink()
        code, out, err = call("run", write(), "--out", "s", "--only", "scorer=median")
        assert code == 1
        assert "1 of 2 runs are whole" in out
        assert err.splitlines()[-1].startswith("Failed: two/median: There is no such source.")
        code, _, _ = call("run", write(), "--out", "s", "--resume", "--only", "data=two")
        assert code == 1

    def test_calls_that_are_wrong(self, call, write, tmp_path):
        plain = tmp_path / "plain.toml"
        plain.write_text(tomli_w.dumps(fakes.settings("a.csv")), "utf-8")
        for args, words in [
            (("fit", write(), "--out", "x"), "This file is a suite"),
            (("run", plain, "--only", "data=one"), "This file is one experiment"),
            (("run", write(), "--only", "dta=one"), "Did you mean 'data'?"),
            (("run", write(), "--set", "scorrer.name=x"), "Did you mean 'scorer'?"),
            (("compare", "nothing"), "no such run folder"),
            (("compare", tmp_path, "--metrics", "aurok"), "Did you mean 'auroc'?"),
            (("compare", tmp_path, "--sort", "aurok"), "Did you mean 'auroc'?"),
            (("compare", tmp_path, "--json", "--markdown"), "exclude each other"),
            (("compare",), "Missing argument 'RUNS...'"),
        ]:
            code, _, err = call(*args)
            assert (code, words in err) == (2, True), (args, err)

    def test_compare_prints_writes_and_speaks_json(self, call, write, tmp_path):
        call("run", write(), "--out", "s", "--only", "data=one,scorer=forest")
        code, out, _ = call(
            "compare", "s", "--csv", "x/t.csv", "--html", "t.html", "--metrics", "auprc"
        )
        assert code == 0
        assert "AUPRC" in out
        assert "AUROC" not in out
        assert "Written: t.html" in out
        assert "auprc_low" in (tmp_path / "x" / "t.csv").read_text("utf-8").splitlines()[0]
        assert (tmp_path / "t.html").read_text("utf-8").startswith("<!doctype html>")
        code, out, _ = call("compare", "s/one/forest", "--json", "--sort", "auroc")
        values = json.loads(out)
        assert {row["runs"] for row in values["rows"]} == {"forest"}
        assert values["notes"] == []
