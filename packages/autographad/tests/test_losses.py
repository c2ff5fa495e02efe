from __future__ import annotations

import math

import pytest
import torch

from netvigil_autographad import losses


def test_squared_error_is_the_mean_over_features():
    x, decoded = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[2.0, 4.0], [0.0, 1.0]])
    assert losses.feature_error(x, decoded, "mse").tolist() == [2.5, 0.5]
    assert losses.feature_loss(x, decoded, "mse").item() == 1.5
    masked = torch.tensor([1.0, 0.0])
    assert losses.feature_loss(x, decoded, "mse", masked).item() == 2.5
    assert losses.feature_loss(x, decoded, "mse", torch.zeros(2)).item() == 0


def test_cosine_error_is_one_minus_cosine():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    decoded = torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [1.0, 1.0]])
    assert losses.feature_error(x, decoded, "cosine").tolist() == [0.0, 1.0, 2.0, 1.0]
    assert losses.feature_loss(x, decoded, "cosine").item() == 1.0


def test_link_error_is_binary_cross_entropy():
    logit = torch.tensor([0.0, math.log(3)])
    linked = losses.link_error(logit, linked=True)  # -log sigmoid
    assert linked.tolist() == pytest.approx([math.log(2), -math.log(3 / 4)])
    missing = losses.link_error(logit, linked=False)  # -log(1 - sigmoid)
    assert missing.tolist() == pytest.approx([math.log(2), -math.log(1 / 4)])


def test_both_kinds_of_links_weigh_the_same_whatever_their_number():
    positive, negative = torch.zeros(100, 2), torch.full((7, 2), math.log(3))
    weight = torch.ones(7, 2)
    wanted = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert losses.structure_loss(positive, negative, weight).item() == pytest.approx(wanted)
    weight[3:] = 0
    assert losses.structure_loss(positive, negative, weight).item() == pytest.approx(wanted)
    nothing = losses.structure_loss(positive, negative, torch.zeros(7, 2))
    assert nothing.item() == pytest.approx(0.5 * math.log(2))


def test_divergence_from_the_standard_normal():
    mean = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    logvar = torch.tensor([[0.0, 0.0], [0.0, math.log(2)]])
    # -1/2 (1 + 0 - 1 - 1) + -1/2 (1 + log 2 - 4 - 2)
    wanted = [0.0, 0.5 + 0.5 * (5 - math.log(2))]
    assert losses.divergence(mean, logvar, "sum").tolist() == pytest.approx(wanted)
    halved = [value / 2 for value in wanted]
    assert losses.divergence(mean, logvar, "mean").tolist() == pytest.approx(halved)
    other = torch.distributions.Normal(mean[1], (logvar[1] / 2).exp())
    usual = torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    assert torch.distributions.kl_divergence(other, usual).sum().item() == pytest.approx(wanted[1])


def test_inconsistency_ignores_length():
    clean = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert losses.inconsistency(clean, torch.tensor([[5.0, 5.0], [0.0, 1.0]])).tolist() == (
        pytest.approx([0.0, 1.0], abs=1e-6)
    )
