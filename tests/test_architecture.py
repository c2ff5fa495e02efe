"""The shape of the code, checked on its syntax; import-linter checks who imports whom."""

from __future__ import annotations

import ast
import importlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netvigil import hookspecs, parts, protocols
from netvigil.plugins import HOOKS

if TYPE_CHECKING:
    from tests.conftest import Member

DRAWERS = {"utils", "util", "helpers", "common", "misc", "base"}
SPECS = sorted(name for name in vars(hookspecs) if name.startswith("netvigil_"))


def _modules(members: list[Member]) -> Iterator[tuple[Path, ast.Module]]:
    for member in members:
        for path in member.source.rglob("*.py"):
            yield path, ast.parse(path.read_text("utf-8"))


def test_no_module_is_a_drawer(root: Path) -> None:
    paths = [*root.glob("packages/**/*.py"), *root.glob("tests/*.py"), *root.glob("bench/**/*.py")]
    assert [path for path in paths if {path.stem, path.parent.name} & DRAWERS] == []


def test_no_plugin_manager_lives_at_module_level(members: list[Member]) -> None:
    for path, tree in _modules(members):
        statements = [n for n in tree.body if not isinstance(n, ast.FunctionDef | ast.ClassDef)]
        calls = {
            ast.unparse(node.func).split(".")[-1]
            for statement in statements
            for node in ast.walk(statement)
            if isinstance(node, ast.Call)
        }
        assert not calls & {"PluginManager", "load_plugins"}, path


def test_all_matches_reality(members: list[Member]) -> None:
    """Every name in `__all__` exists, once; an `__init__` that only re-exports lists all it has."""
    for path, tree in _modules(members):
        taken = _taken_in(tree) if path.name == "__init__.py" else set()
        names = _declared(tree)
        if names is None:
            assert not taken, f"{path} re-exports names without __all__"
            continue
        assert len(names) == len(set(names)), path
        module = importlib.import_module(_module_name(path))
        assert [name for name in names if not hasattr(module, name)] == [], path
        assert taken <= set(names), path


def _taken_in(tree: ast.Module) -> set[str]:
    """Return the public names of ours that a module imports, where it defines nothing itself."""
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body):
        return set()
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").startswith("netvigil")]
    names = {alias.asname or alias.name for node in ours for alias in node.names}
    return {name for name in names if not name.startswith("_")}


def _declared(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            return list(names)
    return None


def _module_name(path: Path) -> str:
    parts_of_path = path.with_suffix("").parts
    inside = parts_of_path[parts_of_path.index("src") + 1 :]
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_has_a_part_and_a_protocol(hook: str) -> None:
    part = HOOKS[hook]
    assert part is getattr(parts, part.__name__)
    assert part.kind.replace(" ", "_") in hook
    (base,) = typing.cast("tuple[type, ...]", part.__dict__["__orig_bases__"])
    assert typing.get_args(base) == (getattr(protocols, part.__name__),)


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_takes_nothing_and_shows_an_example(hook: str) -> None:
    spec = getattr(hookspecs, hook)
    assert not inspect.signature(spec).parameters
    assert f"yield {HOOKS[hook].__name__}(" in (spec.__doc__ or "")
    assert inspect.signature(spec).return_annotation == f"Iterator[parts.{HOOKS[hook].__name__}]"


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_has_a_row_in_the_readme(hook: str, root: Path) -> None:
    part = HOOKS[hook].__name__
    rows = [line for line in (root / "README.md").read_text("utf-8").splitlines() if "|" in line]
    (row,) = [line for line in rows if line.startswith(f"| `{hook}`")]
    assert f"`{part}`" in row


def test_the_loader_knows_exactly_the_specified_hooks() -> None:
    assert sorted(HOOKS) == SPECS
