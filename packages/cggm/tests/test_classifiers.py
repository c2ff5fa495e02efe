from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from netvigil.errors import ContractError, NotFittedError
from netvigil_cggm.classifiers import (
    Network,
    NodeClassifier,
    Settings,
    class_weights,
    graph,
    quality,
)


def test_layers_by_hand():
    links = torch.tensor([[[0.0, 1, 1], [0, 0, 0], [0, 0, 0]]])
    assert torch.allclose(
        graph(links, "sage")[0], torch.tensor([[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]])
    )
    network = Network(1, 1, Settings(model="sage", hidden=1))
    with torch.no_grad():
        for layer in (network.first, network.second):
            layer.weight.copy_(torch.tensor([[1.0, 2.0]]))  # itself once, its neighbours twice
            layer.bias.zero_()
    x = torch.tensor([[[1.0], [2.0], [4.0]]])
    # First layer: 1 + 2 * 3, 2 + 2 * 1, 4 + 2 * 1.
    assert network(x, graph(links, "sage"), None)[0, :, 0].tolist() == [7 + 2 * 5, 4 + 14, 6 + 14]


def test_quality_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 300, p=[0.7, 0.2, 0.1, 0.0])
    guess = np.where(rng.random(300) < 0.6, truth, rng.integers(0, 3, 300))
    found = quality(truth, guess)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, guess, average="macro")
    assert found == pytest.approx((accuracy_score(truth, guess), recall, precision, f1))
    half = np.arange(300) < 150
    assert quality(truth, guess, half) == quality(truth[:150], guess[:150])


def test_class_weights_by_hand():
    assert class_weights(np.array([6, 2, 0])).tolist() == pytest.approx([8 / 12, 2, 0])


@pytest.mark.parametrize(
    ("model", "balance"),
    # Unweighted, a GCN that mixes classes finds little more than the commonest in so few steps.
    [(m, b) for m in ("gcn", "sage") for b in ("none", "weights", "oversample")][1:],
)
def test_they_learn_and_repeat(make_snapshots, model, balance):
    train, test = make_snapshots(30, seed=0), make_snapshots(10, seed=1)
    settings = Settings(model=model, balance=balance, steps=60)
    one, two = (NodeClassifier(settings).fit(train, seed=0).predict(test) for _ in range(2))
    assert np.array_equal(one, two)
    rng = np.random.default_rng(0)
    noise = np.where(train.active[..., None], rng.random(train.x.shape), 0).astype(np.float32)
    control = NodeClassifier(settings).fit(replace(train, x=noise), seed=0).predict(test)
    best = quality(test.label, one).f1
    # A GCN mixes a node with neighbours of other classes, so it takes longer.
    assert model == "gcn" or best > 0.8
    assert best > quality(test.label, control).f1 + 0.05


def test_what_does_not_fit_is_refused(snapshots):
    with pytest.raises(NotFittedError):
        NodeClassifier(Settings()).predict(snapshots)
    fitted = NodeClassifier(Settings(steps=1)).fit(snapshots, seed=0)
    with pytest.raises(ContractError, match="other features"):
        fitted.predict(replace(snapshots, feature_names=("a", "b", "c", "d")))
