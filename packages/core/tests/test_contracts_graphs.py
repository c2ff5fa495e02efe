"""`WindowGraphs`: refuses what does not fit; runs of windows are views of the same memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import WindowGraphs, require_reiterable
from netvigil.errors import ContractError
from netvigil.testing.synthetic import windows

# Enough to meet every oddity, without a limit of time on a busy machine.
FEW = settings(max_examples=40, deadline=None)

GRAPHS = st.builds(
    windows,
    st.integers(0, 6),
    seed=st.integers(0, 5),
    flows=st.integers(1, 12),
    nodes=st.integers(2, 6),
    features=st.integers(0, 4),
    schema=st.sampled_from(["flow-host", "flows-only"]),
)
LARGE = ("flow_id", "flow_x", "flow_src", "flow_dst", "node_key", "window_start")


@FEW
@given(GRAPHS, st.data())
def test_a_run_of_windows_is_a_view_that_means_the_same(graphs, data):
    low = data.draw(st.integers(0, len(graphs)))
    high = data.draw(st.integers(low, len(graphs)))
    part = graphs[low:high]
    assert len(part) == high - low
    for name in LARGE:
        mine, whole = getattr(part, name), getattr(graphs, name)
        assert not mine.size or np.shares_memory(mine, whole)
    # Checked again from scratch: a slice is a legal WindowGraphs by itself.
    checked = WindowGraphs(**{n: getattr(part, n) for n in WindowGraphs.__dataclass_fields__})
    assert len(checked) == high - low
    flows = slice(int(graphs.flow_ptr[low]), int(graphs.flow_ptr[high]))
    assert np.array_equal(part.flow_id, graphs.flow_id[flows])
    assert np.array_equal(part.window_of_flow() + low, graphs.window_of_flow()[flows])
    if graphs.has_nodes:
        for mine, whole in zip(part.node_rows(), graphs.node_rows(), strict=True):
            assert np.array_equal(part.node_key[mine], graphs.node_key[whole[flows]])


@FEW
@given(GRAPHS)
def test_runs_put_together_are_the_whole(graphs):
    parts = [graphs[i : i + 1] for i in range(len(graphs))]
    ids = [p.flow_id for p in parts] or [np.empty(0, np.int64)]
    assert np.array_equal(np.concatenate(ids), graphs.flow_id)
    assert sum(len(p.node_key) for p in parts) == len(graphs.node_key)
    assert len(graphs[len(graphs) :]) == 0
    assert len(graphs[3:1]) == 0


def test_windows_are_not_taken_in_steps():
    with pytest.raises(ContractError, match="consecutive"):
        windows(4)[::2]


def test_read_only_arrays_are_welcome(tmp_path):
    graphs = windows(4)
    path = tmp_path / "x.npy"
    np.save(path, graphs.flow_x)
    mapped = replace(graphs, flow_x=np.load(path, mmap_mode="r"))
    assert np.shares_memory(mapped[1:3].flow_x, mapped.flow_x)


def broken(name, change):
    def make():
        graphs = windows(4, flows=10)
        array = getattr(graphs, name).copy()
        return graphs, {name: change(array)}

    return make


def put(position, value):
    def change(array):
        array[position] = value
        return array

    return change


BROKEN = {
    "another type of ids": (broken("flow_id", lambda a: a.astype(np.int32)), "flow_id is int32"),
    "float64 features": (broken("flow_x", lambda a: a.astype(float)), "flow_x is float64"),
    "a feature too many": (broken("flow_x", lambda a: np.hstack([a, a])), "flow_x is float32"),
    "a row too few": (broken("flow_x", lambda a: a[1:]), "flow_x"),
    "column-major features": (broken("flow_x", np.asfortranarray), "C-contiguous"),
    "a source too few": (broken("flow_src", lambda a: a[1:]), "flow_src"),
    "signed host keys": (broken("node_key", lambda a: a.astype(np.int64)), "node_key"),
    "a pointer too few": (broken("flow_ptr", lambda a: a[1:]), "flow_ptr"),
    "a pointer that starts late": (broken("flow_ptr", put(0, 1)), "flow_ptr does not cut"),
    "a pointer that ends early": (broken("flow_ptr", put(-1, 0)), "flow_ptr does not cut"),
    "a pointer that steps back": (broken("node_ptr", put(2, 99)), "node_ptr does not cut"),
    "a host of another window": (broken("flow_src", put(3, 50)), "outside its own window"),
    "a negative host": (broken("flow_dst", put(3, -1)), "outside its own window"),
    "NaN": (broken("flow_x", put((2, 1), np.nan)), "NaN or infinity"),
    "infinity": (broken("flow_x", put((2, 1), -np.inf)), "NaN or infinity"),
    "a flow twice": (broken("flow_id", put(4, 0)), "rows stand for"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_does_not_fit_together_is_refused(fault):
    make, words = BROKEN[fault]
    graphs, change = make()
    with pytest.raises(ContractError, match=words):
        replace(graphs, **change)


def test_opposite_infinities_do_not_cancel():
    graphs = windows(3)
    x = graphs.flow_x.copy()
    x[1, 0], x[1, 1] = np.inf, -np.inf
    with pytest.raises(ContractError, match="NaN or infinity"):
        replace(graphs, flow_x=x)


def test_huge_finite_features_are_no_infinity():
    graphs = windows(3)
    replace(graphs, flow_x=np.full_like(graphs.flow_x, 3.4e38))


def test_windows_without_hosts_hold_no_links():
    bare = windows(3, schema="flows-only")
    assert not bare.has_nodes
    with pytest.raises(ContractError, match="flow_src"):
        replace(bare, flow_src=np.zeros(len(bare.flow_id), np.int32))


def test_there_is_no_place_for_a_label():
    names = set(WindowGraphs.__dataclass_fields__)
    assert not {n for n in names if "label" in n or "attack" in n}
    with pytest.raises(AttributeError):
        windows(2).label = np.zeros(1)


def test_one_shot_iterators_are_refused():
    batch = [windows(2)]
    assert require_reiterable(batch) is batch
    for once in (iter(batch), (w for w in batch)):
        with pytest.raises(ContractError, match="one-shot"):
            require_reiterable(once)
