"""`plugins new` writes a package that loads, keeps the scorer's contract, and is valid Python."""

from __future__ import annotations

import importlib
import sys
import tomllib

import pytest

from netvigil import parts
from netvigil.errors import ConfigError
from netvigil.plugins import load_plugins
from netvigil.scaffold import write_scorer_package
from netvigil.testing.conformance import check_scorer


@pytest.fixture
def installed(tmp_path, monkeypatch):
    written = write_scorer_package("acme-depth", tmp_path / "acme")
    monkeypatch.syspath_prepend(str(tmp_path / "acme" / "src"))
    importlib.invalidate_caches()
    yield importlib.import_module("acme_depth.plugin"), written
    for name in [n for n in sys.modules if n.split(".")[0] == "acme_depth"]:
        del sys.modules[name]


def test_the_package_loads_and_keeps_the_contract(installed):
    plugin, _ = installed
    found = load_plugins(entry_points=False, extra=[plugin])
    assert not found.failures
    part = found.scorer("acme-depth")
    assert isinstance(part, parts.Scorer)
    check_scorer(part)


def test_the_entry_point_leads_to_the_plugin_and_the_test_compiles(installed):
    _, written = installed
    files = {path.name: path for path in written}
    project = tomllib.loads(files["pyproject.toml"].read_text())
    assert project["project"]["entry-points"]["netvigil"] == {"acme-depth": "acme_depth.plugin"}
    assert any(d.startswith("netvigil~=") for d in project["project"]["dependencies"])
    for path in written:
        if path.suffix == ".py":
            compile(path.read_text("utf-8"), str(path), "exec")
    assert "checks_for" in files["test_acme_depth.py"].read_text()


def test_the_written_test_passes(installed):
    _, written = installed
    code = compile(next(p for p in written if p.name.startswith("test_")).read_text(), "t", "exec")
    scope = {"__name__": "written"}
    exec(code, scope)
    assert len(scope["CASES"]) > 5
    for part, check in scope["CASES"]:
        scope["test_conformance"](part, check)


@pytest.mark.parametrize(
    "name", ["Acme", "acme_depth", "", "../x", "1acme", "class", "netvigil", "a b"]
)
def test_names_that_cannot_work_are_refused(tmp_path, name):
    with pytest.raises(ConfigError):
        write_scorer_package(name, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write_scorer_package("acme", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_the_current_folder_will_do_when_it_is_empty(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    write_scorer_package("acme", Path())
    assert (tmp_path / "pyproject.toml").exists()
