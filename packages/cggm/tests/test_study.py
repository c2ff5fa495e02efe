from __future__ import annotations

import numpy as np
import pytest

from netvigil_cggm.__main__ import table
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.snapshots import chronological, joined
from netvigil_cggm.study import Parts, Study, balance, fidelities, generators, taught

QUICK = CggmConfig(steps=2, batch=4, critic_steps=1, hidden=8, device="cpu")
NAMES = ["cggm", "smote", "copula", "block model", "tvae", "ctgan", "tablegan", "graphrnn"]


@pytest.fixture(scope="module")
def done(make_snapshots):
    parts = Parts(*chronological(make_snapshots(20), 0.7))
    study = Study(config=QUICK, classifier_steps=20, rival_steps=2)
    return parts, study, generators(parts, study, seed=0)


def test_tables(done):
    parts, study, fitted = done
    assert list(fitted)[: len(NAMES)] == NAMES
    few = {name: fitted[name] for name in ("cggm", "smote")}
    found = fidelities(parts, few, seed=0)
    assert list(found) == ["real (train)", *few]
    assert found["smote"].wasserstein < found["cggm"].wasserstein
    counts = balance(parts, study)
    assert sum(row[1] for row in counts) == 14 * 12
    assert [row[3] for row in counts] == [56, 56, 56]


def test_node_classifiers_beat_the_control(done):
    parts, _, fitted = done
    settings = Study(config=QUICK, classifier_steps=80, told=(0.1,))
    few = {name: fitted[name] for name in ("cggm", "smote", "block model")}
    rows = {(row.model, row.taught_by): row for row in taught(parts, few, settings, seed=0)}
    control = "shuffled labels (control)"
    assert {model for model, _ in rows} == {"gcn", "sage", "graphsgan"}
    assert ("graphsgan", "real, 10% of labels") in rows
    for name in ("smote", "block model"):
        best = rows["sage", name].active.f1
        assert best > rows["sage", control].active.f1 + 0.2, name
    assert all(0 <= value <= 1 for row in rows.values() for value in (*row.every, *row.active))


def test_test_snapshots_are_never_read(done, make_snapshots):
    parts, study, fitted = done
    other = Parts(parts.train, make_snapshots(5, seed=3))
    label = parts.train.label[:2]
    for name, one in generators(other, study, seed=0).items():
        made, again = one.sample(label, seed=0), fitted[name].sample(label, seed=0)
        assert np.array_equal(made.x, again.x), name
        assert np.array_equal(made.links, again.links), name


def test_joined(make_snapshots):
    one, two = make_snapshots(3), make_snapshots(4)
    whole = joined([one, two])
    assert len(whole) == 7
    assert np.array_equal(whole.x[3:], two.x)


def test_a_table():
    assert table(("a", "b"), [("x", 0.5), ("y", 2)]).splitlines()[2:] == [
        "| x | 0.5000 |",
        "| y | 2 |",
    ]
