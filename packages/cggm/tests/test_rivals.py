from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil.errors import ContractError, NotFittedError
from netvigil_cggm.rivals import BlockModel, Copula, Smote, largest

RIVALS = [Smote, Copula, BlockModel]


def test_the_largest_by_hand():
    value = np.array([[[9.0, 1, 5], [4, 9, 2], [3, 0, 9]]])
    kept = largest(value, np.array([2]))
    assert np.argwhere(kept[0]).tolist() == [[0, 2], [1, 0]]
    assert largest(value, np.array([6])).sum() == 6


@pytest.mark.parametrize("many", [1, 2, 4, 30])
def test_smote_draws_between_a_row_and_one_of_its_five_nearest(many):
    rng = np.random.default_rng(many)
    rows = rng.random((many, 3)).astype(np.float32)
    made = Smote()._draw(rows, 200, rng)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    near = np.argsort(apart, axis=1, kind="stable")[:, 1:6]  # the nearest of all is the row itself
    ends = np.array([(i, j) for i in range(many) for j in near[i]] or [(0, 0)])
    first, second = rows[ends[:, 0]], rows[ends[:, 1]]
    along = second - first
    share = ((made[:, None] - first) * along).sum(2) / np.maximum((along**2).sum(1), 1e-12)
    nearest = first + np.clip(share, 0, 1)[..., None] * along
    assert np.linalg.norm(made[:, None] - nearest, axis=2).min(1).max() < 1e-6


@pytest.mark.parametrize("rival", RIVALS)
def test_what_they_make(make_snapshots, rival):
    real = make_snapshots(30)
    fitted = rival().fit_snapshots(real, seed=0)
    label = np.tile(np.arange(12) % 3, (20, 1))
    made, again = fitted.sample(label, seed=1), fitted.sample(label, seed=1)
    assert np.array_equal(made.label, label)
    assert np.array_equal(made.x, again.x)
    assert np.array_equal(made.links, again.links)
    assert set(made.edges().tolist()) <= set(real.edges().tolist())
    low, high = real.x.min((0, 1)), real.x.max((0, 1))
    assert ((made.x >= low - 1e-6) & (made.x <= high + 1e-6)).all()
    for number in range(3):
        wanted = real.x[real.label == number].mean(0)
        np.testing.assert_allclose(made.x[label == number].mean(0), wanted, atol=0.08)


def test_a_copula_keeps_correlations(make_snapshots):
    rng = np.random.default_rng(0)
    real = make_snapshots(30)
    common = rng.random((30, 12, 1))
    x = np.concatenate([common, common**3, 1 - common, rng.random((30, 12, 1))], -1)
    real = replace(
        real,
        x=x.astype(np.float32),
        label=np.zeros_like(real.label),
        active=np.ones_like(real.active),
    )
    made = Copula().fit_snapshots(real, seed=0).sample(np.zeros((60, 12), np.int64), seed=0)
    rank = np.corrcoef(made.x.reshape(-1, 4).T)
    assert rank[0, 2] < -0.95
    assert rank[0, 1] > 0.85
    assert abs(rank[0, 3]) < 0.15


def test_a_block_model_keeps_who_links_to_whom(make_snapshots):
    real = make_snapshots(60)
    links = real.links & (real.label[:, :, None] == 0) & (real.label[:, None, :] == 0)
    real = replace(real, links=links)
    made = BlockModel().fit_snapshots(real, seed=0).sample(real.label, seed=0)
    window, src, dst = np.nonzero(made.links)
    inside = (made.label[window, src] == 0) & (made.label[window, dst] == 0)
    by_chance = (real.label == 0).mean() ** 2
    assert inside.mean() > 1 - (1 - by_chance) / 2


def test_one_node_of_a_class_is_enough(snapshots):
    label = np.zeros_like(snapshots.label)
    label[0, int(np.argmax(snapshots.active[0]))] = 2
    real = replace(snapshots, label=label)
    for rival in RIVALS:
        made = rival().fit_snapshots(real, seed=0).sample(np.full((2, 12), 2), seed=0)
        np.testing.assert_allclose(made.x, np.broadcast_to(real.x[label == 2], made.x.shape))
        with pytest.raises(ContractError, match="these classes: dos"):
            rival().fit_snapshots(real, seed=0).sample(np.full((2, 12), 1), seed=0)
        with pytest.raises(NotFittedError):
            rival().sample(label, seed=0)
