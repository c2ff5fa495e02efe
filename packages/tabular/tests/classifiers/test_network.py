"""The network and its loss by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from netvigil.errors import TrainingError
from netvigil.torch.generators import build, generator
from netvigil_tabular.classifiers.configs import NetworkConfig
from netvigil_tabular.classifiers.mlp import Mlp, _batches
from netvigil_tabular.classifiers.network import Network, cross_entropy, probabilities


def network(classes, **given):
    settings = {"hidden": (3, 2), "norm": True, "activation": "relu"} | given
    return build(lambda: Network(4, classes, **settings), generator(0), "cpu")


def test_two_classes_have_one_logit_and_more_have_one_each():
    x = torch.zeros(5, 4)
    assert network(2).eval()(x).shape == (5, 1)
    assert network(4).eval()(x).shape == (5, 4)


def test_the_layers_are_the_notebooks():
    kinds = [type(layer).__name__ for layer in network(2).layers]
    assert kinds == ["Dense", "Norm", "ReLU", "Dense", "Norm", "ReLU", "Dense"]
    assert [type(layer).__name__ for layer in network(2, norm=False, hidden=(3,)).layers] == [
        "Dense",
        "ReLU",
        "Dense",
    ]


def test_weights_are_drawn_as_keras_does():
    first = network(2).layers[0]
    assert first.bias.tolist() == [0, 0, 0]
    assert float(first.weight.detach().abs().max()) <= math.sqrt(6 / (4 + 3))


def test_cross_entropy_of_one_logit_by_hand():
    logits, y = torch.tensor([[0.0], [math.log(3)]]), torch.tensor([0, 1])
    # -log(1/2) and -log(3/4), the second counting three times.
    loss = cross_entropy(logits, y, torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((math.log(2) + 3 * math.log(4 / 3)) / 4)


def test_cross_entropy_of_a_logit_per_class_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    loss = cross_entropy(logits, torch.tensor([1, 2]), torch.ones(2))
    assert loss.item() == pytest.approx(-(math.log(0.25) + math.log(0.8)) / 2)


def test_probabilities_add_up():
    half, sure = probabilities(torch.tensor([[0.0], [40.0]])).tolist()
    assert half == [0.5, 0.5]
    assert sure == pytest.approx([math.exp(-40), 1.0], rel=1e-6)
    (three,) = probabilities(torch.log(torch.tensor([[1.0, 2.0, 5.0]]))).tolist()
    assert three == pytest.approx([1 / 8, 2 / 8, 5 / 8])


def test_a_last_row_by_itself_joins_the_batch_before():
    assert [len(b) for b in _batches(torch.arange(9), 4)] == [4, 5]
    assert [len(b) for b in _batches(torch.arange(10), 4)] == [4, 4, 2]
    assert [len(b) for b in _batches(torch.arange(1), 4)] == [1]


def test_a_loss_that_is_not_finite_is_named():
    x = np.full((8, 2), 3e38, np.float32)
    made = Mlp(NetworkConfig(epochs=2, norm="none", device="cpu"))
    with pytest.raises(TrainingError, match="its loss is") as caught:
        made.learn(x, np.arange(8) % 2, None, classes=2, seed=3)
    assert "epoch 0, seed 3" in str(caught.value)


def test_one_row_trains_nothing():
    made = Mlp(NetworkConfig(device="cpu"))
    with pytest.raises(TrainingError, match="on 1 labelled flows"):
        made.learn(np.zeros((1, 2), np.float32), np.zeros(1, np.int64), None, classes=2, seed=0)


def test_the_global_generator_is_left_alone(lesson):
    x, y = lesson(40)
    before = torch.random.get_rng_state()
    Mlp(NetworkConfig(epochs=1, device="cpu")).learn(x, y, None, classes=3, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("norm", "apart"), [("none", 1e-4), ("batch", 1e-2)])
def test_a_gpu_learns_the_same(classes, norm, apart, lesson):
    """Steps are replayed there, once each size has been seen.

    No gradient reaches a bias before batch norm but rounding, of which Adam makes steps of full
    size, and running means lag behind: on a CPU too, noise of 1e-7 in x moves shares by 1e-3 with
    the norm, and by 1e-8 without.
    """
    x, y = lesson(120)
    y = np.minimum(y, classes - 1)
    found = []
    for device in ("cpu", "cuda"):
        config = NetworkConfig(epochs=5, batch=50, hidden=(8,), norm=norm, device=device)
        made = Mlp(config).learn(x, y, None, classes=classes, seed=0)
        found.append(made.share(np.concatenate([x, x[:7]])))
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=apart)
