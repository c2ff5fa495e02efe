"""What the tests of the workspace share: where its members are and which files belong to it."""

from __future__ import annotations

import os
import statistics
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Member:
    """One package of the workspace: its folder and its `pyproject.toml`."""

    folder: Path
    pyproject: dict[str, Any]

    @property
    def name(self) -> str:
        """The distribution's name."""
        return str(self.pyproject["project"]["name"])

    @property
    def module(self) -> str:
        """The import name."""
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        """The folder of the import package."""
        return self.folder / "src" / self.module


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file."""
    return tomllib.loads(path.read_text("utf-8"))


def source_lines() -> dict[Path, int]:
    """Return the length of every module of every package."""
    return {
        path: len(path.read_text("utf-8").splitlines())
        for path in sorted(ROOT.glob("packages/*/src/**/*.py"))
    }


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real captures and logs, which are no part of the project."""
    folder = Path(os.environ.get("NETVIGIL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real data is absent: set NETVIGIL_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the workspace."""
    return ROOT


@pytest.fixture(scope="session")
def workspace() -> dict[str, Any]:
    """The root `pyproject.toml`."""
    return read_toml(ROOT / "pyproject.toml")


@pytest.fixture(scope="session")
def members() -> list[Member]:
    """Every package of the workspace, core first."""
    found = [
        Member(path.parent, read_toml(path)) for path in ROOT.glob("packages/*/pyproject.toml")
    ]
    return sorted(found, key=lambda member: (member.name != "netvigil", member.name))


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file that is, or would be, committed; relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    names = (Path(name) for name in done.stdout.split("\0") if name)
    return [name for name in names if (ROOT / name).is_file()]


def pytest_report_header() -> str:
    """Report the sizes of our modules; `test_sizes.py` says what is too much."""
    lines = source_lines()
    median = statistics.median(lines.values())
    longest = max(lines, key=lambda path: lines[path])
    return (
        f"netvigil: {len(lines)} modules, median {median:.0f} lines, "
        f"longest {lines[longest]} ({longest.relative_to(ROOT).as_posix()})"
    )
