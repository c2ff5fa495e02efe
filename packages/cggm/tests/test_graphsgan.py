from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from netvigil.errors import ConfigError, ContractError, NotFittedError
from netvigil_cggm.classifiers import quality
from netvigil_cggm.graphsgan import (
    GraphSgan,
    GraphSganSettings,
    WeightNorm,
    entropy,
    fused,
    told,
    unsupervised,
)

QUICK = GraphSganSettings(steps=100, batch=64, hidden=32, noise=8, labelled=0.3)


def test_losses_by_hand():
    # Z = 2 for either: real by 2/3, fake by 1/3.
    logits = torch.zeros(1, 2)
    assert float(unsupervised(logits, logits)) == pytest.approx(-np.log(2 / 3 * 1 / 3) / 2)
    assert float(entropy(logits)) == pytest.approx(np.log(2))
    assert float(entropy(torch.tensor([[50.0, 0.0]]))) == pytest.approx(0, abs=1e-6)


def test_lengths_are_apart_from_directions():
    layer = WeightNorm(3, 2)
    with torch.no_grad():
        layer.way.copy_(torch.tensor([[3.0, 0, 4], [0, 2, 0]]))
        layer.length.copy_(torch.tensor([10.0, 1]))
    assert layer(torch.ones(1, 3)).tolist() == [[14, 1]]


def test_neighbours_are_joined():
    x = np.array([[[0.0], [0.5], [1.0]]], np.float32)
    links = np.zeros((1, 3, 3), bool)
    links[0, 0, 1] = links[0, 2, 1] = True
    assert fused(x, links).tolist() == [[-1, 0], [0, 0], [1, 0]]


def test_some_labels_are_told():
    label = np.repeat([0, 1, 2], [95, 4, 1])
    rows = told(label, 0.1, 0)
    assert set(label[rows]) == {0, 1, 2}
    assert 10 <= len(rows) <= 12
    assert np.array_equal(told(label, 1.0, 0), np.arange(100))
    for share in (0.0, 1.1):
        with pytest.raises(ConfigError):
            GraphSganSettings(labelled=share)


def test_it_beats_the_commonest_class(make_snapshots):
    train, test = make_snapshots(30, seed=0), make_snapshots(10, seed=1)
    found = GraphSgan(QUICK).fit(train, seed=0).predict(test)
    assert (found == test.label).mean() > (test.label == 0).mean() + 0.1
    assert quality(test.label, found).f1 > 0.8


def test_a_seed_decides(snapshots):
    one, two, other = (
        GraphSgan(replace(QUICK, steps=3)).fit(snapshots, seed=seed) for seed in (0, 0, 1)
    )
    logits = [fitted.network_(fused(snapshots.x, snapshots.links)) for fitted in (one, two, other)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_labels_that_are_not_told_are_not_read(make_snapshots):
    train, test = make_snapshots(20, seed=0), make_snapshots(5, seed=1)
    settings = replace(QUICK, steps=5, labelled=0.2)
    rows = told(train.label.ravel(), 0.2, 0)
    label = np.zeros_like(train.label)
    label.flat[rows] = train.label.flat[rows]
    mixed = replace(train, label=label)
    assert np.array_equal(told(label.ravel(), 0.2, 0), rows)
    assert not np.array_equal(label, train.label)
    logits = []
    for snapshots in (train, mixed):
        fitted = GraphSgan(settings).fit(snapshots, seed=0)
        assert fitted.network_ is not None
        logits.append(fitted.network_(fused(test.x, test.links)))
    assert torch.equal(*logits)


def test_what_does_not_fit_is_refused(snapshots):
    with pytest.raises(NotFittedError):
        GraphSgan().predict(snapshots)
    fitted = GraphSgan(replace(QUICK, steps=1)).fit(snapshots, seed=0)
    with pytest.raises(ContractError, match="other features"):
        fitted.predict(replace(snapshots, feature_names=("a", "b", "c", "d")))
