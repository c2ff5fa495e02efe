from __future__ import annotations

import numpy as np
import pytest

from netvigil.errors import ConfigError, NetvigilError
from netvigil_cggm.__main__ import means, read, table
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.snapshots import chronological, joined
from netvigil_cggm.study import (
    Parts,
    Study,
    balance,
    fidelities,
    generators,
    merged,
    taught,
    variants,
)

QUICK = CggmConfig(steps=2, batch=4, critic_steps=1, hidden=8, device="cpu")
NAMES = ("smote", "copula", "block model", "tvae", "ctgan", "tablegan", "graphrnn")


@pytest.fixture(scope="module")
def done(make_snapshots):
    parts = Parts(*chronological(make_snapshots(20), 0.7))
    study = Study(
        cggm=QUICK,
        classifier_steps=20,
        rivals=NAMES,
        rival_steps=2,
        densities=(0.4,),
        backbones=("linear",),
    )
    return parts, study, generators(parts, study, seed=0)


def test_tables(done):
    parts, study, fitted = done
    assert list(fitted) == ["cggm", *NAMES]
    found = fidelities(parts, {name: fitted[name] for name in ("cggm", "smote")}, seed=0)
    assert list(found) == ["real (train)", "cggm", "smote"]
    assert found["smote"].wasserstein < found["cggm"].wasserstein
    counts = balance(parts, study)
    assert sum(row[1] for row in counts) == 14 * 12
    assert [row[3] for row in counts] == [56, 56, 56]


def test_node_classifiers_beat_the_control(done):
    parts, _, fitted = done
    settings = Study(cggm=QUICK, classifier_steps=80, told=(0.1,))
    few = {name: fitted[name] for name in ("cggm", "smote", "block model")}
    rows = {(row.model, row.taught_by): row for row in taught(parts, few, settings, seed=0)}
    control = "shuffled labels (control)"
    assert {model for model, _ in rows} == {"gcn", "sage", "graphsgan"}
    assert ("graphsgan", "real, 10% of labels") in rows
    for name in ("smote", "block model"):
        best = rows["sage", name].active.f1
        assert best > rows["sage", control].active.f1 + 0.2, name
    assert all(0 <= value <= 1 for row in rows.values() for value in (*row.every, *row.active))


def test_binary_lessons_are_half_attacks(done, monkeypatch):
    parts, study, fitted = done
    seen = []

    def fit(self, snapshots, *, seed):
        seen.append(snapshots)
        return original(self, snapshots, seed=seed)

    from netvigil_cggm.classifiers import NodeClassifier

    original = NodeClassifier.fit
    monkeypatch.setattr(NodeClassifier, "fit", fit)
    few = {name: fitted[name] for name in ("cggm", "smote")}
    rows = list(taught(parts, few, study, seed=0, task="binary", real=False))
    assert {row.task for row in rows} == {"binary"}
    for lesson in seen:
        assert lesson.classes == ("normal", "attack")
        assert lesson.balance().tolist() == [84, 84]


def test_merged(make_snapshots):
    real = make_snapshots(3)
    assert np.array_equal(merged(real).label, real.label > 0)


def test_variants_are_what_they_are_called(done):
    parts, study, _ = done
    found = variants(parts, study, seed=0)
    assert list(found) == ["density 0.4", "linear backbone"]
    dense = found["density 0.4"].sample(parts.train.label, seed=0)
    assert dense.density().mean() == pytest.approx(0.4, abs=0.01)


def test_joined(make_snapshots):
    one, two = make_snapshots(3), make_snapshots(4)
    whole = joined([one, two])
    assert len(whole) == 7
    assert np.array_equal(whole.x[3:], two.x)


def test_a_table_of_means():
    rows = means([("a", 0, 1.0), ("a", 1, 3.0)], 1)
    assert table(("name", "value"), rows).splitlines()[2:] == ["| a | 2.000 ± 1.000 |"]


def test_a_study_is_read(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('sources = ["a.csv"]\nseeds = [3]\n[cggm]\nsteps = 7\n')
    study = read(file, (), "cpu", ["cggm.batch=2", "window_flows=9"])
    assert study.sources == (tmp_path / "a.csv",)
    assert (study.seeds, study.window_flows) == ((3,), 9)
    assert (study.cggm.steps, study.cggm.batch, study.cggm.device) == (7, 2, "cpu")
    assert read(file, (1, 2)).seeds == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds = [", "no study that can be read"),
        ("steps = 3", "steps"),
        ("densities = [1.0]", "densities"),
        ("seeds = []", "seeds"),
    ],
)
def test_what_is_no_study_is_refused(tmp_path, text, said):
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["cggm", "cggm=3", "seeds.x=1"])
def test_a_setting_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "study.toml"
    file.write_text('sources = ["a.csv"]\nseeds = [3]')
    with pytest.raises(ConfigError):
        read(file, overrides=[text])


def test_an_unknown_rival_is_refused(done):
    parts, study, _ = done
    with pytest.raises(NetvigilError, match="No rival is called 'smot'"):
        generators(parts, study.model_copy(update={"rivals": ("smot",)}), seed=0)
