"""Errors, their slopes and KL, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from netvigil_tabular.losses import divergence, errors, kl_loss, slopes

X = torch.tensor([[1.0, 0.0, -2.0, 0.5]])
DECODED = torch.tensor([[3.0, 0.5, -1.0, 0.5]])
LOSSES = ("mse", "mae", "huber", "mixed")


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        ("mse", [4, 0.25, 1, 0]),
        ("mae", [2, 0.5, 1, 0]),
        ("huber", [1.5, 0.125, 0.5, 0]),
        ("mixed", [4 * 1.3, 0.25, 1, 0]),  # -2 weighs as 0 does
    ],
)
def test_errors_by_hand(loss, wanted):
    assert errors(X, DECODED, loss).tolist()[0] == pytest.approx(wanted)


def test_mixed_is_mse_and_a_share_weighted_by_the_feature():
    x, decoded = torch.rand(2, 50, 3, generator=torch.Generator().manual_seed(0))
    squared = (decoded - x) ** 2
    wanted = squared.mean() + 0.3 * (x * squared).mean()
    assert errors(x, decoded, "mixed").mean().item() == pytest.approx(wanted.item())


@pytest.mark.parametrize("loss", LOSSES)
def test_slopes_are_those_of_autograd(loss):
    x, decoded = 2 * torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(1))
    decoded.requires_grad_()
    (wanted,) = torch.autograd.grad(errors(x, decoded, loss).sum(), decoded)
    torch.testing.assert_close(slopes(x, decoded.detach(), loss), wanted)


def test_kl_by_hand():
    mean = torch.tensor([[0.0, 1.0, 0.0]])
    logvar = torch.tensor([[0.0, 0.0, math.log(4)]])
    found = divergence(mean, logvar).tolist()[0]
    assert found == pytest.approx([0, 0.5, 0.5 * (4 - math.log(4) - 1)])


def test_kl_is_pytorchs_own():
    mean, logvar = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(2))
    found = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    wanted = torch.distributions.kl_divergence(found, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(divergence(mean, logvar), wanted)


def test_free_bits_bound_the_mean_of_a_dimension_not_a_flow():
    mean = torch.tensor([[0.0, 0.0], [2.0, 0.2]])
    logvar = torch.zeros(2, 2)
    # By dimension 0 and 2, mean 1; 0 and .02, mean .01.
    assert kl_loss(mean, logvar, 0.0).item() == pytest.approx(1.01)
    assert kl_loss(mean, logvar, 0.3).item() == pytest.approx(1.3)


def test_a_dimension_within_its_free_bits_has_no_gradient():
    mean = torch.tensor([[0.1, 3.0]], requires_grad=True)
    (found,) = torch.autograd.grad(kl_loss(mean, torch.zeros(1, 2), 0.5), mean)
    assert found.tolist() == [[0.0, 3.0]]
