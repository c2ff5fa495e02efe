"""All that a trial can reach: the windows of the train and calibration parts, and nothing else.

The flows themselves are dropped once the windows are spooled, so no trial can read the test part,
and labels are kept only for the objective that reads them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netvigil.config import Experiment
from netvigil.errors import RunError
from netvigil.phases import Phases
from netvigil.pipeline import Assembly
from netvigil.plugins import Plugins
from netvigil.prepare import HELD_OUT, prepare
from netvigil.store import inline_path
from netvigil.tuning.objectives import Goal, Truth
from netvigil.windows import SpooledWindows

_NOTE = "material.json"
_LABELS = "calibrate-labels.npz"


@dataclass(frozen=True)
class Material:
    """Prepared windows, in the order of their flows; `truth` only where the objective reads it.

    `held_out` is there for scorers that calibrate themselves. `preparation` is what they were
    prepared by, which every trial must share.
    """

    train: SpooledWindows
    calibrate: SpooledWindows
    truth: Truth | None
    held_out: SpooledWindows | None
    preparation: Mapping[str, Any]
    flows: int

    @staticmethod
    def exists(folder: Path) -> bool:
        """Say whether a folder holds a whole one."""
        return (folder / _NOTE).exists()

    @staticmethod
    def make(
        experiment: Experiment,
        assembly: Assembly,
        plugins: Plugins,
        goal: Goal,
        *,
        folder: Path,
        phases: Phases,
    ) -> None:
        """Prepare the train and calibration parts in `folder`.

        Raises:
            RunError: The objective reads labels, and those of the calibration part are of one
                class or unknown.
        """
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        prepared = prepare(experiment, assembly, plugins, work=folder, phases=phases, test=False)
        if goal.labels:
            nothing = np.zeros(prepared.windows["calibrate"].flows)
            seen = prepared.calibration(nothing, supervised=True)
            assert seen.is_attack is not None
            assert seen.known is not None
            truth = Truth(seen.is_attack, seen.known)
            if reason := truth.ranking(nothing).one_class():
                msg = f"The calibration part cannot judge a trial: {reason}."
                do = "Choose a label-free objective, or move split.train and split.calibrate."
                raise RunError(msg, where=f"objective '{goal.name}'", do=do)
            np.savez(folder / _LABELS, is_attack=truth.is_attack, known=truth.known)
        store = prepared.store.path
        if store.parent == folder:  # not a source that is a store itself
            store.unlink()
            inline_path(store).unlink(missing_ok=True)
        note = {"preparation": preparation(experiment, assembly), "flows": len(prepared.store)}
        (folder / _NOTE).write_text(json.dumps(note), "utf-8")

    @staticmethod
    def open(folder: Path) -> Material:
        """Map what `make` wrote."""
        note = json.loads((folder / _NOTE).read_text("utf-8"))
        truth = None
        if (folder / _LABELS).exists():
            with np.load(folder / _LABELS, allow_pickle=False) as labels:
                truth = Truth(labels["is_attack"], labels["known"])
        held_out = folder / f"windows-{HELD_OUT}"
        return Material(
            train=SpooledWindows.open(folder / "windows-train"),
            calibrate=SpooledWindows.open(folder / "windows-calibrate"),
            truth=truth,
            held_out=SpooledWindows.open(held_out) if held_out.exists() else None,
            preparation=note["preparation"],
            flows=note["flows"],
        )


def preparation(experiment: Experiment, assembly: Assembly) -> dict[str, Any]:
    """Return everything that decides what the windows hold, as JSON values."""
    sections = {"flows", "labels", "split", "train", "features"}
    values = experiment.model_dump(mode="json", include=sections) | {
        "transforms": [chosen.describe() for chosen in assembly.transforms],
        "builder": assembly.builder.describe(),
        "labeller": assembly.labeller.describe() if assembly.labeller else None,
        "seed": experiment.run.seeds[0],
        "held_out": assembly.calibrated,
    }
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
