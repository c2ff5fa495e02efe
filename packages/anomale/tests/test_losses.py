from __future__ import annotations

import math

import pytest
import torch

from netvigil_anomale.losses import infomax_loss


def test_a_discriminator_that_knows_nothing_costs_two_ln_two() -> None:
    loss = infomax_loss(torch.zeros(4), torch.zeros(4))
    assert loss["total"].item() == pytest.approx(2 * math.log(2))
    assert loss["clean"].item() == pytest.approx(math.log(2))


def test_losses_are_means_of_minus_log_probabilities() -> None:
    # sigmoid(ln 3) = 3/4; sigmoid(-ln 4) = 1/5, so 1 - it = 4/5.
    clean, corrupted = torch.tensor([math.log(3), 0.0]), torch.tensor([-math.log(4), 0.0])
    loss = infomax_loss(clean, corrupted)
    assert loss["clean"].item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert loss["corrupted"].item() == pytest.approx((math.log(5 / 4) + math.log(2)) / 2)
    assert loss["total"].item() == pytest.approx((loss["clean"] + loss["corrupted"]).item())


def test_it_is_the_binary_cross_entropy_of_the_official_code() -> None:
    clean, corrupted = torch.tensor([0.3, -2.0, 5.0]), torch.tensor([1.0, -7.0, 0.1])
    bce = torch.nn.BCEWithLogitsLoss()
    expected = bce(clean, torch.ones(3)) + bce(corrupted, torch.zeros(3))
    assert infomax_loss(clean, corrupted)["total"].item() == pytest.approx(expected.item())


def test_weights_stand_for_repeated_edges() -> None:
    clean, corrupted = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.2])
    counts = torch.tensor([3, 1])
    weighed = infomax_loss(clean, corrupted, counts / 4)
    repeated = infomax_loss(clean.repeat_interleave(counts), corrupted.repeat_interleave(counts))
    assert weighed["total"].item() == pytest.approx(repeated["total"].item())


def test_large_logits_stay_finite() -> None:
    loss = infomax_loss(torch.tensor([-1e4]), torch.tensor([1e4]))
    assert loss["total"].item() == pytest.approx(2e4)
