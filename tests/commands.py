"""Runs the command line in this process, on experiments written for one test."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from netvigil.cli import main

UNSW = "unsw-nb15/UNSW-NB15_1.first20000.csv"
TIMES = {"fit_s", "score_s"}


def netvigil(*args: object, code: int = 0) -> str:
    """Run a command and return what it printed: its result, or its error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
        main([str(arg) for arg in args])
    assert stopped.value.code == code, out.getvalue() + err.getvalue()
    return out.getvalue() if code == 0 else err.getvalue()


def experiment(path: Path, source: object, **sections: dict[str, Any]) -> Path:
    """Write a quick experiment: one seed, few resamples."""
    plain: dict[str, dict[str, Any]] = {
        "flows": {"source": str(source)},
        "labels": {"labeller": "inline"},
        "split": {"axis": "flows"},
        "run": {"seeds": [0]},
        "evaluate": {"resamples": 10, "baselines": []},
    }
    merged = {**plain, **sections}
    lines = []
    for name, values in merged.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {inline(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines), "utf-8")
    return path


def inline(value: object) -> str:
    """Write a value as TOML, tables in braces.

    Example:
        >>> inline({"a.b": [1, {"low": 0.5}]})
        '{"a.b" = [1, {"low" = 0.5}]}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return json.dumps(value)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def scores(path: Path) -> dict[int, float]:
    """Read the score of each flow."""
    table = pq.read_table(path)
    return dict(zip(table["flow_id"].to_pylist(), table["score"].to_pylist(), strict=True))


def without_times(value: object) -> object:
    """Return metrics without what differs from run to run."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list):
        return [without_times(v) for v in value]
    return value


def randomly_labelled(source: Path, target: Path, *, seed: int) -> Path:
    """Write the rows of an UNSW-NB15 file with random labels; no other column differs."""
    rng = np.random.default_rng(seed)
    rows = source.read_text("utf-8-sig").splitlines()
    shuffled = []
    for row, attack in zip(rows, rng.random(len(rows)) < 0.5, strict=True):
        fields = row.split(",")[:47]
        shuffled.append(",".join([*fields, "Fuzzers" if attack else "", str(int(attack))]))
    target.write_text("\n".join(shuffled) + "\n")
    return target


def fitted_files(folder: Path) -> dict[str, bytes]:
    """Return what was learnt in a bundle, file by file, without the notes on where it came from."""
    kinds = ("transform", "scorer", "encoder", "counts", "profile")
    paths = [path for path in sorted(folder.iterdir()) if path.name.startswith(kinds)]
    return {path.name: path.read_bytes() for path in paths}
