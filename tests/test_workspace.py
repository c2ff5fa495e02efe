"""The workspace as a whole: same-shaped members, one version, nothing that does not belong."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import Member

TOP = {
    "packages",
    "bench",
    "conftest.py",
    "tests",
    "pyproject.toml",
    "uv.lock",
    "README.md",
    "LICENSE",
}
LARGEST_FILE = 500_000
SAMPLE = Path("packages/flowprep/src/netvigil_flowprep/sample")
"""The packaged sample, whose size `tests/lab/test_sample.py` bounds as a whole."""


def test_the_top_level_stays_as_it_is(files: list[Path]) -> None:
    top = {path.parts[0] for path in files}
    assert {name for name in top if not name.startswith(".")} == TOP


def test_members_have_the_same_shape(members: list[Member]) -> None:
    assert members
    for member in members:
        folder = member.folder
        assert member.name == ("netvigil" if folder.name == "core" else f"netvigil-{folder.name}")
        for name in ("README.md", "LICENSE", "tests"):
            assert (folder / name).exists(), f"{folder.name} lacks {name}"
        assert [path.name for path in (folder / "src").iterdir() if path.is_dir()] == [
            member.module
        ]
        assert (member.source / "py.typed").exists(), f"{member.module} has no py.typed"
        assert "pytest" in str(member.pyproject["dependency-groups"]["test"])


def test_members_register_through_one_entry_point_named_like_their_folder(
    members: list[Member],
) -> None:
    for member in members:
        target = "netvigil.builtins" if member.name == "netvigil" else f"{member.module}.plugin"
        points = member.pyproject["project"]["entry-points"]["netvigil"]
        assert points == {member.folder.name: target}


def test_the_root_project_brings_every_member(
    workspace: dict[str, Any], members: list[Member]
) -> None:
    wanted = {re.split(r"[^\w.-]", line)[0] for line in workspace["project"]["dependencies"]}
    assert wanted == {member.name for member in members}
    assert set(workspace["tool"]["uv"]["sources"]) == wanted


def test_every_tool_knows_every_member(workspace: dict[str, Any], members: list[Member]) -> None:
    modules = {member.module for member in members}
    tool = workspace["tool"]
    assert set(tool["importlinter"]["root_packages"]) == modules
    assert set(tool["ruff"]["lint"]["isort"]["known-first-party"]) == modules
    assert {Path(path).parts[1] for path in tool["mypy"]["mypy_path"]} == {
        member.folder.name for member in members
    }


def test_all_versions_agree_and_siblings_ask_for_this_series(
    workspace: dict[str, Any], members: list[Member]
) -> None:
    version = workspace["project"]["version"]
    series = ".".join(version.split(".")[:2])
    names = {member.name for member in members}
    assert importlib.import_module("netvigil").__version__ == version
    for member in members:
        project = member.pyproject["project"]
        assert project["version"] == version, member.name
        assert project["requires-python"] == workspace["project"]["requires-python"], member.name
        for line in project["dependencies"]:
            found = re.match(r"([\w.-]+)(\[[\w,-]+\])?(.*)", line)
            assert found
            if found[1] in names:
                assert found[3] == f"~={series}.0", f"{member.name} asks for {line}"


def test_licences_are_the_same_text(root: Path, members: list[Member]) -> None:
    text = (root / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    for member in members:
        assert (member.folder / "LICENSE").read_text("utf-8") == text, member.name
        assert member.pyproject["project"]["license"] == "Apache-2.0", member.name


def test_nothing_large_and_no_notebook(root: Path, files: list[Path]) -> None:
    large = [path for path in files if (root / path).stat().st_size > LARGEST_FILE]
    assert [p for p in large if p.name != "uv.lock" and p.parent != SAMPLE] == []
    assert [path for path in files if path.suffix == ".ipynb"] == []


def test_text_files_end_with_one_newline_and_no_trailing_blanks(
    root: Path, files: list[Path]
) -> None:
    wrong = []
    for path in files:
        data = (root / path).read_bytes()
        if b"\0" in data or path.name == "LICENSE" or not data:
            continue
        blanks = any(line.endswith((b" ", b"\t", b"\r")) for line in data.split(b"\n"))
        if blanks or not data.endswith(b"\n") or data.endswith(b"\n\n"):
            wrong.append(path.as_posix())
    assert wrong == []


def test_package_readmes_stay_short(members: list[Member]) -> None:
    for member in members:
        text = (member.folder / "README.md").read_text("utf-8")
        prose = [line for line in text.splitlines() if not line.startswith("|")]  # tables are data
        assert len(prose) < 80, member.name
