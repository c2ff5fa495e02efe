"""Scores of one seed on disk, so that a killed run resumes and ends with the same numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["method", "also", "baseline"]


@dataclass(frozen=True)
class MethodRun:
    """One method's scores for one seed, or for all of them where nothing in it is random.

    Shapes:
        calibrate, test: float64 [flows of that part], in the order of the part's windows
    """

    method: str
    kind: Kind
    calibrate: NDArray[np.float64]
    test: NDArray[np.float64]
    cut: float
    provenance: str
    seeded: bool
    fit_s: float | None
    score_s: float


@dataclass(frozen=True)
class SeedResults:
    """Every method's scores for one seed; `seed` is None for rules without randomness.

    `accelerator` names the GPU that the encoder was trained on, if it was.
    """

    seed: int | None
    runs: tuple[MethodRun, ...]
    accelerator: str | None = None

    def save(self, path: Path) -> None:
        """Write everything to one file, which appears whole or not at all."""
        described = [
            {k: v for k, v in vars(run).items() if k not in {"calibrate", "test"}}
            for run in self.runs
        ]
        arrays = {
            f"{part}-{i}": getattr(run, part)
            for i, run in enumerate(self.runs)
            for part in ("calibrate", "test")
        }
        text = json.dumps({"seed": self.seed, "accelerator": self.accelerator, "runs": described})
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, described=np.array(text), **arrays)
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> SeedResults:
        """Read them back; object arrays, which could execute code, are refused by NumPy."""
        with np.load(path, allow_pickle=False) as file:
            described = json.loads(str(file["described"]))
            runs = tuple(
                MethodRun(**values, calibrate=file[f"calibrate-{i}"], test=file[f"test-{i}"])
                for i, values in enumerate(described["runs"])
            )
        return SeedResults(described["seed"], runs, described["accelerator"])
