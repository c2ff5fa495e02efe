"""Finished run folders and what their receipts say; figures are somebody else's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from netvigil.errors import ConfigError, RunError
from netvigil.evaluation import Receipt
from netvigil.suite import SuiteNote

RECEIPT = "receipt.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class Run:
    """One finished run; `at` names its value on each axis where it is one of a suite.

    `base` is what an axis stays at while another one moves, empty where a suite combines them all.
    `folder` is where it lies.
    """

    name: str
    receipt: Receipt
    at: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    base: Mapping[str, str] = field(default_factory=dict)

    @property
    def moved(self) -> list[str]:
        """The axes on which it differs from the base."""
        return [axis for axis, value in self.base.items() if self.at[axis] != value]


def find_runs(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Read run folders, and those within folders that hold some, such as a suite's.

    Returns the runs and notes on what was left out. A run is called by its path within the folder
    that was searched; by the whole path where two would have one name.

    Raises:
        ConfigError: A folder that is no finished run and holds none.
        RunError: A receipt that is damaged or of another version.
    """
    found: dict[Path, Run] = {}
    notes: list[str] = []
    for folder in folders:
        here = list(_search(folder, notes))
        if not here:
            raise _no_run(folder)
        for path, run in here:
            found.setdefault(path.resolve(), run)
    times = Counter(run.name for run in found.values())
    named = [
        run if times[run.name] == 1 else replace(run, name=path.as_posix())
        for path, run in found.items()
    ]
    return named, notes


def _search(folder: Path, notes: list[str]) -> Iterator[tuple[Path, Run]]:
    """Yield the runs at or below a folder with their paths, a suite's in its order."""
    if folder.name == RECEIPT:
        folder = folder.parent
    if folder.name.endswith(PARTIAL):
        return
    if (folder / RECEIPT).is_file():
        yield folder, _read(folder, folder.resolve().name)
        return
    paths = []
    for top, inner, files in os.walk(folder):
        path = Path(top)
        if RECEIPT in files:
            paths.append(path)
            inner.clear()
            continue
        unfinished = sorted(name for name in inner if name.endswith(PARTIAL))
        notes += [f"{path / name} is unfinished and left out." for name in unfinished]
        inner[:] = sorted(set(inner) - set(unfinished))
    suites = {path: note for path in _above(paths, folder) if (note := SuiteNote.read(path))}
    for place in sorted((_placed(path, suites) for path in paths), key=lambda each: each.order):
        name = place.path.relative_to(folder).as_posix()
        yield place.path, replace(_read(place.path, name), at=place.at, base=place.base)


def _above(paths: Sequence[Path], folder: Path) -> set[Path]:
    """Return the folders from `folder` down to each run's parent."""
    return {
        above
        for path in paths
        for above in path.parents
        if above == folder or folder in above.parents
    }


class _Place(NamedTuple):
    """Where a run stands in its suite, if in one: its values on the axes, and what sorts it."""

    path: Path
    at: Mapping[str, str]
    base: Mapping[str, str]
    order: tuple[str, int, str]


def _placed(path: Path, suites: Mapping[Path, SuiteNote]) -> _Place:
    for suite, note in suites.items():
        if suite in path.parents:
            name = path.relative_to(suite).as_posix()
            if name in note.combinations:
                number = list(note.combinations).index(name)
                at = note.combinations[name].at
                return _Place(path, at, note.base, (suite.as_posix(), number, name))
    return _Place(path, {}, {}, (path.as_posix(), 0, ""))


def _read(folder: Path, name: str) -> Run:
    path = folder / RECEIPT
    try:
        return Run(name, Receipt.from_json(path.read_bytes()), folder=folder)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the document"
        msg = "The receipt is damaged, or of another version of netvigil."
        do = "Run it again, or leave it out."
        raise RunError(msg, where=f"{path}: {place}: {first['msg']}", do=do) from error


def _no_run(folder: Path) -> ConfigError:
    if not folder.exists():
        return ConfigError("There is no such run folder.", where=str(folder))
    if folder.name.endswith(PARTIAL):
        do = "Finish it with `netvigil run FILE --resume`."
        return ConfigError("This run is unfinished.", where=str(folder), do=do)
    msg = "This is no run folder, and none lies within."
    do = "A run folder holds receipt.json; `netvigil run` writes one."
    return ConfigError(msg, where=str(folder), do=do)
