"""Copies of a window: flows left out, features replaced, and everything else as it was."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import WindowGraphs
from netvigil.explaining.copies import Perturbed, each_flow, kept, replaced, scores_without
from netvigil.protocols import Scoring
from netvigil.testing.synthetic.windows import windows


def window(**changes) -> WindowGraphs:
    """Five flows between four hosts: 0 -> 1 twice, 1 -> 2, 3 -> 3, 0 -> 2."""
    values = {
        "schema": "flow-host",
        "feature_names": ("a", "b"),
        "flow_id": np.array([7, 3, 9, 4, 5]),
        "flow_x": np.arange(10, dtype=np.float32).reshape(5, 2),
        "flow_ptr": np.array([0, 5]),
        "window_start": np.array([60]),
        "flow_src": np.array([0, 0, 1, 3, 0], np.int32),
        "flow_dst": np.array([1, 1, 2, 3, 2], np.int32),
        "node_ptr": np.array([0, 4]),
        "node_key": np.array([40, 10, 30, 20], np.uint64),
        "node_x": np.arange(4, dtype=np.float32)[:, None],
        "flow_service": np.array([1, 2, 3, 4, 5], np.uint64),
    }
    return WindowGraphs(**{**values, **changes})


def checked(graphs: WindowGraphs) -> WindowGraphs:
    """Make windows anew, so that every invariant is checked."""
    return WindowGraphs(**{f.name: getattr(graphs, f.name) for f in fields(graphs)})


def scoring(score, **changes) -> Scoring:
    values = {
        "encoder": None,
        "groups": {"a": (0,), "b": (1,)},
        "background": np.zeros((3, 2), np.float32),
        "median": np.zeros(2, np.float32),
    }
    return Scoring(score=score, **{**values, **changes})


class TestKept:
    def test_flows_that_are_left_out_do_not_appear_nor_do_hosts_without_flows(self):
        keep = np.array([[1, 0, 0, 1, 0], [0, 1, 1, 0, 1]], np.bool_)
        found = checked(kept(window(), keep))
        assert found.flow_ptr.tolist() == [0, 2, 5]
        assert found.flow_x.tolist() == [[0, 1], [6, 7], [2, 3], [4, 5], [8, 9]]
        assert found.node_key.tolist() == [40, 10, 20, 40, 10, 30]
        assert found.node_ptr.tolist() == [0, 3, 6]
        assert found.flow_src.tolist() == [0, 2, 0, 1, 0]
        assert found.flow_dst.tolist() == [1, 2, 1, 2, 2]
        assert found.flow_service.tolist() == [1, 4, 2, 3, 5]
        assert found.node_x.ravel().tolist() == [0, 1, 3, 0, 1, 2]
        assert found.window_start.tolist() == [60, 60]
        assert len(set(found.flow_id.tolist())) == 5

    def test_without_hosts(self):
        none = np.empty(0, np.int32)
        bare = window(
            schema="flows-only",
            flow_src=none,
            flow_dst=none,
            node_ptr=np.zeros(2, np.int64),
            node_key=np.empty(0, np.uint64),
            node_x=None,
            flow_service=None,
        )
        found = checked(kept(bare, np.array([[1, 0, 1, 0, 0]], np.bool_)))
        assert found.flow_x.tolist() == [[0, 1], [4, 5]]
        assert found.flow_service is None
        assert len(found.node_key) == 0

    @given(st.integers(0, 5), st.integers(1, 4), st.randoms(use_true_random=False))
    def test_every_copy_keeps_who_talks_to_whom(self, seed, copies, random):
        graphs = windows(3, seed=seed)[2:3]
        flows = len(graphs.flow_id)
        keep = np.array([[random.random() < 0.5 for _ in range(flows)] for _ in range(copies)])
        keep[:, 0] = True
        found = checked(kept(graphs, keep))
        for copy in range(copies):
            part = found[copy : copy + 1]
            for ends, old in ((part.flow_src, graphs.flow_src), (part.flow_dst, graphs.flow_dst)):
                assert np.array_equal(
                    part.node_key[ends], graphs.node_key[old[np.flatnonzero(keep[copy])]]
                )
            assert np.array_equal(part.flow_x, graphs.flow_x[keep[copy]])
            used = np.union1d(part.flow_src, part.flow_dst)
            assert used.tolist() == list(range(len(part.node_key)))


def test_replaced_changes_one_flow_of_each_copy_and_not_the_window():
    graphs = window()
    found = checked(replaced(graphs, 2, np.array([[50, 51], [60, 61]], np.float32)))
    assert found.flow_x[[2, 7]].tolist() == [[50, 51], [60, 61]]
    rest = np.delete(found.flow_x, [2, 7], axis=0)
    assert np.array_equal(rest, np.tile(np.delete(graphs.flow_x, 2, axis=0), (2, 1)))
    assert graphs.flow_x[2].tolist() == [4, 5]


@pytest.mark.parametrize("room", [1, 12, 1000])
def test_scores_without_some_flows_whatever_fits_into_a_batch(room, monkeypatch):
    """The score counts the flows of the window."""
    monkeypatch.setattr("netvigil.explaining.copies.BATCH_FLOWS", room)
    sizes = []

    def count(graphs):
        sizes.append(len(graphs.flow_id))
        return np.repeat(np.diff(graphs.flow_ptr), np.diff(graphs.flow_ptr)).astype(float)

    removed = [np.array(rows, np.int64) for rows in ([], [0], [1, 3, 4])]
    found = scores_without(scoring(count), window(), removed)
    assert found[0].tolist() == [5] * 5
    assert np.isnan(found[1][0])
    assert found[1][1:].tolist() == [4] * 4
    assert np.isnan(found[2][[1, 3, 4]]).all()
    assert found[2][[0, 2]].tolist() == [2, 2]
    assert max(sizes) <= max(room, 5)


class TestPerturbed:
    def test_a_flow_that_is_looked_at_by_itself_is_scored_by_itself(self):
        flow = Perturbed(scoring(lambda g: g.flow_x.sum(axis=1).astype(float)), window(), 2, 9.0)
        assert flow.flows == 1
        assert flow.scores(np.array([[1, 1], [2, 3]], np.float32)).tolist() == [2, 5]
        assert flow.scores(np.empty((0, 2), np.float32)).tolist() == []

    def test_a_flow_that_others_matter_to_keeps_them(self):
        def total(graphs):
            sums = np.add.reduceat(graphs.flow_x[:, 0], graphs.flow_ptr[:-1])
            return np.repeat(sums, np.diff(graphs.flow_ptr)).astype(float)

        flow = Perturbed(scoring(total), window(), 2, 20.0)
        assert flow.flows == 5
        assert flow.scores(np.array([[0, 0], [10, 0]], np.float32)).tolist() == [16, 26]


def test_each_flow_comes_with_its_window():
    graphs = windows(5, seed=2)
    rows = np.array([0, 3, len(graphs.flow_id) - 1])
    for (own, row, first), at in zip(each_flow(graphs, rows), rows.tolist(), strict=True):
        assert len(own) == 1
        assert first + row == at
        assert own.flow_id[row] == graphs.flow_id[at]
