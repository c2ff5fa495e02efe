from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from netvigil_cggm.rival_tablegan import Judge, Square, TableGan, TableGanSettings, information_loss


def quick(steps=100):
    return TableGan(TableGanSettings(steps, 64, noise=8, width=8, learning_rate=2e-3))


@pytest.mark.parametrize(("columns", "side"), [(1, 4), (16, 4), (17, 8), (64, 8), (65, 16)])
def test_rows_as_squares(columns, side):
    square = Square.of(columns)
    assert (square.side, 2 ** (square.layers + 1)) == (side, side)
    rows = torch.rand(3, columns)
    image = square.lay(rows)
    assert image.shape == (3, 1, side, side)
    assert float(image.sum()) == pytest.approx(float(rows.sum()), rel=1e-5)
    assert torch.equal(square.take(image), rows)


def test_a_discriminator_sees_the_class():
    judge = Judge(TableGanSettings(width=4), 2, 1, Square.of(5))
    rows, one, two = torch.rand(6, 5), torch.eye(2)[[0] * 6], torch.eye(2)[[1] * 6]
    assert not torch.allclose(judge(rows, one), judge(rows, two))


def test_information_loss_has_a_margin():
    real = torch.rand(20, 3)
    assert float(information_loss(real, real)) == 0
    assert float(information_loss(real, 2 * real, margin=100)) == 0
    assert float(information_loss(real, 2 * real)) > 0.5


def test_each_class_is_made_like_its_own(make_snapshots):
    real = make_snapshots(30)
    made = quick().fit_snapshots(real, seed=0).sample(np.tile(np.arange(12) % 3, (20, 1)), seed=1)
    assert set(made.edges().tolist()) <= set(real.edges().tolist())
    middle = np.stack([real.x[real.label == number].mean(0) for number in range(3)])
    for number in range(3):
        rows = made.x[made.label == number]
        apart = np.linalg.norm(rows[:, None] - middle, axis=2)
        assert (apart.argmin(1) == number).mean() > 0.75, number


def test_a_seed_decides_and_constants_stay(snapshots):
    x = snapshots.x.copy()
    x[..., 1] = 0.0
    real = replace(snapshots, x=x)
    one, two, other = (quick(2).fit_snapshots(real, seed=seed) for seed in (0, 0, 1))
    made = one.sample(real.label, seed=4)
    assert np.array_equal(made.x, two.sample(real.label, seed=4).x)
    assert not np.array_equal(made.x, other.sample(real.label, seed=4).x)
    assert (made.x[..., 1] == 0).all()
