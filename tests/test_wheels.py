"""What a wheel holds. `.ci/run` also installs them outside the tree and lists their parts."""

from __future__ import annotations

import configparser
import email
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Member


@pytest.fixture(scope="module")
def wheels(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build every member's wheel, offline: uv brings the build backend along."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv on the path")
    target = tmp_path_factory.mktemp("dist")
    command = [uv, "build", "--quiet", "--offline", "--wheel", "--all-packages"]
    command += ["--out-dir", str(target)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return target


def test_every_member_becomes_one_wheel(wheels: Path, members: list[Member]) -> None:
    assert len(list(wheels.glob("*.whl"))) == len(members)


def test_wheels_hold_the_package_and_nothing_else(wheels: Path, members: list[Member]) -> None:
    for member in members:
        with zipfile.ZipFile(_wheel(wheels, member)) as wheel:
            names = set(wheel.namelist())
        top = {name.split("/")[0] for name in names}
        assert top == {member.module, f"{member.module}-{_version(member)}.dist-info"}
        assert f"{member.module}/py.typed" in names
        assert any(name.endswith("licenses/LICENSE") for name in names)
        sources = {
            path.relative_to(member.source.parent).as_posix()
            for path in member.source.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert sources <= names


def test_wheels_carry_entry_points_readme_and_requirements(
    wheels: Path, members: list[Member]
) -> None:
    for member in members:
        info = f"{member.module}-{_version(member)}.dist-info"
        with zipfile.ZipFile(_wheel(wheels, member)) as wheel:
            points = configparser.ConfigParser()
            points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
            text = wheel.read(f"{info}/METADATA").decode()
        declared = member.pyproject["project"]["entry-points"]["netvigil"]
        assert dict(points["netvigil"]) == declared
        metadata = email.message_from_string(text)
        assert metadata["License-Expression"] == "Apache-2.0"
        assert (member.folder / "README.md").read_text("utf-8") in text
        assert not any("@" in line for line in metadata.get_all("Requires-Dist", []))


def _version(member: Member) -> str:
    return str(member.pyproject["project"]["version"])


def _wheel(wheels: Path, member: Member) -> Path:
    return wheels / f"{member.module}-{_version(member)}-py3-none-any.whl"
