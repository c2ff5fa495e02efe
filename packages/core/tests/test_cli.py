"""The command line: exit codes, JSON for machines, words for people, tracebacks for nobody."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import click
import pytest
import tomli_w

from netvigil import builtins
from netvigil import cli as module
from netvigil.cli import COMMANDS, cli, main

from . import fakes
from .test_plugins import Entry, Misspelt

HOSTILE = "\x1b]0;owned\x07[bold red]scan\u202e\r"
"""A terminal command, markup of our own printer, a right-to-left override, a carriage return."""


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Let the command line find core's own parts and the fakes, whatever else is installed."""
    real = importlib.metadata.entry_points
    entries = [Entry("core", builtins, "netvigil"), Entry("fakes", fakes, "netvigil-fakes")]

    def entry_points(**chosen):
        return list(entries) if chosen.get("group") == "netvigil" else real(**chosen)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    return entries


@pytest.fixture
def call(capsys):
    def run_command(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return stopped.value.code, out, err

    return run_command


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An experiment file beside its source, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))
    values = fakes.settings("a.csv")
    (tmp_path / "e.toml").write_text(tomli_w.dumps(values), "utf-8")
    return tmp_path


def every_command(group=cli, path=()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = [path]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
        else:
            found.append((*path, name))
    return found


class TestHelp:
    @pytest.mark.parametrize("path", every_command(), ids=" ".join)
    def test_every_command_has_help_with_an_example(self, call, path):
        for flag in ("--help", "-h"):
            code, out, err = call(*path, flag)
            assert code == 0
            assert not err
            assert "Usage: netvigil" in out
            if path not in {("data",), ("plugins",)}:
                assert "Example: netvigil" in out or "netvigil plugins doctor" in out

    @pytest.mark.parametrize("path", every_command(), ids=" ".join)
    def test_every_example_calls_its_own_command_with_options_it_has(self, path):
        command = cli
        for name in path:
            command = command.get_command(click.Context(command), name)
        if isinstance(command, click.Group):
            return
        words = command.epilog.split("netvigil ", 1)[1].split()
        assert tuple(words[: len(path)]) == path
        options = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("--")} <= options

    def test_every_option_and_setting_is_described(self):
        for path in every_command():
            command = cli
            for name in path:
                command = command.get_command(click.Context(command), name)
            for option in command.params:
                if isinstance(option, click.Option) and option.name not in {"help", "version"}:
                    assert option.help, (path, option.name)

    def test_the_list_of_commands_is_the_truth(self, call):
        _, out, _ = call("--help")
        for name, (_, line) in COMMANDS.items():
            command = cli.get_command(click.Context(cli), name)
            assert command.name == name
            assert name in out
            assert line.split()[0] in out

    def test_version(self, call):
        from netvigil import __version__

        assert call("--version")[:2] == (0, f"netvigil, version {__version__}\n")

    def test_help_imports_nothing_heavy(self):
        code = (
            "import sys\nfrom netvigil.cli import main\n"
            "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
            "heavy = {'torch', 'pandas', 'polars', 'pyarrow', 'numpy', 'sklearn', 'pydantic'}\n"
            "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


class TestWrongCalls:
    """A wrong call exits with 2 and says what would be right."""

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["detcet"], "Did you mean 'detect'?"),
            (["frobnicate"], "No such command 'frobnicate'"),
            (["run"], "Missing argument 'FILE'"),
            (["run", "e.toml", "--seed", "3"], "No such option"),
            (["run", "absent.toml"], "no such experiment file"),
            (["run", "e.toml", "--set", "scorer.name=median-distanse"], "'median-distance'"),
            (["run", "e.toml", "--set", "scorrer.name=x"], "Did you mean 'scorer'?"),
            (["run", "e.toml", "--set", "scorer.powr=2"], "Did you mean 'power'?"),
            (["run", "e.toml", "--set", "scorer.name=terms", "--set", "encoder.name=raw"], "emits"),
            (["run", "e.toml", "--set", "nonsense"], "--set section.key=value"),
            (["fit", "e.toml"], "Missing option '--out'"),
            (["data", "inspct", "a.csv"], "inspect"),
            (["data", "convert", "a.csv", "--to", "a.csv"], ".parquet"),
            (["data", "label", "a.csv", "--to", "x", "--labeller", "inlien"], "'inline'"),
            (["data", "inspect", "a.csv", "--format", "tinny"], "Did you mean 'tiny'?"),
            (["plugins", "new", "Not-Kebab", "--to", "x"], "kebab|lower-case"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_exit_code_2(self, call, workplace, args, words):
        import re

        before = sorted(p.name for p in workplace.iterdir())
        code, out, err = call(*args)
        assert code == 2
        assert out == ""
        assert re.search(words, err), err
        assert sorted(p.name for p in workplace.iterdir()) == before


class TestFailedJobs:
    """A job that fails exits with 1."""

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["data", "inspect", "absent.csv"], "absent.csv"),
            (["data", "inspect", "empty.csv"], "empty"),
            (["data", "inspect", "strange.bin"], "No reader knows"),
            (["data", "inspect", "folder"], "folder"),
            (["data", "inspect", "nothing.csv"], "holds no flow"),
            (["run", "e.toml", "--set", "flows.source=absent.csv"], "no such source"),
            (["run", "e.toml", "--resume"], "no unfinished run"),
            (["detect", "folder", "a.csv"], "not a readable netvigil bundle"),
            (["evaluate", "a.csv", "a.csv"], "not a netvigil score file"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_exit_code_1(self, call, workplace, args, words):
        (workplace / "empty.csv").touch()
        (workplace / "strange.bin").write_bytes(bytes(range(256)))
        (workplace / "folder").mkdir()
        (workplace / "nothing.csv").write_text("tiny,start_us\n")
        before = sorted(p.name for p in workplace.rglob("*"))
        code, out, err = call(*args)
        assert code == 1
        assert out == ""
        assert words in err
        assert sorted(p.name for p in workplace.rglob("*")) == before

    def test_a_full_disk_and_ctrl_c_are_said_in_words(self, call, workplace, monkeypatch):
        import errno

        faults = [
            (OSError(errno.ENOSPC, "No space left"), "The disk is full"),
            (KeyboardInterrupt(), "Stopped"),
            (MemoryError(), "not enough memory"),
            (OSError(errno.EACCES, "Permission denied", "x.csv"), "Permission denied"),
        ]
        for fault, words in faults:

            def fail(*_, fault=fault, **__):
                raise fault

            monkeypatch.setattr(fakes.MedianDistance, "fit", fail)
            code, out, err = call("fit", "e.toml", "--out", "b")
            assert (code, out) == (1, "")
            assert words in err
            assert sorted(p.name for p in workplace.iterdir()) == ["a.csv", "e.toml"]

    def test_a_bug_of_ours_is_not_hidden(self, workplace, monkeypatch):
        def fail(*_, **__):
            raise ZeroDivisionError

        monkeypatch.setattr(fakes.MedianDistance, "fit", fail)
        with pytest.raises(ZeroDivisionError):
            main(["fit", "e.toml", "--out", "b"])


class TestJson:
    """With --json, standard output is one JSON document and nothing else."""

    def test_from_run_to_evaluate(self, call, workplace):
        code, out, err = call("run", "e.toml", "--out", "r", "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["receipt"]["seeds"] == [0, 1]
        code, out, err = call("fit", "e.toml", "--out", "b", "--json")
        assert (code, err) == (0, "")
        sealed = (workplace / "r" / "bundle" / "manifest.sha256").read_text().strip()
        assert json.loads(out)["sha256"] == sealed
        code, out, err = call("detect", "b", "a.csv", "--out", "d", "--json")
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert found["flows"] == 300
        assert "begins with 'tiny'" in found["format"]
        assert found["phases"]["detect"]["flows"] == 300
        code, out, err = call("data", "label", "a.csv", "--to", "l.parquet", "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["labels"]["unknown"] == 0
        code, out, err = call("evaluate", "d/scores.parquet", "l.parquet", "--json")
        assert (code, err) == (0, "")
        result = json.loads(out)
        assert result["test_flows"] == 300
        assert 0.5 < result["headline"]["methods"][0]["metrics"]["auroc"]["mean"] <= 1

    def test_data_and_plugins(self, call, workplace):
        for args in (
            ["data", "inspect", "a.csv"],
            ["data", "convert", "a.csv", "--to", "w.parquet", "--labeller", "inline"],
            ["data", "audit", "a.csv", "--labeller", "inline"],
            ["plugins", "list"],
            ["plugins", "doctor"],
            ["bench", "--room", "evaluate", "--size", "200", "--seconds", "0"],
        ):
            code, out, err = call(*args, "--json")
            assert (code, err) == (0, ""), args
            assert isinstance(json.loads(out), dict | list)

    def test_infinity_is_null(self, capsys):
        from netvigil.cli.shared import print_json

        print_json({"cut": float("inf"), "all": [(1.5, float("nan"))], "n": -0.5})
        assert json.loads(capsys.readouterr().out) == {"cut": None, "all": [[1.5, None]], "n": -0.5}


class TestForPeople:
    def test_run_prints_the_table_the_receipt_and_what_is_next(self, call, workplace):
        code, out, _ = call("run", "e.toml", "--set", "run.seeds=[0]")
        assert code == 0
        assert "sigma + median-distance" in out
        assert "pair-rarity" in out
        assert "netvigil-runs/e" in out.replace("\\", "/")
        assert "netvigil detect" in out
        assert (workplace / "netvigil-runs" / "e" / "receipt.json").exists()

    def test_run_without_labels_says_that_there_is_nothing_to_judge_by(self, call, workplace):
        values = fakes.settings("a.csv", labels=None)
        (workplace / "n.toml").write_text(tomli_w.dumps(values), "utf-8")
        code, out, _ = call("run", "n.toml")
        assert code == 0
        assert "nothing to judge" in out

    def test_detect_fit_and_evaluate(self, call, workplace):
        code, out, _ = call("fit", "e.toml", "--out", "b")
        assert code == 0
        assert "netvigil detect b" in out
        code, out, _ = call("detect", "b", "a.csv")
        assert code == 0
        assert "a-detected" in out
        assert (workplace / "a-detected" / "scores.parquet").exists()
        lines = (workplace / "a.csv").read_text().splitlines()
        broken = ",".join("x" for _ in lines[0].split(","))
        (workplace / "b.csv").write_text("\n".join([*lines, broken, ""]))
        code, out, _ = call("detect", "b", "b.csv")
        assert code == 0
        assert "broken number: 1" in out  # what was lost is said, with its reason
        assert "files skipped" in out
        call("data", "convert", "a.csv", "--to", "w.parquet", "--labeller", "inline")
        code, out, _ = call("evaluate", "a-detected/scores.parquet", "w.labels.parquet")
        assert code == 0
        assert "scores" in out

    def test_inspect_shows_columns_and_labels(self, call, workplace):
        call("data", "convert", "a.csv", "--to", "a.parquet", "--labeller", "inline")
        code, out, _ = call("data", "inspect", "a.csv")
        assert code == 0
        for words in ("tiny", "its header begins", "x_a", "src_ip", "flood", "benign", "300"):
            assert words in out

    def test_inspect_writes_a_page(self, call, workplace):
        page = workplace / "new" / "a.html"
        code, out, _ = call("data", "inspect", "a.csv", "--html", page)
        assert code == 0
        assert str(page) in out
        assert "flood" in out  # classes out of the source's own labels
        page.write_text("old")
        asked = ("--html", page, "--labeller", "inline", "--json")
        found = json.loads(call("data", "inspect", "a.csv", *asked)[1])
        assert found["page"] == str(page)
        assert sum(found["labels"].values()) == 300
        assert [path.name for path in page.parent.iterdir()] == ["a.html"]
        text = page.read_text("utf-8")
        assert "flood" in text
        assert text.endswith("</html>")

    def test_labels_in_a_source_that_cannot_be_used_leave_a_page(self, call, workplace):
        fakes.write_csv(workplace / "a.csv", {**fakes.traffic(50), "label": [""] * 50})
        assert call("data", "inspect", "a.csv", "--html", "a.html")[0] == 0
        text = (workplace / "a.html").read_text("utf-8")
        assert "Its labels could not be used." in text
        code, _, err = call("data", "inspect", "a.csv", "--html", "b.html", "--labeller", "inline")
        assert code == 1
        assert "say nothing" in err
        assert not (workplace / "b.html").exists()

    @pytest.mark.parametrize("name", ["a.csv", "./a.csv", "a.labels.parquet"])
    def test_a_page_takes_the_place_of_no_source(self, call, workplace, name):
        before = (workplace / "a.csv").read_bytes()
        assert call("data", "inspect", "a.csv", "--html", name)[0] == 2
        assert (workplace / "a.csv").read_bytes() == before

    def test_converting_again_keeps_the_label_text(self, call, workplace):
        assert call("data", "convert", "a.csv", "--to", "w.parquet")[0] == 0
        assert call("data", "convert", "w.parquet", "--to", "v.parquet", "--format", "tiny")[0] == 0
        first, second = (workplace / f"{n}.inline.parquet" for n in "wv")
        assert first.read_bytes() == second.read_bytes()

    def test_a_resumed_run(self, call, workplace, monkeypatch):
        def stop(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(fakes.MedianDistance, "score", stop)
            code, _, err = call("run", "e.toml", "--out", "r")
        assert code == 1
        assert "--resume" in err
        assert call("run", "e.toml", "--out", "r")[0] == 1
        assert call("run", "e.toml", "--out", "r", "--resume")[0] == 0
        assert call("run", "e.toml", "--out", "r")[0] == 1

    def test_new_plugin(self, call, workplace):
        code, out, _ = call("plugins", "new", "acme-depth", "--to", "acme")
        assert code == 0
        assert (workplace / "acme" / "pyproject.toml").exists()
        assert "plugin.py" in out


class TestPlugins:
    def test_list_names_every_part_and_who_provides_it(self, call):
        code, out, err = call("plugins", "list")
        assert (code, err) == (0, "")
        assert "median-distance" in out
        assert "netvigil-fakes 1.2" in out

    def test_doctor_is_content(self, call):
        code, out, _ = call("plugins", "doctor")
        assert code == 0
        assert "failed" not in out

    def test_doctor_names_what_fails_and_exits_with_1(self, call, installed):
        installed.append(Entry("acme", Misspelt(), "acme-netvigil"))
        installed.append(Entry("broken", ImportError("no torch"), "broken-netvigil"))
        code, out, _ = call("plugins", "doctor", "--json")
        assert code == 1
        assert set(json.loads(out)["failures"]) == {"acme", "broken"}
        code, out, _ = call("plugins", "doctor")
        assert code == 1
        assert "netvigil_scorers" in out
        assert "no torch" in out
        code, out, err = call("plugins", "list")
        assert code == 0
        assert "median-distance" in out
        assert "plugins doctor" in err

    def test_doctor_names_collisions(self, call, installed):
        installed.append(Entry("again", fakes, "copy-of-fakes"))
        code, out, _ = call("plugins", "doctor")
        assert code == 1
        assert "scorer 'median-distance'" in out

    def test_a_broken_plugin_stops_no_unrelated_command(self, call, installed, workplace):
        installed.append(Entry("broken", ImportError("no torch"), "broken-netvigil"))
        assert call("fit", "e.toml", "--out", "b")[0] == 0
        code, _, err = call("fit", "e.toml", "--out", "c", "--set", "scorer.name=acme")
        assert code == 2
        assert "Plugins that failed to load: broken" in err


def plain(text: str) -> bool:
    return all(c == "\n" or c.isprintable() for c in text)


class TestHostileText:
    """Text from traffic never reaches the terminal as more than text."""

    @pytest.fixture
    def hostile(self, workplace):
        rows = fakes.traffic(300)
        rows["label"] = [HOSTILE if v == "scan" else v for v in rows["label"]]
        rows["src"] = [HOSTILE if v == "203.0.113.9" else v for v in rows["src"]]
        fakes.write_csv(workplace / "a.csv", rows)
        return workplace

    @pytest.mark.parametrize(
        "args",
        [
            ["run", "e.toml"],
            ["data", "label", "a.csv", "--to", "l.parquet"],
            ["data", "audit", "a.csv", "--labeller", "inline"],
            ["data", "convert", "a.csv", "--to", "a.parquet", "--labeller", "inline"],
        ],
        ids=" ".join,
    )
    def test_tables_and_facts(self, call, hostile, args):
        code, out, err = call(*args)
        assert code == 0
        assert plain(out + err)
        if args[0] != "run" and "audit" not in args:
            assert "[bold red]scan" in out  # shown as it is, not obeyed

    def test_inspect(self, call, hostile):
        call("data", "convert", "a.csv", "--to", "a.parquet", "--labeller", "inline")
        code, out, err = call("data", "inspect", "a.csv")
        assert code == 0
        assert plain(out + err)
        assert "[bold red]scan" in out

    def test_errors(self, call, workplace):
        (workplace / "x.csv").write_text(HOSTILE)
        code, out, err = call("data", "inspect", "x.csv")
        assert code == 1
        assert plain(out + err)
        code, out, err = call("data", "inspect", f"{HOSTILE}.csv")
        assert code == 1
        assert plain(out + err)

    def test_the_escape_itself(self):
        assert module._safe("a\x1b[2J\u202eb\nc é") == "a\\x1b[2J\\u202eb\nc é"


def test_a_reader_of_our_output_that_leaves_early_is_no_error(workplace):
    code = (
        "import sys; sys.argv = ['netvigil'];"
        "from netvigil.cli import main; main(['plugins', 'list', '--json'])"
    )
    command = f'"{sys.executable}" -c "{code}" | head -c 1'
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, cwd=workplace, check=False
    )
    assert done.stderr == ""
