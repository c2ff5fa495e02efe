"""Check packages that were installed from their wheels, from outside the source tree.

    python -I .ci/check_installed.py <root of the source tree> <parts.json>

Every member imports from the environment (not from the tree), carries `py.typed`, a licence and an
entry point named like its folder; `netvigil plugins list --json` shows parts of every member, no
failure, and the very parts that the workspace shows (`parts.json`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any


def check(package: Path, listing: dict[str, Any]) -> list[str]:
    """Return what is wrong with one installed member."""
    with (package / "pyproject.toml").open("rb") as file:
        name: str = tomllib.load(file)["project"]["name"]
    problems = []
    module = importlib.import_module(name.replace("-", "_"))
    home = Path(str(module.__file__)).parent
    if package.parent in home.parents:
        problems.append(f"{name} was imported from the source tree")
    if not (home / "py.typed").exists():
        problems.append(f"{name} has no py.typed")
    files = [str(file) for file in importlib.metadata.files(name) or []]
    if not any(file.endswith("licenses/LICENSE") for file in files):
        problems.append(f"{name} has no licence file")
    points = importlib.metadata.distribution(name).entry_points
    if package.name not in {point.name for point in points if point.group == "netvigil"}:
        problems.append(f"{name} has no entry point '{package.name}' in the group netvigil")
    provided = [part["name"] for part in listing["parts"] if part["provider"].split()[0] == name]
    if not provided:
        problems.append(f"`netvigil plugins list` shows no part of {name}")
    sys.stdout.write(f"{name}: {len(provided)} parts\n")
    return problems


def main(root: Path, expected: Path) -> None:
    """Check every member of the workspace at `root`; exit with what is wrong."""
    script = Path(sys.executable).with_name("netvigil")
    done = subprocess.run(
        [script, "plugins", "list", "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    listing = json.loads(done.stdout)
    problems = [str(failure) for failure in listing["failures"]]
    if listing != json.loads(expected.read_text("utf-8")):
        problems.append("`netvigil plugins list --json` differs from the workspace's own")
    for package in sorted(path.parent for path in root.glob("packages/*/pyproject.toml")):
        problems += check(package, listing)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
