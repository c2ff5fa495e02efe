"""Shapes, dropout and norm of the networks."""

from __future__ import annotations

import pytest
import torch

from netvigil.torch.generators import build, generator
from netvigil_tabular.config import AutoencoderConfig, VaeConfig
from netvigil_tabular.network import LOGVAR, Network

SMALL = {"hidden": [7, 5], "bottleneck": 3}


def made(config, features=4) -> Network:
    return build(lambda: Network(features, config), generator(0), "cpu")


def widths(layers) -> list[tuple[int, int]]:
    return [(layer.dense.in_features, layer.dense.out_features) for layer in layers]


@pytest.mark.parametrize("kind", [AutoencoderConfig, VaeConfig])
def test_the_decoder_mirrors_the_encoder(kind):
    network = made(kind(**SMALL))
    assert widths(network.layers()) == [(4, 7), (7, 5), (5, 3), (3, 5), (5, 7), (7, 4)]
    latent = network.encode(torch.zeros(9, 4))
    assert latent.mean.shape == (9, 3)
    assert (latent.logvar is None) == (kind is AutoencoderConfig)
    assert network.decode(latent.mean).shape == (9, 4)


def test_without_hidden_layers_it_is_a_linear_map_down_and_up():
    assert widths(made(AutoencoderConfig(hidden=[], bottleneck=2)).layers()) == [(4, 2), (2, 4)]


def test_a_code_layer_is_linear_or_like_the_others():
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    linear = made(AutoencoderConfig(**SMALL)).encode(x).mean
    block = made(AutoencoderConfig(**SMALL, code="block")).encode(x).mean
    assert linear.min() < 0 <= block.min()
    torch.testing.assert_close(block, linear.relu())


def test_a_sigmoid_output_stays_between_0_and_1():
    network = made(AutoencoderConfig(**SMALL, output="sigmoid"))
    found = network.decode(network.encode(100 * torch.ones(2, 4)).mean)
    assert 0 <= found.min() <= found.max() <= 1


def test_the_log_variance_is_bounded():
    network = made(VaeConfig(**SMALL))
    logvar = network.encode(1e6 * torch.randn(30, 4, generator=generator(1))).logvar
    assert logvar is not None
    assert logvar.abs().max() <= LOGVAR


def test_dropout_needs_a_generator_and_keeps_the_mean():
    network, x = (
        made(AutoencoderConfig(**SMALL, dropout=0.5, activation="sigmoid")),
        torch.ones(1, 4),
    )
    layer = network.down[0]
    assert torch.equal(layer(x), layer(x))
    many = layer(x.expand(20_000, 4), generator(2))
    assert (many == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    torch.testing.assert_close(many.mean(0), layer(x)[0], rtol=0.05, atol=0)
    assert torch.equal(layer(x.expand(9, 4), generator(5)), layer(x.expand(9, 4), generator(5)))


def test_batch_norm_takes_one_flow_in_training():
    network = made(AutoencoderConfig(**SMALL, norm="batch")).train()
    assert torch.isfinite(network.encode(torch.ones(1, 4)).mean).all()
    # Its running averages are those of batches alone.
    assert int(network.down[0].norm.num_batches_tracked) == 0
    network.encode(torch.ones(2, 4))
    assert int(network.down[0].norm.num_batches_tracked) == 1
