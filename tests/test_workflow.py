"""The public workflow: every package stands alone on every Python, and strangers reach no shell."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Member

PYTHONS = ["3.11", "3.12", "3.13"]
TRUSTED = re.compile(r"matrix\.|needs\.|steps\.|runner\.|always\(\)|github\.(event_name|ref)\b")


@pytest.fixture(scope="module")
def workflow(root: Path) -> dict[Any, Any]:
    text = (root / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    made: dict[Any, Any] = yaml.safe_load(text)
    return made


@pytest.fixture(scope="module")
def jobs(workflow: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workflow["jobs"]
    return found


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def test_every_package_is_tested_alone_on_every_python(
    jobs: dict[str, Any], members: list[Member]
) -> None:
    matrix = jobs["isolation"]["strategy"]["matrix"]
    assert sorted(matrix["package"]) == sorted(member.folder.name for member in members)
    assert matrix["python"] == jobs["workspace"]["strategy"]["matrix"]["python"] == PYTHONS


def test_the_oldest_python_is_the_one_we_declare(root: Path) -> None:
    declared = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert declared["requires-python"] == f">={PYTHONS[0]}"


def test_no_job_may_write_but_the_one_that_runs_no_code(
    workflow: dict[Any, Any], jobs: dict[str, Any]
) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    own = {name: job["permissions"] for name, job in jobs.items() if "permissions" in job}
    assert own == {"verdict": {"pull-requests": "write"}}
    steps = jobs["verdict"]["steps"]
    assert not any("run" in step or "checkout" in step["uses"] for step in steps)
    for job in jobs.values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_no_expression_reaches_a_shell_or_a_script(jobs: dict[str, Any]) -> None:
    for job in jobs.values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert "${{" not in step.get("with", {}).get("script", "")


def test_expressions_are_of_our_own_making(workflow: dict[Any, Any]) -> None:
    texts = _strings(workflow)
    expressions = [found for text in texts for found in re.findall(r"\$\{\{(.*?)\}\}", text)]
    assert expressions
    for expression in expressions:
        assert TRUSTED.search(expression), expression
        assert "secrets" not in expression
        assert "github.event." not in expression


def test_actions_are_pinned_to_a_major_version(jobs: dict[str, Any]) -> None:
    used = {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step}
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", name) for name in used), used


def test_one_check_waits_for_everything(jobs: dict[str, Any]) -> None:
    assert set(jobs["check"]["needs"]) == set(jobs) - {"check", "floors"}
