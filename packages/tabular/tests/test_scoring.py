"""Terms by hand, from a network whose reconstruction is known."""

from __future__ import annotations

import pytest
import torch

from netvigil.torch.generators import build, generator
from netvigil_tabular.config import AutoencoderConfig, VaeConfig
from netvigil_tabular.network import Network
from netvigil_tabular.scoring import FARTHEST, Scoring
from netvigil_tabular.usual import Usual


def usual(residual, *, dim=1) -> Usual:
    return Usual(
        torch.tensor(residual), torch.zeros(dim), torch.eye(dim), torch.arange(3.0)[:, None]
    )


def first_alone(config) -> Network:
    """Make a network of two features that keeps the first and loses the second."""
    network = build(lambda: Network(2, config), generator(0), "cpu").eval()
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=False).zero_()
    network.code.dense.weight[0, 0] = 1
    network.output.dense.weight[0, 0] = 1
    return network


@pytest.mark.parametrize(
    ("loss", "error"), [("mse", 4.5), ("mae", 1.5), ("huber", 1.25), ("mixed", 4.5 * 1.9)]
)
def test_terms_by_hand(loss, error):
    terms = ("error", "standardised", "mahalanobis", "knn")
    config = AutoencoderConfig(hidden=[], bottleneck=1, loss=loss, terms=terms, neighbours=2)
    scoring = Scoring(first_alone(config), config, None)
    code, found = scoring.terms(torch.tensor([[5.0, 3.0]]), usual([1.0, 2.0]))
    assert code.tolist() == [[5.0]]
    assert list(found) == sorted(terms)
    # Residuals are 0 and 3; the codes next to 5 are 2 and 1.
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"error": error, "standardised": 9 / 2 / 2, "mahalanobis": 5, "knn": 4}
    )


def test_terms_of_a_vae_by_hand():
    terms = ("error", "kl", "elbo", "error-kl")
    config = VaeConfig(hidden=[], bottleneck=1, beta=3, terms=terms)
    scoring = Scoring(first_alone(config), config, None)
    _, found = scoring.terms(torch.tensor([[2.0, 4.0]]), usual([1.0, 1.0]))
    # Mean 2 and log variance 0: KL 2; errors 0 and 16.
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"error": 8, "kl": 2, "elbo": 16 + 3 * 2, "error-kl": 18}
    )


def test_draws_average_the_error_over_the_same_points():
    config = VaeConfig(hidden=[], bottleneck=1, draws=2, terms=["error"])
    scoring = Scoring(first_alone(config), config, torch.tensor([[1.0], [-3.0]]))
    _, squared, _ = scoring.residuals(torch.tensor([[2.0, 4.0], [7.0, 0.0]]))
    # z lies 1 above and 3 below its mean, with a deviation of 1.
    assert squared.tolist() == [[5, 16], [5, 0]]


def test_enormous_features_count_as_far_and_stay_finite():
    config = AutoencoderConfig(hidden=[], bottleneck=1)
    scoring = Scoring(first_alone(config), config, None)
    _, found = scoring.terms(torch.tensor([[0.0, 3e38], [0.0, -FARTHEST]]), usual([1.0, 1.0]))
    assert found["error"].tolist() == pytest.approx([FARTHEST**2 / 2] * 2)
