"""Scores of one seed on disk, so that a killed run resumes and ends with the same numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netvigil.cuts import Cuts

Kind = Literal["method", "also", "baseline"]


@dataclass(frozen=True)
class MethodRun:
    """One method's scores for one seed, or for all of them where nothing in it is random.

    Shapes:
        calibrate, test: float64 [flows of that part], in the order of the part's windows
        clusters: int64 [test flows] of a method that makes clusters, else None
        cuts: float64 [test flows] where the cut moves, else None; `cut` is the first one then
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
    clusters: NDArray[np.int64] | None = None
    cuts: NDArray[np.float64] | None = None

    @property
    def test_cuts(self) -> Cuts:
        """The cuts of the test flows, whether they move or not."""
        return self.cut if self.cuts is None else self.cuts


ARRAYS = ("calibrate", "test", "clusters", "cuts")
"""Fields that are arrays, or None."""


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
        described = [{k: v for k, v in vars(run).items() if k not in ARRAYS} for run in self.runs]
        arrays = {
            f"{name}-{i}": getattr(run, name)
            for i, run in enumerate(self.runs)
            for name in ARRAYS
            if getattr(run, name) is not None
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
                MethodRun(
                    **values, **{n: file[f"{n}-{i}"] for n in ARRAYS if f"{n}-{i}" in file.files}
                )
                for i, values in enumerate(described["runs"])
            )
        return SeedResults(described["seed"], runs, described["accelerator"])
