"""What a search leaves: `trials.csv`, `best.toml`, `tuning.json`."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import statistics
from collections.abc import Sequence
from typing import Any, Literal

from netvigil.config import Objective, Section
from netvigil.evaluation.table import printable
from netvigil.tuning.objectives import Goal
from netvigil.tuning.study import Trial


class Best(Section):
    """A trial with a value. `each` are the values behind the mean, `sd` their deviation."""

    trial: int
    value: float
    sd: float | None
    each: tuple[float, ...]
    settings: dict[str, Any]


class Tuning(Section):
    """The receipt of a search, `tuning.json`.

    `left_out` are keys of the space that the objective cannot judge; they keep the file's values.
    `train_filter` says whether the file itself takes flows out of the train part by their labels.
    """

    schema_version: Literal["netvigil.tuning/1"] = "netvigil.tuning/1"
    source: str
    sha256: str
    flows: int
    objective: Objective
    direction: Literal["minimize", "maximize"]
    judged_by: str
    reads_labels: bool
    train_filter: bool
    reads_test_part: Literal[False] = False
    space: str
    axes: dict[str, Any]
    left_out: tuple[str, ...]
    points: int | None
    sampler: str
    seed: int
    seeds: tuple[int, ...]
    trials: int
    failed: int
    best: Best
    top: tuple[Best, ...]
    first_failure: str | None
    seconds: float
    versions: dict[str, str]
    code_version: str

    def to_json(self) -> str:
        """Return the document, indented, ending in a newline."""
        return self.model_dump_json(indent=2) + "\n"


def ranked(trials: Sequence[Trial], goal: Goal) -> list[Best]:
    """Return the trials with a value, best first; equal ones by number."""
    found = [
        Best(
            trial=trial.number,
            value=trial.outcome.value,
            sd=statistics.stdev(each) if len(each := trial.outcome.each) > 1 else None,
            each=each,
            settings=trial.point,
        )
        for trial in trials
        if trial.outcome.value is not None
    ]
    return sorted(found, key=lambda best: (goal.better(best.value), best.trial))


def trials_csv(trials: Sequence[Trial], keys: Sequence[str]) -> str:
    """Write every trial as a line; settings as JSON values, one column each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "value", "each", "seconds", *keys, "reason"])
    for trial in trials:
        outcome = trial.outcome
        writer.writerow(
            [
                trial.number,
                "failed" if outcome.value is None else "done",
                "" if outcome.value is None else repr(outcome.value),
                json.dumps(outcome.each),
                f"{outcome.seconds:.3f}",
                *(_cell(trial.point[key]) for key in keys),
                _cell(outcome.reason),
            ]
        )
    return text.getvalue()


def optuna_version() -> dict[str, str]:
    """Return the version of what proposed the trials."""
    return {"optuna": importlib.metadata.version("optuna")}


def _cell(value: Any) -> str:
    """Write a value as text that no spreadsheet takes for a formula."""
    text = printable(value if isinstance(value, str) else json.dumps(value))
    formula = isinstance(value, str) and text[:1] in {"=", "+", "-", "@"}
    return f"'{text}" if formula else text
