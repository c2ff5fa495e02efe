"""The lock names versions and hashes and no index; nothing committed names a package registry."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Member

# A scheme is written as `{}` below, so that this file passes its own test.
REGISTRY = re.compile(
    r":/{2}\S*(?:pypi|hosted|/simple\b|artifactory|nexus|devpi)"
    r"|(?:index.url|find.links)\W+\w+:/{2}",
    re.IGNORECASE,
)
FULL = """\
version = 1

[[package]]
name = "netvigil"
source = { editable = "packages/core" }
dependencies = [
    { name = "click" },
]

[package.metadata]
requires-dist = [{ name = "click", specifier = ">=8" }]

[package.metadata.requires-dev]
test = [{ name = "pytest" }]

[[package]]
name = "click"
version = "8.2.1"
source = { registry = "SCHEME{}host/simple" }
sdist = { url = "SCHEME{}host/files/click-8.2.1.tar.gz", hash = "sha256:0", size = 7 }
wheels = [
    { url = "SCHEME{}host/files/click-8.2.1-py3-none-any.whl", hash = "sha256:1", size = 8 },
]
""".replace("SCHEME{}", "https://")


@pytest.fixture(scope="module")
def neutral(root: Path) -> Callable[[str], str]:
    spec = importlib.util.spec_from_file_location("neutral_lock", root / ".ci" / "neutral_lock.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[str], str] = module.neutral
    return found


def test_a_neutral_lock_keeps_versions_and_hashes_and_drops_addresses(
    neutral: Callable[[str], str],
) -> None:
    lock = neutral(FULL)
    assert "://" not in lock
    assert "metadata" not in lock
    netvigil, click = tomllib.loads(lock)["package"]
    assert netvigil["dependencies"] == [{"name": "click"}]
    assert click["source"] == {"registry": "index"}
    assert click["sdist"] == {"path": "click-8.2.1.tar.gz", "hash": "sha256:0", "size": 7}
    assert [wheel["path"] for wheel in click["wheels"]] == ["click-8.2.1-py3-none-any.whl"]


def test_neutral_twice_is_neutral_once(neutral: Callable[[str], str], root: Path) -> None:
    for lock in (FULL, (root / "uv.lock").read_text("utf-8")):
        assert neutral(neutral(lock)) == neutral(lock)


def test_the_committed_lock_is_neutral(root: Path) -> None:
    done = subprocess.run(
        ["git", "show", "HEAD:uv.lock"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("no commit to look at")
    assert "://" not in done.stdout
    assert 'registry = "index"' in done.stdout


def test_git_keeps_the_lock_neutral(root: Path) -> None:
    assert "uv.lock filter=neutral-lock" in (root / ".gitattributes").read_text("utf-8")


def test_the_lock_holds_every_member(root: Path, members: list[Member]) -> None:
    packages = tomllib.loads((root / "uv.lock").read_text("utf-8"))["package"]
    editable = {p["name"]: p["version"] for p in packages if "editable" in p["source"]}
    assert editable == {m.name: m.pyproject["project"]["version"] for m in members}


@pytest.mark.parametrize(
    "line", ["index-url = http{}host/x", "see https{}devpi.host/project/x", "http{}host/simple/"]
)
def test_the_pattern_finds_registry_addresses(line: str) -> None:
    assert REGISTRY.search(line.replace("{}", "://"))


def test_no_committed_text_names_a_registry(root: Path, files: list[Path]) -> None:
    found = [
        f"{path.as_posix()}: line {number}"
        for path in files
        if path.name != "uv.lock"  # its working copy may; its committed form is checked above
        for number, line in enumerate((root / path).read_text("utf-8", "replace").splitlines(), 1)
        if REGISTRY.search(line)
    ]
    assert found == []
