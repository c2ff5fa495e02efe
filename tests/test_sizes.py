"""Small files, small functions: the one size rule that is hard, and the places to look again."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

from tests.conftest import source_lines

MODULE_LINES = 500
CLI_LINES = 200
FUNCTION_LINES = 60  # without the docstring
MEDIAN_LINES = 120


def _lines(root: Path) -> dict[str, int]:
    return {path.relative_to(root).as_posix(): lines for path, lines in source_lines().items()}


def test_no_module_is_longer_than_500_lines(root: Path) -> None:
    assert {name: n for name, n in _lines(root).items() if n > MODULE_LINES} == {}


def test_cli_modules_hold_no_logic(root: Path) -> None:
    cli = {name: n for name, n in _lines(root).items() if "/cli/" in name}
    assert {name: n for name, n in cli.items() if n > CLI_LINES} == {}


def test_half_of_the_modules_fit_on_two_screens(root: Path) -> None:
    assert statistics.median(_lines(root).values()) <= MEDIAN_LINES


def test_no_function_is_longer_than_60_lines(root: Path) -> None:
    found = {}
    for path in root.glob("packages/*/src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                length -= len((ast.get_docstring(node, clean=False) or "").splitlines())
                if length > FUNCTION_LINES:
                    found[f"{path.relative_to(root).as_posix()}:{node.name}"] = length
    assert found == {}
