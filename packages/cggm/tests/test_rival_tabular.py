from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from netvigil.errors import ConfigError, ContractError, NotFittedError
from netvigil.protocols import Watch
from netvigil.torch.generators import generator
from netvigil_cggm.rival_rows import Classes
from netvigil_cggm.rival_tabular import Ctgan, CtganSettings, Lesson, Tvae, TvaeSettings, unlikely


def tvae(steps=150):
    pace = {"learning_rate": 5e-3}
    return Tvae(TvaeSettings(steps, 100, hidden=64, latent=4, modes=3, **pace))


def ctgan(steps=250):
    pace = {"learning_rate": 2e-3}
    return Ctgan(CtganSettings(steps, 60, hidden=64, noise=8, modes=3, pac=3, **pace))


@pytest.fixture(scope="module", params=[tvae, ctgan])
def kind(request):
    return request.param


def test_each_class_is_made_like_its_own(make_snapshots, kind):
    real, told = make_snapshots(30), []
    one = kind()
    one.watch(Watch(write=lambda **line: told.append(line)))
    made = one.fit_snapshots(real, seed=0).sample(np.tile(np.arange(12) % 3, (20, 1)), seed=1)
    assert [line["step"] for line in told][:2] == [0, 50]
    assert set(made.edges().tolist()) <= set(real.edges().tolist())
    assert ((made.x >= real.x.min((0, 1)) - 1e-6) & (made.x <= real.x.max((0, 1)) + 1e-6)).all()
    middle = np.stack([real.x[real.label == number].mean(0) for number in range(3)])
    for number in range(3):
        rows = made.x[made.label == number]
        apart = np.linalg.norm(rows[:, None] - middle, axis=2)
        assert (apart.argmin(1) == number).mean() > 0.75, number
        assert rows.std(0).max() > 0.01  # and not one row again and again


def test_a_seed_decides(make_snapshots, kind):
    real = make_snapshots(10)
    label = real.label[:3]
    one, two, other = (kind(5).fit_snapshots(real, seed=seed) for seed in (0, 0, 1))
    first = one.sample(label, seed=4)
    again = two.sample(label, seed=4)
    assert np.array_equal(first.x, again.x)
    assert np.array_equal(first.links, again.links)
    assert not np.array_equal(first.x, one.sample(label, seed=5).x)
    assert not np.array_equal(first.x, other.sample(label, seed=4).x)


def test_constant_features_and_single_nodes(snapshots, kind):
    label = np.zeros_like(snapshots.label)
    label[0, int(np.argmax(snapshots.active[0]))] = 2
    x = snapshots.x.copy()
    x[..., 2] = 0.0
    real = replace(snapshots, label=label, x=x)
    fitted = kind(3).fit_snapshots(real, seed=0)
    made = fitted.sample(np.full((2, 12), 2), seed=0)
    assert (made.x[..., 2] == 0).all()
    with pytest.raises(ContractError, match="these classes: dos"):
        fitted.sample(np.full((2, 12), 1), seed=0)
    with pytest.raises(NotFittedError):
        kind().sample(label, seed=0)
    still = replace(real, x=np.zeros_like(x))
    assert not kind(3).fit_snapshots(still, seed=0).sample(label, seed=0).x.any()


def test_packs_divide_the_batch():
    with pytest.raises(ConfigError, match="100 rows does not divide into packs of 7"):
        CtganSettings(batch=100, pac=7)


def test_classes_are_drawn_by_the_logarithm_of_their_frequency():
    label = np.repeat([0, 1], [99, 9])
    rows = Classes(label, torch.device("cpu")).rows(20_000, generator(0)).numpy()
    assert label[rows].mean() == pytest.approx(np.log(10) / (np.log(100) + np.log(10)), abs=0.02)
    assert np.bincount(rows)[:99].std() < 30  # each row of a class as often


def test_the_density_of_rows_by_hand():
    rows = Lesson(torch.tensor([[0.5]]), torch.tensor([[1]]), torch.ones(1, 1))
    found = unlikely(rows, torch.tensor([[0.1]]), torch.zeros(1, 1, 4), torch.tensor([0.2]))
    assert float(found) == pytest.approx((0.4 / 0.2) ** 2 / 2 + np.log(0.2) + np.log(4))
