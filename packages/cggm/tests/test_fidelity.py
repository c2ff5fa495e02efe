from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil.errors import ContractError
from netvigil_cggm.fidelity import (
    clustering,
    discrepancy,
    fidelity,
)


def test_discrepancy_by_hand():
    # One row each, 2 apart: the median distance is 2, so kernels are exp(-1 / (2 factor^2)).
    found = discrepancy(np.array([[0.0]]), np.array([[2.0]]))
    assert found[2] == pytest.approx(2 - 2 * np.exp(-0.5))
    assert (np.diff(found) < 0).all()
    same = np.random.default_rng(0).random((20, 3))
    assert discrepancy(same, same) == pytest.approx(np.zeros(5), abs=1e-12)


def test_clustering_by_hand():
    links = np.zeros((1, 5, 5), bool)
    for a, b in ((0, 1), (1, 2), (2, 0), (0, 3)):
        links[0, a, b] = True
    # Of the three pairs among 1, 2, 3 one is linked; 4 has no neighbour.
    assert clustering(links).tolist() == pytest.approx([1 / 3, 1, 1, 0, 0])


def test_itself_is_near_and_noise_is_far(make_snapshots):
    real, again = make_snapshots(30, seed=0), make_snapshots(30, seed=1)
    near = fidelity(real, again)
    rng = np.random.default_rng(0)
    noise = np.where(real.active[..., None], rng.random(real.x.shape), 0).astype(np.float32)
    far = fidelity(real, replace(real, x=noise))
    same = fidelity(real, real)
    assert same[:8] == pytest.approx([0] * 8, abs=1e-9)
    assert same.nearest == pytest.approx(0, abs=1e-9)  # copies
    assert near.nearest == pytest.approx(1, abs=0.3)
    for name in ("wasserstein", "ks", "mmd_sum", "mmd_mean", "correlation"):
        assert getattr(near, name) < getattr(far, name) / 2, name
    assert near.auc < 0.6
    assert far.auc > 0.8
    assert near == fidelity(real, again)
    assert far.mmd_sum == pytest.approx(5 * far.mmd_mean)


def test_what_cannot_be_compared_is_refused(snapshots):
    with pytest.raises(ContractError, match="other features"):
        fidelity(snapshots, replace(snapshots, feature_names=("a", "b", "c", "d")))
    with pytest.raises(ContractError, match="no snapshots"):
        fidelity(snapshots, snapshots[:0])
