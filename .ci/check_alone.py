"""Fail where an environment made for one package holds more than that package asked for.

    python -I .ci/check_alone.py packages/scorers packages/*

Members of the workspace that the package does not declare must be absent, and so must the heavy
libraries that neither it nor a member it declares names.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

HEAVY = ("torch", "torch_geometric", "polars", "nfstream", "pyod")


def project(package: Path) -> tuple[str, list[str], dict[str, list[str]]]:
    """Return the name of the distribution in a folder, its dependencies and extras as written."""
    with (package / "pyproject.toml").open("rb") as file:
        table = tomllib.load(file)["project"]
    return table["name"], table.get("dependencies", []), table.get("optional-dependencies", {})


def strangers(package: Path, members: list[Path]) -> list[str]:
    """Return the modules that are importable here and should not be."""
    name, written, _ = project(package)
    parsed = [re.match(r"([\w.-]+)(?:\[([^\]]*)\])?", line) for line in written]
    extras = {m[1]: re.split(r"\s*,\s*", m[2] or "") for m in parsed if m}
    wanted = {name, *extras}
    others = [other for other, _, _ in map(project, members) if other not in wanted]
    lines = list(written)
    for other, own, optional in map(project, members):
        if other in wanted:
            lines += own
            lines += [line for extra in extras.get(other, []) for line in optional.get(extra, [])]
    asked = " ".join(lines)
    others += [heavy for heavy in HEAVY if heavy.replace("_", "-") not in asked]
    return [module for module in others if importlib.util.find_spec(module.replace("-", "_"))]


if __name__ == "__main__":
    found = strangers(Path(sys.argv[1]), [Path(member) for member in sys.argv[2:]])
    if found:
        sys.exit(f"{sys.argv[1]} alone should not bring: {', '.join(found)}")
    sys.stdout.write(f"{sys.argv[1]}: no sibling, and nothing heavy it did not ask for\n")
