from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from netvigil.torch.generators import build, generator
from netvigil_cggm import losses
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.network import (
    LEAK,
    Attention,
    Convolution,
    Critic,
    Embedding,
    Generator,
    draw_noise,
    normalised,
    thin,
)


@pytest.mark.parametrize("edges", [0, 1, 7, 20])
@pytest.mark.parametrize("flat", [False, True], ids=["drawn", "all equal"])
def test_thinning_is_exact(edges, flat):
    noise = torch.rand(3, 5, 5, generator=generator(0))
    if flat:
        noise = torch.full_like(noise, 0.5)
    kept = thin(noise, torch.tensor([edges, 20, 0]))
    assert kept.sum((1, 2)).tolist() == [edges, 20, 0]
    assert set(kept.unique().tolist()) <= {0.0, 1.0}
    assert not kept.diagonal(dim1=1, dim2=2).any()


def test_thinning_keeps_the_largest():
    noise = torch.tensor([[[0.99, 0.2, 0.9], [0.7, 0.99, 0.1], [0.4, 0.8, 0.99]]])
    kept = thin(noise, torch.tensor([3]))
    assert kept[0].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_links_normalised_by_hand():
    links = torch.tensor([[[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]])
    # Nodes 0 and 1 have two links each with their own, node 2 only its own.
    assert torch.allclose(
        normalised(links)[0], torch.tensor([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    )


def test_convolution_by_hand():
    layer = Convolution(1, 1)
    with torch.no_grad():
        layer.weigh.weight.fill_(2.0)
        layer.weigh.bias.fill_(-1.0)
    x = torch.tensor([[[1.0], [3.0], [-1.0]]])
    links = normalised(torch.tensor([[[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]]))
    # (1 + 5) / 2 = 3 twice; node 2: -3, a fifth of which passes.
    assert torch.allclose(layer(x, links)[0, :, 0], torch.tensor([3.0, 3.0, -0.6]))


def identity(attention: Attention) -> Attention:
    with torch.no_grad():
        for part in (attention.query, attention.key, attention.value):
            part.weight.copy_(torch.eye(len(part.weight)))
    return attention


X = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])


def test_attention_over_features_by_hand():
    score = X[0].T @ X[0] / math.sqrt(2)
    wanted = torch.tensor(
        [
            [sum(score.softmax(1)[f, g] * X[0, n, g] for g in range(2)) for f in range(2)]
            for n in range(2)
        ]
    )
    assert torch.allclose(identity(Attention(2, 1, "feature"))(X)[0], wanted)


def test_attention_over_nodes_by_hand():
    score = X[0] @ X[0].T / math.sqrt(2)
    first = math.exp(score[0, 0]) / (math.exp(score[0, 0]) + math.exp(score[0, 1]))
    found = identity(Attention(2, 1, "node"))(X)[0].detach()
    assert found[0, 0] == pytest.approx(first * 1 + (1 - first) * 3)


def test_heads_do_not_see_one_another():
    attention = identity(Attention(4, 2, "node"))
    x = torch.rand(1, 3, 4, generator=generator(1))
    one = identity(Attention(2, 1, "node"))
    assert torch.allclose(attention(x)[:, :, :2], one(x[:, :, :2]), atol=1e-6)
    assert torch.allclose(attention(x)[:, :, 2:], one(x[:, :, 2:]), atol=1e-6)


@pytest.mark.parametrize("kind", ["feature", "node"])
def test_heads_that_do_not_divide_the_width_are_led_back(kind):
    attention = build(lambda: Attention(5, 4, kind), generator(0), "cpu")
    assert attention.query.weight.shape == (8, 5)
    assert attention(torch.rand(2, 3, 5)).shape == (2, 3, 5)
    assert Attention(8, 4, kind).back is None


def test_embedding_is_one_row_per_class():
    embedding = build(lambda: Embedding(3, 7, 4, LEAK), generator(0), "cpu")
    found = embedding(torch.tensor([[0, 1, 1], [2, 0, 2]]))
    assert found.shape == (2, 3, 4)
    assert torch.equal(found[0, 1], found[0, 2])
    assert torch.equal(found[0, 0], found[1, 1])
    assert (found >= 0).all()


@pytest.mark.parametrize("attention", ["feature", "node"])
@pytest.mark.parametrize("convolve", ["thinned", "noise"])
def test_shapes_range_and_density(attention, convolve):
    def make() -> Generator:
        return Generator(5, 3, CggmConfig(hidden=8, attention=attention, convolve=convolve))

    network = build(make, generator(0), "cpu")
    edges = torch.tensor([3, 0, 30])
    made = network(torch.zeros(3, 6, dtype=torch.int64), edges, draw_noise(3, 6, 5, generator(1)))
    assert made.x.shape == (3, 6, 5)
    assert made.x.isfinite().all()
    assert ((made.x >= 0) & (made.x <= 1)).all()
    assert made.links.sum((1, 2)).tolist() == [3, 0, 30]
    critic = build(
        lambda: Critic(5, 3, CggmConfig(hidden=8, attention=attention)), generator(0), "cpu"
    )
    judged = critic(made.x, torch.zeros(3, 6, dtype=torch.int64), normalised(made.links))
    assert judged.score.shape == (3,)
    assert judged.embedding.shape == (3, 6, 8)
    assert torch.allclose(judged.logit.mean((1, 2)), judged.score)


def test_snapshots_of_a_batch_do_not_see_one_another():
    network = build(
        lambda: Generator(4, 2, CggmConfig(heads=2, hidden=8)),
        generator(0),
        "cpu",
    )
    label, edges = torch.tensor([[0, 1, 1], [1, 0, 0]]), torch.tensor([2, 4])
    noise = draw_noise(2, 3, 4, generator(1))
    both = network(label, edges, noise)
    alone = network(label[1:], edges[1:], type(noise)(noise.x[1:], noise.links[1:]))
    assert torch.allclose(both.x[1:], alone.x, atol=1e-6)
    assert torch.equal(both.links[1:], alone.links)


def test_losses_by_hand():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -1.0])
    assert losses.critic_loss(real, fake, "wgan-clip") == -2.5
    assert losses.critic_loss(real, fake, "wgan-gp") == -2.5
    wanted = nn.functional.binary_cross_entropy_with_logits(
        torch.cat([real, fake]), torch.tensor([1.0, 1, 0, 0]), reduction="sum"
    )
    assert torch.allclose(losses.critic_loss(real, fake, "bce"), wanted / 2)
    assert losses.generator_loss(fake, "wgan-clip") == 0.5
    assert losses.generator_loss(torch.zeros(2), "bce") == pytest.approx(math.log(2))
    a, b = torch.zeros(1, 2, 2), torch.tensor([[[1.0, -2.0], [0.0, 3.0]]])
    assert losses.rebuild_loss(a, b) == 1.5
    assert losses.latent_loss(a, b) == 7.0  # (1 + 4 + 9) / 2 nodes


def test_gradient_penalty_by_hand():
    at = torch.zeros(2, 1, 2, requires_grad=True)
    score = (at * torch.tensor([3.0, 4.0])).sum((1, 2))  # slope 5 everywhere
    assert losses.gradient_penalty(score, at) == pytest.approx(16)


@pytest.mark.parametrize(("slope", "learns"), [(0.0, False), (LEAK, True)])
def test_a_feature_pulled_below_zero_can_be_learnt_again(slope, learns):
    """Behind the published ReLU it is lost to every class, whatever the losses say."""
    embedding = build(lambda: Embedding(3, 8, 4, slope), generator(0), torch.device("cpu"))
    with torch.no_grad():
        embedding.second.bias.fill_(-5)
    torch.autograd.backward(embedding(torch.tensor([[0, 1, 2]])).sum())
    assert bool(embedding.second.weight.grad.any()) is learns
