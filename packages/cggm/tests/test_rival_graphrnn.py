from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from netvigil.errors import ContractError
from netvigil.torch.generators import build, generator
from netvigil_cggm.rival_graphrnn import GraphRnn, GraphRnnSettings, Links, unroll, vectors

QUICK = GraphRnnSettings(steps=120, hidden=24, learning_rate=1e-2)


def with_links(snapshots, links):
    return replace(snapshots, links=links, active=np.ones_like(snapshots.active))


def test_vectors_hold_every_link_once():
    links = torch.tensor([[[0.0, 1, 0], [0, 0, 1], [1, 1, 0]]])
    sent, received = vectors(links)[0].unbind(1)
    assert sent.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert received.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert torch.equal(sent + received.T, links[0])


def test_node_by_node_is_what_was_taught():
    network = build(lambda: Links(5, 3, 8), generator(0), "cpu")
    label = torch.tensor([[0, 1, 2, 0, 1]])
    links = unroll(network, label, generator(1)).float()
    truth = vectors(links)
    before = torch.cat([torch.zeros(1, 1, 2, 5), truth[:, :-1]], 1)
    whole, _ = network(before, label, 0)
    state, parts = None, []
    for node in range(5):
        part, state = network(before[:, node : node + 1], label, node, state)
        parts.append(part)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)


def test_it_learns_a_ring(make_snapshots):
    real = make_snapshots(24)
    links = np.zeros_like(real.links)
    links[:, np.arange(12), (np.arange(12) + 1) % 12] = True
    made = GraphRnn(QUICK).fit_snapshots(with_links(real, links), seed=0).sample(real.label, seed=1)
    kept = (made.links & links).sum() / made.links.sum()
    assert kept > 0.9  # at random: 12 of 132
    assert np.abs(made.edges() - 12).mean() < 2


def test_it_learns_which_classes_are_linked(make_snapshots):
    real = make_snapshots(40)
    attack = real.label > 0
    links = attack[:, :, None] & ~attack[:, None, :]
    made = GraphRnn(QUICK).fit_snapshots(with_links(real, links), seed=0)
    label = np.tile(np.arange(12) % 3, (10, 1))
    found = made.sample(label, seed=0).links
    there = (label > 0)[:, :, None] & (label == 0)[:, None, :]
    assert found[there].mean() > found[~there].mean() + 0.5


def test_features_are_real_and_a_seed_decides(snapshots):
    short = replace(QUICK, steps=3)
    one, two, other = (GraphRnn(short).fit_snapshots(snapshots, seed=seed) for seed in (0, 0, 1))
    made, again = (each.sample(snapshots.label, seed=2) for each in (one, two))
    assert np.array_equal(made.x, again.x)
    assert np.array_equal(made.links, again.links)
    assert not np.array_equal(made.links, other.sample(snapshots.label, seed=2).links)
    for number in range(3):
        real = {row.tobytes() for row in snapshots.x[snapshots.label == number]}
        assert {row.tobytes() for row in made.x[made.label == number]} <= real
    with pytest.raises(ContractError, match="Labels for 5 nodes, and 12 were learnt"):
        one.sample(snapshots.label[:, :5], seed=0)
