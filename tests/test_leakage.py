"""Random labels leave every unsupervised part as it was, bit by bit; future parts too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netvigil import learn, parts
from netvigil.config import parse_experiment
from netvigil.phases import Phases
from netvigil.pipeline import assemble
from netvigil.plugins import load_plugins
from netvigil.prepare import prepare
from netvigil.seeds import SeedResults

from .commands import UNSW, randomly_labelled

PLUGINS = load_plugins()
FEW_EPOCHS = {"epochs": 2}
FEW_PASSES = {"nystroem-ocsvm": {"passes": 5}}
ENCODERS = [part.part for part in PLUGINS.of(parts.Encoder)]
SCORERS = [part.part for part in PLUGINS.of(parts.Scorer)]
TRANSFORMS = [part.part for part in PLUGINS.of(parts.FlowTransform) if not part.part.supervised]
THRESHOLDS = [part.part for part in PLUGINS.of(parts.Threshold) if not part.part.supervised]
FIRST = ("clean", "log1p", "robust-scale", "categories")
"""What other transforms are put after: they make numbers of what a reader gives."""


@pytest.fixture(scope="module")
def sources(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The first flows of a real file, with their labels and with random ones."""
    folder = tmp_path_factory.mktemp("labels")
    rows = (data / UNSW).read_text("utf-8-sig").splitlines()[:2500]
    (folder / "true.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return [folder / "true.csv", randomly_labelled(folder / "true.csv", folder / "no.csv", seed=7)]


def learnt(source: Path, work: Path, **sections: Any) -> SeedResults:
    """Prepare, fit and score one seed; nothing is judged."""
    values: dict[str, Any] = {
        "flows": {"source": str(source)},
        "labels": {"labeller": "inline"},
        "split": {"axis": "flows"},
        "graph": {"builder": "flow-host"},
        "evaluate": {"baselines": []},
        "run": {"seeds": [0], "device": "cpu"},
    }
    experiment = parse_experiment(values | sections, base=work)
    assembly = assemble(experiment, PLUGINS, base=work)
    prepared = prepare(experiment, assembly, PLUGINS, work=work, phases=Phases())
    return learn.run_seed(prepared, 0, Phases())


def require_same(sources: list[Path], tmp_path: Path, **sections: Any) -> None:
    """Require the same scores and cuts of every method, whatever the labels say."""
    found = []
    for source in sources:
        work = tmp_path / source.stem
        work.mkdir()
        found.append(learnt(source, work, **sections))
    for first, second in zip(*(result.runs for result in found), strict=True):
        assert first.method == second.method
        assert first.cut == second.cut, first.method
        assert np.array_equal(first.test, second.test), first.method
        assert np.array_equal(first.calibrate, second.calibrate), first.method


@pytest.mark.parametrize("part", ENCODERS, ids=lambda part: part.name)
def test_encoders(part: parts.Encoder, sources: list[Path], tmp_path: Path) -> None:
    encoder: dict[str, Any] = {"name": part.name}
    if "epochs" in part.config.model_fields:
        encoder |= FEW_EPOCHS
    scorer = "hbos" if "embedding" in part.emits else "weighted-terms"
    require_same(sources, tmp_path, encoder=encoder, scorer={"name": scorer})


def test_scorers(sources: list[Path], tmp_path: Path) -> None:
    also: list[Any] = [part.name for part in SCORERS if part.name not in {"fused", *FEW_PASSES}]
    also += [{"name": name, **settings} for name, settings in FEW_PASSES.items()]
    require_same(
        sources,
        tmp_path,
        encoder={"name": "raw", "beside": ["rarity", "context"]},
        scorer={"name": "fused"},
        evaluate={"baselines": [], "also": also},
    )


@pytest.mark.parametrize("part", TRANSFORMS, ids=lambda part: part.name)
def test_transforms(part: parts.FlowTransform, sources: list[Path], tmp_path: Path) -> None:
    own: Any = part.name
    if "epochs" in part.config.model_fields:
        own = {"name": part.name, **FEW_EPOCHS}
    chain = [*(name for name in FIRST if name != part.name), own]
    if part.name in FIRST:
        chain = list(FIRST)
    require_same(
        sources, tmp_path, features={"transforms": chain}, scorer={"name": "pca"}, encoder={}
    )


@pytest.mark.parametrize("part", THRESHOLDS, ids=lambda part: part.name)
def test_thresholds(part: parts.Threshold, sources: list[Path], tmp_path: Path) -> None:
    settings = {"value": 1.0} if part.name == "fixed" else {}
    require_same(sources, tmp_path, threshold={"name": part.name, **settings})


def test_a_part_that_reads_labels_is_caught(sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        require_same(sources, tmp_path, train={"drop_attacks": True})
