"""What a batch costs, put together by hand from the parts."""

from __future__ import annotations

import pytest
import torch

from netvigil.torch.generators import generator
from netvigil.torch.rows import RowBatch
from netvigil.torch.training import Step
from netvigil_tabular.config import AutoencoderConfig, VaeConfig
from netvigil_tabular.learner import AutoencoderLearner, VaeLearner
from netvigil_tabular.losses import errors, kl_loss

SMALL = {"hidden": [6], "bottleneck": 2, "device": "cpu"}
CPU = torch.device("cpu")
X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
BATCH = RowBatch((X,))


def step(epoch=0, *, training=True) -> Step:
    return Step(epoch, training, generator(7), 0)


@pytest.mark.parametrize("settings", [{}, {"loss": "huber"}, {"activation": "gelu"}], ids=str)
def test_an_autoencoder_costs_the_mean_error(settings):
    learner = AutoencoderLearner(4, AutoencoderConfig(**SMALL, **settings), CPU, generator(0))
    network = learner.network
    wanted = errors(X, network.decode(network.encode(X).mean), learner.config.loss).mean()
    assert learner.losses(BATCH, step())["total"].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_dropout_plays_no_part_in_validation():
    config = AutoencoderConfig(**SMALL, dropout=0.5)
    learner = AutoencoderLearner(4, config, CPU, generator(0))
    judged = learner.losses(BATCH, step(training=False))["total"]
    network = learner.network
    wanted = errors(X, network.decode(network.encode(X).mean), "mse").mean()
    assert judged.item() == pytest.approx(wanted.item())
    assert learner.losses(BATCH, step())["total"].item() != pytest.approx(wanted.item())


def test_a_vae_costs_summed_errors_of_a_drawn_z_and_weighted_kl():
    config = VaeConfig(**SMALL, beta=4, warmup_epochs=10, free_bits=0.1)
    learner = VaeLearner(4, config, CPU, generator(0))
    mean, logvar = learner.network.encode(X)
    noise = torch.randn(mean.shape, generator=generator(7))
    decoded = learner.network.decode(mean + noise * torch.exp(logvar / 2))
    reconstruction = ((decoded - X) ** 2).sum() / len(X)
    kl = kl_loss(mean, logvar, 0.1)
    found = learner.losses(BATCH, step(epoch=5))
    values = {name: value.item() for name, value in found.items()}
    assert values == pytest.approx(
        {
            "reconstruction": reconstruction.item(),
            "kl": kl.item(),
            "total": (reconstruction + 2 * kl).item(),
            "judged": (reconstruction + 4 * kl).item(),
        },
        rel=1e-5,
    )
    assert not found["judged"].requires_grad
