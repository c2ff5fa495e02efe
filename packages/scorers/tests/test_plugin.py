from __future__ import annotations

import subprocess
import sys

import pytest

from netvigil import parts
from netvigil_scorers import benchmarks, plugin

HEAVY = ("pyod", "sklearn", "pandas", "torch", "scipy", "numba", "skops", "threadpoolctl")


def test_the_door_imports_nothing_heavy():
    code = (
        "import sys; import netvigil_scorers.plugin as p; "
        "list(p.netvigil_scorers()), list(p.netvigil_thresholds()), list(p.netvigil_benchmarks()); "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_loaded_detector_scores_without_pyod():
    code = (
        "import sys, numpy as np; from netvigil.contracts import EncodedFlows; "
        "from netvigil.protocols import State; from netvigil_scorers import plugin; "
        "pca = next(p for p in plugin.netvigil_scorers() if p.name == 'pca'); "
        "one, x = np.ones(2), np.ones((1, 2), np.float32); "
        "arrays = dict(mean=0 * one, scale=one, components=np.eye(2), weights=one); "
        "made = pca.make(pca.config()).set_state(State(arrays=arrays, values={'dim': 2})); "
        "row = EncodedFlows(np.arange(1), np.zeros(1, int), embedding=x); "
        "print(made.score(row).score[0], sorted({'pyod', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.0 []"  # each unit vector is 1 away from (1, 1)


def test_netvigil_scorers():
    found = {part.name: part for part in plugin.netvigil_scorers()}
    names = (
        "pca hbos cblof iforest knn lof ocsvm mcd gmm "
        "dbscan hdbscan elliptic-envelope nystroem-ocsvm ecod copod fused weighted-terms"
    )
    assert list(found) == names.split()
    assert all(isinstance(part, parts.Scorer) for part in found.values())
    assert {name for name, part in found.items() if part.trusted_types} == {"iforest", "fused"}
    assert {name for name, part in found.items() if part.needs == "terms"} == {"weighted-terms"}
    assert {name for name, part in found.items() if part.calibrated} == {"fused"}
    assert {name for name, part in found.items() if part.transductive} == {"ecod", "copod"}


def test_netvigil_encoders():
    found = {part.name: part for part in plugin.netvigil_encoders()}
    assert list(found) == ["rarity", "context"]
    assert all(part.emits == {"terms"} and not part.seeded for part in found.values())


def test_netvigil_thresholds():
    names = "quantile target-fpr alerts-per-day evt adaptive mad fixed best-f1 best-f-beta"
    assert [part.name for part in plugin.netvigil_thresholds()] == names.split()


@pytest.mark.parametrize("part", list(plugin.netvigil_benchmarks()), ids=lambda part: part.name)
def test_netvigil_benchmarks(part, monkeypatch):
    monkeypatch.setattr(benchmarks, "TRAIN_FLOWS", 400)
    assert part.room == part.name.partition("-")[0]
    benchmark = part.make(part.config())
    assert benchmark.run(benchmark.setup(300, seed=0)) == 300


@pytest.mark.parametrize(
    "part", [*plugin.netvigil_scorers(), *plugin.netvigil_thresholds()], ids=lambda part: part.name
)
def test_every_setting_is_described(part):
    assert all(field.description for field in part.config.model_fields.values())
