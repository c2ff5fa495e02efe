"""Batches: runs of whole windows, the cache, and windows as tensors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.torch.batches import Batches, flows_per_window, runs
from netvigil.torch.graphs import GraphBatch

from .learners import windows

SIZES = st.lists(st.integers(0, 6), min_size=1, max_size=15)


def sizes_of(graphs):
    return np.diff(graphs.flow_ptr).tolist()


@given(SIZES, st.integers(1, 12), st.none() | st.integers(1, 4))
def test_runs_hold_every_window_once_within_both_limits(sizes, flows, most):
    graphs = windows(sizes)
    found = list(runs(graphs, flows, most))
    assert [n for run in found for n in sizes_of(run)] == sizes
    assert np.concatenate([run.flow_id for run in found]).tolist() == graphs.flow_id.tolist()
    for run in found:
        assert len(run.flow_id) <= flows or len(run) == 1
        assert most is None or len(run) <= most


@given(SIZES, st.integers(1, 12))
def test_a_run_ends_only_where_the_next_window_would_not_fit(sizes, flows):
    found = list(runs(windows(sizes), flows))
    for run, after in pairwise(found):
        assert len(run.flow_id) + sizes_of(after)[0] > flows


def test_one_window_per_run_is_the_published_setting():
    assert [len(run) for run in runs(windows([3, 1, 2]), 2**62, 1)] == [1, 1, 1]


def test_flows_are_counted_per_window_over_a_whole_stream():
    assert flows_per_window([windows([3, 0]), windows([2])]).tolist() == [3, 0, 2]
    assert flows_per_window([]).tolist() == []


@given(SIZES, SIZES, st.data())
def test_batches_of_a_part_hold_its_flows_in_order(one, two, data):
    stream = [windows(one), windows(two, seed=1)]
    total = len(one) + len(two)
    first = data.draw(st.integers(0, total))
    last = data.draw(st.integers(first, total))
    part = Batches(stream, GraphBatch.of, first=first, last=last, flows=5)
    wanted = sum((one + two)[first:last])
    for _ in range(2):
        found = list(part)
        assert sum(b.flows for b in found) == wanted
        assert all(b.flows for b in found)


@pytest.mark.parametrize(("cache_bytes", "made"), [(2**20, 4), (0, 8), (2 * 376 - 1, 7)])
def test_only_what_fits_is_kept_between_walks(cache_bytes, made):
    built = []

    def make(graphs):
        built.append(graphs)
        return GraphBatch.of(graphs)

    stream = [windows([6, 6, 6, 6])]
    part = Batches(stream, make, first=0, last=4, flows=6, cache_bytes=cache_bytes)
    once, twice = ([b.x.tolist() for b in part] for _ in range(2))
    assert once == twice
    assert len(built) == made


def test_a_batch_knows_its_memory():
    # 6 flows of 3 features, 2 pointers to 1 window, and twice 2 x 6 flows and 4 + 1 nodes.
    assert GraphBatch.of(windows([6])).nbytes == 6 * 3 * 4 + 2 * 2 * 8 + 2 * (2 * 6 + 5) * 8 == 376


def test_a_walk_that_was_broken_off_does_no_harm():
    part = Batches([windows([6, 6, 6])], GraphBatch.of, first=0, last=3, flows=6)
    next(iter(part))
    assert [b.flows for b in part] == [b.flows for b in part] == [6, 6, 6]


def test_the_largest_batch_is_the_one_with_most_flows():
    part = Batches([windows([2, 9, 3])], GraphBatch.of, first=0, last=3, flows=6)
    assert part.largest().flows == 9


@settings(max_examples=30)
@given(SIZES)
def test_a_batch_says_which_flows_and_nodes_belong_together(sizes):
    graphs = windows(sizes)
    batch = GraphBatch.of(graphs)
    source, target = graphs.node_rows()
    assert (batch.flows, batch.windows, batch.nodes) == (
        len(graphs.flow_id),
        len(graphs),
        len(graphs.node_key),
    )
    assert batch.window_of_flow.tolist() == graphs.window_of_flow().tolist()
    assert (batch.window_of_node[batch.src.node] == batch.window_of_flow).all()
    for group, node in ((batch.src, source), (batch.dst, target)):
        assert group.node.tolist() == node.tolist()
        assert group.degree.tolist() == np.bincount(node, minlength=batch.nodes).tolist()
        for i in range(batch.nodes):
            own = group.order[group.ptr[i] : group.ptr[i + 1]]
            assert own.tolist() == np.flatnonzero(node == i).tolist()


def test_read_only_windows_become_tensors_of_their_own():
    graphs = windows([3, 2])
    graphs.flow_x.flags.writeable = False
    batch = GraphBatch.of(graphs)
    batch.x.add_(1)
    assert torch.equal(batch.x, torch.tensor(graphs.flow_x + 1))
