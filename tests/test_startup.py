"""What a command may import before it has anything to do, so that `--help` stays quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netvigil.store import FlowStore
from netvigil.testing.synthetic import stream

HEAVY = {
    *("torch", "torch_geometric", "optuna", "pandas", "polars", "pyarrow", "sklearn", "scipy"),
    *("pyod", "nfstream", "skops"),
}
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


def _said_and_imported(*arguments: str) -> tuple[str, set[str]]:
    command = [sys.executable, "-I", "-c", PROBE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said, _, modules = done.stdout.rpartition("@@")
    return said, set(modules.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    _, modules = _said_and_imported(*arguments)
    assert modules & (HEAVY | {"pydantic", "numpy", "jinja2"}) == set()
    assert len(modules) <= HELP_MODULES


@pytest.mark.parametrize("command", ["run", "tune", "compare", "explain", "data inspect"])
def test_help_on_a_command_imports_nothing_heavy(command: str) -> None:
    _, modules = _said_and_imported(*command.split(), "--help")
    assert modules & (HEAVY | {"matplotlib"}) == set()


def test_listing_plugins_imports_no_model_library() -> None:
    said, modules = _said_and_imported("plugins", "list")
    assert modules & {*HEAVY, "netvigil.torch.training"} <= {"polars", "pyarrow"}
    for package, part in (("autographad",) * 2, ("anomale", "anomal-e"), ("cggm",) * 2):
        assert f"netvigil_{package}.plugin" in modules
        assert part in said


def test_inspecting_draws_nothing_unless_a_page_is_asked_for(tmp_path: Path) -> None:
    FlowStore.write(stream(50, seed=0), tmp_path / "a.parquet")
    _, modules = _said_and_imported("data", "inspect", str(tmp_path / "a.parquet"))
    assert modules & {"matplotlib", "jinja2", "netvigil.inspection"} == set()
