"""The gradient written out is that of autograd, for every activation and loss."""

from __future__ import annotations

import pytest
import torch

from netvigil.torch.generators import build, generator
from netvigil_tabular.config import AutoencoderConfig
from netvigil_tabular.fused import ROOMS, DirectLoss, can_fuse, forward
from netvigil_tabular.losses import errors
from netvigil_tabular.network import Network

FEATURES = 6
FUSED = ("relu", "leaky-relu", "elu", "selu", "tanh", "sigmoid")


def made(**settings) -> Network:
    config = AutoencoderConfig(hidden=[7, 5], bottleneck=3, **settings)
    return build(lambda: Network(FEATURES, config), generator(3), "cpu")


def rows() -> torch.Tensor:
    return 2 * torch.randn(33, FEATURES, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
@pytest.mark.parametrize("code", ["linear", "block"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "mixed"])
@pytest.mark.parametrize("activation", FUSED)
def test_loss_and_gradient_are_autograds(activation, loss, code, output):
    network, x = made(activation=activation, code=code, output=output), rows()
    parameters = [p for layer in network.layers() for p in layer.parameters()]
    wanted = errors(x, network.decode(network.encode(x).mean), loss).mean()
    direct = DirectLoss(network.layers(), loss)
    assert direct(x, training=False).item() == pytest.approx(wanted.item(), rel=1e-5)
    assert all(p.grad is None for p in parameters)
    assert direct(x, training=True).item() == pytest.approx(wanted.item(), rel=1e-5)
    plain = torch.autograd.grad(wanted, parameters)
    for parameter, gradient in zip(parameters, plain, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_every_batch_overwrites_the_gradient_of_the_last():
    network = made()
    direct, first = DirectLoss(network.layers(), "mse"), rows()
    direct(first, training=True)
    parameters = list(network.parameters())
    own = [p.grad.clone() for p in parameters]
    for flows in range(1, ROOMS + 4):
        direct(3 * first[:flows], training=True)
    direct(first, training=True)
    assert all(torch.equal(p.grad, was) for p, was in zip(parameters, own, strict=True))


def test_the_features_stay_as_they_are():
    network, x = made(), rows()
    before = x.clone()
    DirectLoss(network.layers(), "huber")(x, training=True)
    assert torch.equal(x, before)


@torch.no_grad()
def test_forward_gives_every_layer_and_the_code_where_it_belongs():
    network, x = made(activation="elu"), rows()
    results = forward(network.layers(), x)
    latent = network.encode(x).mean
    assert [result.shape[1] for result in results] == [7, 5, 3, 5, 7, FEATURES]
    torch.testing.assert_close(results[2], latent)
    torch.testing.assert_close(results[-1], network.decode(latent))


def test_what_cannot_be_fused_is_said():
    assert all(can_fuse(made(activation=activation).layers()) for activation in FUSED)
    # gelu's slope cannot be told from its result; norm and dropout have state and chance.
    for settings in (
        {"activation": "gelu"},
        {"norm": "batch"},
        {"norm": "layer"},
        {"dropout": 0.1},
    ):
        assert not can_fuse(made(**settings).layers())
