"""Contexts by hand: sums without the flow itself, unseen ones, and the limit of how many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netvigil_tabular.conditional.contexts import Contexts
from netvigil_tabular.config import ConditionalConfig

PAIRS = [(0, 1), (0, 1), (0, 1), (2, 3), (0, 2)]
X = [[2.0], [4.0], [9.0], [1.0], [4.0]]  # mean 4


@pytest.fixture
def learnt(hosts):
    def learn(trained=5, **settings):
        config = ConditionalConfig(**{"contexts": ["pair"], "prior_flows": 2.0, **settings})
        windows = hosts(PAIRS, X)
        return Contexts.learn([windows[:0], windows], config, trained), windows

    return learn


def seen(contexts, windows, *, leave_out):
    x, rows = torch.from_numpy(windows.flow_x), torch.from_numpy(contexts.rows(windows))
    return contexts.inputs(x, rows, leave_out=leave_out).numpy()


def test_a_flow_to_come_meets_the_whole_context(learnt):
    contexts, windows = learnt()
    # Three flows of (0, 1), -2, 0 and 5 from the mean; one each of the others, -3 and 0.
    away = [3 / 5, 3 / 5, 3 / 5, -3 / 3, 0 / 3]
    wanted = np.column_stack([away, np.log10([4, 4, 4, 2, 2])])
    assert contexts.mean.tolist() == [4]
    np.testing.assert_allclose(seen(contexts, windows, leave_out=False), wanted, rtol=1e-6)


def test_a_train_flow_is_taken_out_of_its_own(learnt):
    contexts, windows = learnt()
    away = [5 / 4, 3 / 4, -2 / 4, 0, 0]
    wanted = np.column_stack([away, np.log10([3, 3, 3, 1, 1])])
    np.testing.assert_allclose(seen(contexts, windows, leave_out=True), wanted, atol=1e-6)


def test_an_unseen_context_is_everybody(learnt, hosts):
    contexts, _ = learnt()
    other = hosts([(1, 0), (3, 2)], [[7.0], [8.0]])
    for leave_out in (False, True):
        assert not seen(contexts, other, leave_out=leave_out).any()


def test_flows_held_out_are_in_no_context(learnt):
    contexts, windows = learnt(trained=3)
    assert contexts.mean.tolist() == [5]
    found = seen(contexts, windows, leave_out=False)
    np.testing.assert_allclose(found[:, 1], np.log10([4, 4, 4, 1, 1]), rtol=1e-6)


def test_only_the_most_frequent_are_kept(learnt):
    contexts, windows = learnt(most_contexts=1)
    found = seen(contexts, windows, leave_out=False)
    np.testing.assert_allclose(found[:, 1], np.log10([4, 4, 4, 1, 1]), rtol=1e-6)
    assert contexts.rows(windows)[:, 0].tolist() == [0, 0, 0, 1, 1]


def test_kinds_of_context_stand_side_by_side(learnt, hosts):
    contexts, windows = learnt(contexts=["pair", "source-service", "destination-service"])
    assert contexts.width == 6
    counts = seen(contexts, windows, leave_out=False)[:, 1::2]
    # All flows have the same service, so these are counts by source and by destination.
    wanted = [[3, 4, 3], [3, 4, 3], [3, 4, 3], [1, 1, 1], [1, 4, 1]]
    np.testing.assert_allclose(10**counts - 1, wanted, rtol=1e-5)
