"""What a command may import before it has anything to do, so that `--help` stays quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "pandas", "polars", "pyarrow", "sklearn", "scipy", "pyod", "nfstream", "skops"}
PROBE = """
import sys
from netvigil.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
sys.stdout.write("\\n@@" + " ".join(sorted(sys.modules)))
"""
HELP_MODULES = 160  # 108 with Python 3.11 and click 8.5


def _imported(*arguments: str) -> set[str]:
    command = [sys.executable, "-I", "-c", PROBE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("@@")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = _imported(*arguments)
    assert modules & (HEAVY | {"pydantic", "numpy", "jinja2"}) == set()
    assert len(modules) <= HELP_MODULES


def test_listing_plugins_imports_no_model_library() -> None:
    modules = _imported("plugins", "list")
    assert modules & {"torch", "pandas", "pyod", "nfstream", "skops"} == set()
