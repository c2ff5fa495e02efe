"""Scores of one seed on disk, so that a killed run resumes and ends with the same numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netvigil.cuts import Cuts

Kind = Literal["method", "also", "baseline"]


@dataclass(frozen=True)
class MethodRun:
    """One method's scores for one seed, or for all of them where nothing in it is random.

    A baseline has no cut where the threshold was given by hand. A classifier also has its `classes`
    and how probable it calls each of them; `binary` where it was taught attack and benign alone.

    Shapes:
        calibrate, test: float64 [flows of that part], in the order of the part's windows
        clusters: int64 [test flows] of a method that makes clusters, else None
        share: float32 [test flows, classes], or None
        cuts: float64 [test flows] where the cut moves, else None; `cut` is the first one then
    """

    method: str
    kind: Kind
    calibrate: NDArray[np.float64]
    test: NDArray[np.float64]
    cut: float | None
    provenance: str
    seeded: bool
    fit_s: float | None
    score_s: float
    clusters: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    binary: bool = False
    share: NDArray[np.float32] | None = None
    cuts: NDArray[np.float64] | None = None

    @property
    def test_cuts(self) -> Cuts:
        """The cuts of the test flows, whether they move or not; infinite where there is none."""
        still = math.inf if self.cut is None else self.cut
        return still if self.cuts is None else self.cuts


ARRAYS = ("calibrate", "test", "clusters", "share", "cuts")
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
            f"{name}-{i}": array
            for i, run in enumerate(self.runs)
            for name in ARRAYS
            if (array := getattr(run, name)) is not None
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
                MethodRun(**values | {"classes": tuple(values["classes"])}, **_arrays(file, i))
                for i, values in enumerate(described["runs"])
            )
        return SeedResults(described["seed"], runs, described["accelerator"])


def _arrays(file: Mapping[str, NDArray[Any]], run: int) -> dict[str, Any]:
    return {name: file[key] for name in ARRAYS if (key := f"{name}-{run}") in file}
