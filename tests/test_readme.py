"""What the READMEs say is true: commands and options exist, examples run, names and links hold."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pyarrow.parquet as pq
import pytest

from netvigil import parts
from netvigil.cli import cli
from netvigil.config import parse_experiment
from netvigil.pipeline import assemble
from netvigil.plugins import HOOKS, Plugins, load_plugins
from netvigil.store import FlowStore
from netvigil.testing import conformance
from netvigil.testing.synthetic import stream
from tests.commands import netvigil
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.conftest import Member

READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(language: str) -> Iterator[tuple[str, str]]:
    for readme in READMES:
        for kind, text in BLOCK.findall(readme.read_text("utf-8")):
            if kind == language:
                yield readme.parent.name, text


def _commands() -> list[str]:
    """Return every `netvigil ...` call in the console blocks."""
    lines = [line for _, text in _blocks("console") for line in text.splitlines()]
    calls = [call for line in lines for call in line.removeprefix("$ ").split(" && ")]
    return [re.sub(r"^uv run ", "", call) for call in calls if "netvigil " in f"{call} "]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.mark.parametrize("call", [c for c in _commands() if c.startswith("netvigil")])
def test_commands_and_their_options_exist(call: str) -> None:
    _, *words = shlex.split(call)
    command: click.Command = cli
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, f"no such command: {call}"
        command, context = found, click.Context(found, parent=context)
    options = {name: p for p in command.params for name in (*p.opts, *p.secondary_opts)}
    positional = 0
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            positional += 1
            continue
        option = options.get(word)
        assert isinstance(option, click.Option), f"no option {word}: {call}"
        if not option.is_flag:
            words.pop(0)
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    needed = sum(argument.required for argument in arguments)
    most = 99 if any(argument.nargs == -1 for argument in arguments) else len(arguments)
    assert needed <= positional <= most, call


def test_the_commands_of_the_front_page_were_found() -> None:
    verbs = {shlex.split(call)[1] for call in _commands() if call.startswith("netvigil")}
    assert {"demo", "data", "fit", "detect"} <= verbs


@pytest.mark.parametrize(
    "text", [text for _, text in _blocks("toml") if "[flows]" in text], ids=lambda _: ""
)
def test_experiments_name_parts_that_exist_and_fit(text: str, plugins: Plugins) -> None:
    experiment = parse_experiment(tomllib.loads(text), base=ROOT)
    assemble(experiment, plugins, base=ROOT)


def test_the_front_page_goes_from_flows_to_alerts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run its commands on generated flows, which stand in for the captures."""
    (experiment,) = [text for where, text in _blocks("toml") if where == ROOT.name]
    (tmp_path / "experiment.toml").write_text(experiment, "utf-8")
    days = {"monday": 3_000, "tuesday": 1_000}
    for seed, (day, flows) in enumerate(days.items()):
        FlowStore.write(stream(flows, seed=seed), tmp_path / f"{day}.parquet")
    monkeypatch.chdir(tmp_path)
    for call in _commands():
        _, verb, *words = shlex.split(call.replace(".pcap", ".parquet"))
        if verb in ("fit", "detect"):
            netvigil(verb, *words)
    scores = pq.read_table(tmp_path / "tuesday" / "scores.parquet")
    assert scores.num_rows == days["tuesday"]
    assert (tmp_path / "tuesday" / "alerts.jsonl").read_text("utf-8").count("\n") > 0


def test_toml_blocks_parse() -> None:
    texts = [text for _, text in _blocks("toml")]
    assert any("[flows]" in text for text in texts)
    for text in texts:
        tomllib.loads(text)


def test_python_blocks_compile() -> None:
    texts = [text for _, text in _blocks("python")]
    assert texts
    for text in texts:
        compile(text, "README.md", "exec")


def test_the_plugin_in_the_core_readme_loads() -> None:
    (text,) = [text for where, text in _blocks("python") if where == "core"]
    module: dict[str, object] = {"__name__": "acme"}
    exec(compile(text, "README.md", "exec"), module)
    plugin = type("Acme", (), {k: staticmethod(v) if callable(v) else v for k, v in module.items()})
    loaded = load_plugins(entry_points=False, extra=[plugin()])
    assert not loaded.failures
    assert loaded.scorer("acme-depth").summary


def test_every_check_the_readme_names_is_published() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    names = set(re.findall(r"`(check_\w+)`", text))
    assert names
    assert {name for name in names if not hasattr(conformance, name)} == set()


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_relative_links_lead_somewhere(readme: Path) -> None:
    for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", readme.read_text("utf-8")):
        assert (readme.parent / target).exists(), target


KINDS = [kind for kind in HOOKS.values() if kind is not parts.Benchmark]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
def test_package_readmes_name_every_part(
    kind: type[parts.Part[object]], plugins: Plugins, members: list[Member]
) -> None:
    for member in members:
        text = (member.folder / "README.md").read_text("utf-8")
        names = {r.part.name for r in plugins.of(kind) if r.provider.distribution == member.name}
        assert {name for name in names if f"`{name}`" not in text} == set(), member.name
