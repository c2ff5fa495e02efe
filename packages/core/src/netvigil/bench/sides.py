"""The two sides of a comparison: a revision built in its own environment, or one that stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netvigil.errors import ConfigError, RunError

HERE = (
    "VIRTUAL_ENV",
    "UV_PROJECT_ENVIRONMENT",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
)
"""What says which environment we run in, or slows a start: not for the environments of the sides.
"""
POOLS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM")


@dataclass(frozen=True)
class Side:
    """Whose interpreter runs the cases, and what it is called in reports."""

    name: str
    python: Path
    revision: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, *, threads: int) -> dict[str, str]:
        """Return the variables of a process of this side: few threads, one order of hashes."""
        kept = {name: value for name, value in os.environ.items() if name not in HERE}
        pools = {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS}
        pools |= {"POLARS_MAX_THREADS": str(threads), "PYTHONHASHSEED": "0"}
        return {**kept, **pools, **self.variables}


def side_of(said: str, *, repository: Path, scratch: Path) -> Side:
    """Return a side: a Python, a checkout whose `.venv` is used as it stands, or a git revision.

    A revision is checked out beside the repository's own files, under `scratch`, and `uv sync`
    makes its environment there.

    Raises:
        ConfigError: It is none of these.
        RunError: git or uv failed; what it said is in the message.
    """
    path = Path(said)
    if path.is_dir() and (path / ".venv").is_dir():
        return Side(said, _python(path / ".venv"), _revision(path, "HEAD"))
    if path.is_file() and os.access(path, os.X_OK):
        return Side(said, path.absolute())
    revision = _revision(repository, said)
    if not revision:
        msg = f"'{said}' is no git revision, checkout or Python."
        raise ConfigError(
            msg,
            where=str(repository),
            do="Name a commit, tag or branch of the repository that you are in (or --repository), "
            "a folder with a .venv, or a Python.",
        )
    return Side(said, _built(revision, repository=repository, scratch=scratch), revision)


def remove(repository: Path, scratch: Path) -> None:
    """Take the checkouts away again."""
    shutil.rmtree(scratch, ignore_errors=True)
    subprocess.run(
        ["git", "-C", str(repository), "worktree", "prune"], check=False, capture_output=True
    )


def _built(revision: str, *, repository: Path, scratch: Path) -> Path:
    tree = scratch / revision[:12]
    if not tree.exists():
        add = ["worktree", "add", "--quiet", "--detach", str(tree), revision]
        output_of(["git", "-C", str(repository), *add])
        output_of([*_uv(), "sync", "--quiet", "--python", _base_python()], folder=tree)
    return _python(tree / ".venv")


def output_of(
    command: Sequence[str], *, folder: Path | None = None, variables: Mapping[str, str] = {}
) -> str:
    """Run a command and return what it printed.

    Raises:
        RunError: It failed or is not there.
    """
    kept = {name: value for name, value in os.environ.items() if name not in HERE}
    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            env={**kept, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        msg = f"There is no '{command[0]}' here."
        raise RunError(msg, do="Install it first.") from error
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-15:])
        msg = f"'{Path(command[0]).name}' failed."
        raise RunError(msg, where=" ".join(command), do=last)
    return done.stdout.strip()


def _revision(repository: Path, name: str) -> str:
    wanted = f"{name}^{{commit}}"
    try:
        return output_of(
            [
                "git",
                "-C",
                str(repository),
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                wanted,
            ]
        )
    except RunError:
        return ""


def _uv() -> list[str]:
    uv = os.environ.get("UV") or shutil.which("uv")
    return [uv] if uv else [_base_python(), "-m", "uv"]


def _base_python() -> str:
    return str(getattr(sys, "_base_executable", sys.executable))


def _python(environment: Path) -> Path:
    windows = environment / "Scripts" / "python.exe"
    return (windows if windows.exists() else environment / "bin" / "python").absolute()
