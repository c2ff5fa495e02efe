"""What is usual, from numbers that can be followed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netvigil_tabular.usual import FLOOR, RIDGE, Usual, floored


def learn(code, squared, *, held_out=0, pieces=1, seed=0) -> Usual:
    """Learn from codes and squared residuals that are given; blocks hold row numbers."""
    code, squared = torch.tensor(code), torch.tensor(squared)

    def residuals(rows):
        rows = torch.from_numpy(rows[:, 0].astype(np.int64))
        return code[rows], squared[rows]

    rows = np.arange(len(code), dtype=np.float32)[:, None]
    return Usual.learn(
        np.array_split(rows, pieces), residuals, flows=len(code), held_out=held_out, seed=seed
    )


def drawn(flows=500, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.standard_normal((flows, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + [5.0, -3.0]
    return code.astype(np.float32), rng.random((flows, 3)).astype(np.float32)


def test_residuals_are_means_over_the_flows_held_out():
    squared = [[1.0, 8.0], [1.0, 8.0], [2.0, 3.0], [4.0, 5.0]]
    code = [[0.0], [1.0], [2.0], [3.0]]
    for pieces in (1, 2, 4):
        assert learn(code, squared, held_out=2, pieces=pieces).residual.tolist() == [3, 4]
        assert learn(code, squared, pieces=pieces).residual.tolist() == [2, 6]


def test_whitened_codes_have_no_mean_no_correlation_and_variance_one():
    code, squared = drawn()
    usual = learn(code, squared, pieces=3)
    white = usual.whitened(torch.from_numpy(code))
    assert white.mean(0).abs().max() < 1e-4
    covariance = np.cov(white.numpy().T, bias=True)
    # The ridge takes a little from the narrower direction.
    np.testing.assert_allclose(covariance, np.eye(2), atol=0.05)


def test_the_length_of_a_whitened_code_is_the_mahalanobis_distance():
    code, squared = drawn()
    usual = learn(code, squared)
    wide = code.astype(float)
    spread = np.cov(wide.T, bias=True)
    spread += np.eye(2) * RIDGE * np.trace(spread) / 2
    off = wide - wide.mean(0)
    wanted = np.sqrt(np.einsum("ni,ij,nj->n", off, np.linalg.inv(spread), off))
    found = usual.whitened(torch.from_numpy(code)).norm(dim=1).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_the_nth_nearest_is_found_by_sorting_all():
    code, squared = drawn(300)
    usual = learn(code, squared)
    probe = usual.whitened(torch.from_numpy(drawn(40, seed=1)[0]))
    every = torch.cdist(probe.double(), usual.sample.double()).sort(1).values
    for nth in (1, 5, 300):
        torch.testing.assert_close(
            usual.distance(probe, nth).double(), every[:, nth - 1], rtol=1e-4, atol=1e-5
        )


def test_of_fewer_train_codes_than_neighbours_the_farthest_counts():
    usual = learn([[0.0], [2.0]], [[1.0], [1.0]])
    probe = usual.sample[:1]
    assert usual.distance(probe, 5).item() == pytest.approx(usual.distance(probe, 2).item())
    assert usual.distance(probe, 1).item() == 0


def test_the_sample_of_codes_is_the_seeds_own_wherever_blocks_end(monkeypatch):
    monkeypatch.setattr("netvigil_tabular.usual.SAMPLE", 50)
    code, squared = drawn()
    one, other = learn(code, squared, pieces=1), learn(code, squared, pieces=7)
    assert one.sample.shape == (50, 2)
    torch.testing.assert_close(one.sample, other.sample)
    assert not torch.equal(one.sample, learn(code, squared, seed=1).sample)


def test_a_feature_that_is_reconstructed_to_rounding_does_not_rule():
    assert floored(torch.tensor([1e-12, 1.0, 3.0])).tolist() == pytest.approx([FLOOR, 1, 3])
    assert floored(torch.zeros(3)).tolist() == [1, 1, 1]


def test_codes_that_are_all_alike_are_only_centred():
    usual = learn([[4.0, 4.0]], [[1.0]])
    assert usual.whitened(torch.tensor([[5.0, 2.0]])).tolist() == [[1.0, -2.0]]
