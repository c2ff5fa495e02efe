"""Each package stands alone: it imports what it declares, and installs nothing it does not need."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Member

CLOSURES = [
    ("netvigil", {"netvigil"}, {"torch", "polars", "nfstream", "pyod"}),
    ("netvigil-flowprep", {"netvigil", "netvigil-flowprep"}, {"torch", "nfstream", "pyod"}),
    ("netvigil-scorers", {"netvigil", "netvigil-scorers"}, {"torch", "polars", "nfstream"}),
    ("netvigil-autographad", {"netvigil", "netvigil-autographad"}, {"polars", "nfstream", "pyod"}),
    ("netvigil-anomale", {"netvigil", "netvigil-anomale"}, {"polars", "nfstream", "pyod"}),
    ("netvigil-heterognn", {"netvigil", "netvigil-heterognn"}, {"polars", "nfstream", "pyod"}),
    ("netvigil-cggm", {"netvigil", "netvigil-cggm"}, {"polars", "nfstream", "pyod"}),
    ("netvigil-tabular", {"netvigil", "netvigil-tabular"}, {"polars", "nfstream", "pyod"}),
]


def _distribution(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _imports(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.split(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield path, (node.module or "").split(".")[0]


@cache
def _provides() -> Mapping[str, list[str]]:
    """Return the distributions behind each importable name: seconds, so only once."""
    return importlib.metadata.packages_distributions()


def _undeclared(paths: Iterable[Path], allowed: set[str]) -> set[str]:
    provides = _provides()
    found = set()
    for path, module in _imports(paths):
        if module in sys.stdlib_module_names:
            continue
        owners = {name.lower().replace("_", "-") for name in provides.get(module, [module])}
        if not owners & allowed:
            found.add(f"{path.name} imports {module}")
    return found


def _declared(member: Member) -> set[str]:
    project = member.pyproject["project"]
    extras = [line for group in project.get("optional-dependencies", {}).values() for line in group]
    return {_distribution(line) for line in [member.name, *project["dependencies"], *extras]}


def test_sources_import_only_what_their_package_declares(members: list[Member]) -> None:
    for member in members:
        assert _undeclared(member.source.rglob("*.py"), _declared(member)) == set(), member.name


def test_tests_import_only_their_package_and_its_test_group(members: list[Member]) -> None:
    for member in members:
        group = {_distribution(line) for line in member.pyproject["dependency-groups"]["test"]}
        allowed = _declared(member) | group
        here = {path.stem for path in (member.folder / "tests").rglob("*.py")}
        found = _undeclared((member.folder / "tests").rglob("*.py"), allowed | here)
        assert found == set(), member.name


@pytest.mark.parametrize(("name", "ours", "absent"), CLOSURES, ids=[c[0] for c in CLOSURES])
def test_installing_one_package_brings_nothing_else(
    name: str, ours: set[str], absent: set[str], root: Path, members: list[Member]
) -> None:
    lock = tomllib.loads((root / "uv.lock").read_text("utf-8"))
    packages = {package["name"]: package for package in lock["package"]}
    found = _closure(name, packages)
    assert found & {member.name for member in members} == ours
    assert found & absent == set()


def test_every_member_has_its_closure_checked(members: list[Member]) -> None:
    assert {name for name, _, _ in CLOSURES} == {member.name for member in members}


def _closure(name: str, packages: dict[str, dict[str, Any]]) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting += [needed["name"] for needed in packages[package].get("dependencies", [])]
    return found
