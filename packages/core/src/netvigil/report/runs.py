"""A finished run as the report sees it: receipt, evidence, log and explanations from its folder.

Nothing else of the folder is opened: no bundle, no scores, no source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from netvigil.comparison.runs import find_runs
from netvigil.errors import RunError
from netvigil.evaluation import Headline, MethodResult, Receipt
from netvigil.evidence import FOLDER, Evidence, Facts
from netvigil.explaining.results import FILE, Explanations


class Edge(NamedTuple):
    """A pair of hosts in one bin; `score` is the highest, `attack` the most frequent class."""

    src: str
    dst: str
    flows: int
    bytes: float
    score: float
    alerts: int
    attacks: int
    attack: str
    services: str


@dataclass(frozen=True)
class ReportedRun:
    """One run: its name within the report, its receipt, its evidence, and its log's lines.

    `explanations` are there once `netvigil explain` has run.
    """

    name: str
    folder: Path
    receipt: Receipt
    evidence: Evidence
    log: tuple[Mapping[str, Any], ...]
    explanations: Explanations | None = None

    @property
    def facts(self) -> Facts:
        """What the evidence is about."""
        return self.evidence.facts

    @property
    def headline(self) -> Headline | None:
        """The figures on all known test flows, or None without labels."""
        return self.receipt.evaluation.headline if self.receipt.evaluation else None

    @property
    def own(self) -> MethodResult | None:
        """The figures of the experiment's own method."""
        return self.result(self.facts.method)

    def result(self, method: str) -> MethodResult | None:
        """The figures of one method or baseline, by its name in the table."""
        methods = self.headline.methods if self.headline else ()
        return next((each for each in methods if each.method == method), None)

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """The timeline's table."""
        frame: pd.DataFrame = self.evidence.timeline.to_pandas()
        return frame

    @cached_property
    def edges(self) -> dict[int, list[Edge]]:
        """The edges of each bin that has a graph, by the bin's number."""
        found: dict[int, list[Edge]] = {}
        for row in self.evidence.edges.to_pylist():
            found.setdefault(row.pop("bin"), []).append(Edge(**row))
        return found

    def curves(self, kind: str) -> Iterator[tuple[str, int | None, NDArray[Any], NDArray[Any]]]:
        """Yield method, seed, x and y of each `precision-recall` or `roc` curve."""
        frame = self.evidence.curves.to_pandas()
        frame = frame[(frame["curve"] == kind).to_numpy()]
        seeds = frame["seed"].fillna(-1)
        for (method, seed), part in frame.groupby(
            [frame["method"], seeds], sort=False, observed=True
        ):
            yield str(method), None if seed < 0 else int(seed), *_xy(part)

    def epochs(self) -> Iterator[tuple[int, str, str, NDArray[Any], NDArray[Any]]]:
        """Yield seed, part (`train`, `validation`), term, epochs and values of each loss curve."""
        found: dict[tuple[int, str, str], dict[int, float]] = {}
        for line in self.log:
            if line.get("event") != "epoch":
                continue
            for part in ("train", "validation"):
                terms = line.get(part)
                for term, value in terms.items() if isinstance(terms, dict) else ():
                    if isinstance(value, int | float) and np.isfinite(value):
                        key = int(line["seed"]), part, str(term)
                        # A resumed run repeats an epoch; the later line counts.
                        found.setdefault(key, {})[int(line["epoch"])] = float(value)
        for key, values in found.items():
            epochs = np.array(sorted(values))
            yield *key, epochs, np.array([values[epoch] for epoch in epochs.tolist()])


def open_runs(folders: Sequence[Path]) -> tuple[list[ReportedRun], list[str]]:
    """Read run folders, and those within folders that hold some; returns notes on what is left out.

    Raises:
        ConfigError: A folder that is no finished run and holds none.
        RunError: Something in a run is damaged, or was written by another version.
    """
    found, notes = find_runs(folders)
    runs = [
        ReportedRun(
            run.name,
            run.folder,
            run.receipt,
            Evidence.load(run.folder / FOLDER),
            _log(run.folder),
            Explanations.load(run.folder / FILE),
        )
        for run in found
    ]
    return runs, notes


def open_run(folder: Path) -> ReportedRun:
    """Read one run folder, or the first run of a folder that holds several; raises as above."""
    return open_runs([folder])[0][0]


def _log(folder: Path) -> tuple[Mapping[str, Any], ...]:
    log = folder / "log.jsonl"
    try:
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        return tuple(json.loads(line) for line in lines)
    except ValueError as error:
        msg = "The run's log is damaged."
        do = "Remove it to do without the loss curves, or run the experiment again."
        raise RunError(msg, where=f"{log}: {error}", do=do) from error


def _xy(part: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any]]:
    return part["x"].to_numpy(), part["y"].to_numpy()
