from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import LabelTable
from netvigil.errors import ContractError
from netvigil.testing.synthetic.windows import windows
from netvigil_cggm.snapshots import chronological, flow_classes, most_active, take_snapshots

FLOWS = [
    (0, 1, 2, "normal", 1.0),
    (0, 1, 2, "dos", 3.0),
    (0, 1, 3, "scan", 2.0),
    (0, 1, 3, "dos", 6.0),
    (0, 2, 2, "normal", 5.0),
    (0, 3, 9, "dos", 100.0),
    (1, 3, 1, "normal", 4.0),
]
KEYS = np.array([1, 2, 3, 4], np.uint64)


def test_by_hand(make_graphs):
    graphs, labels = make_graphs(FLOWS)
    found = take_snapshots(graphs, labels, KEYS)
    assert found.classes == ("normal", "dos", "scan")
    assert found.x[:, :, 0].tolist() == [[3, 5, 0, 0], [0, 0, 4, 0]]
    assert np.array_equal(found.x[:, :, 1], 2 * found.x[:, :, 0])
    assert np.argwhere(found.links).tolist() == [[0, 0, 1], [0, 0, 2], [1, 2, 0]]
    assert found.label.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert found.active.tolist() == [[True, True, True, False], [True, False, True, False]]
    assert found.flows.tolist() == [[4, 1, 0, 0], [0, 0, 1, 0]]
    assert found.window.tolist() == [0, 10]
    assert found.density().tolist() == [2 / 12, 1 / 12]
    assert found.balance().tolist() == [7, 1, 0]


def test_other_rules_by_hand(make_graphs):
    graphs, labels = make_graphs(FLOWS)
    both = take_snapshots(graphs, labels, KEYS, ends="both")
    assert both.x[0, :, 0].tolist() == [3, 3, 4, 0]  # 2: (1 + 3 + 5) / 3, 3: (2 + 6) / 2
    assert both.flows.tolist() == [[4, 3, 2, 0], [1, 0, 1, 0]]
    touch = take_snapshots(graphs, labels, KEYS, rule="any-touch")
    assert touch.label.tolist() == [[1, 1, 1, 0], [0, 0, 0, 0]]  # 3: dos and scan once each
    majority = take_snapshots(graphs, labels, KEYS[:2], rule="majority")
    assert majority.label.tolist() == [[0, 0], [0, 0]]  # 1: normal and dos once each


def test_weights_by_hand(make_graphs):
    graphs, labels = make_graphs(FLOWS)
    weight = np.array([1.0, 3, 0, 0, 0, 9, 7])
    found = take_snapshots(graphs, labels, KEYS, weight=weight)
    # (1 * 1 + 3 * 3) / 4; a host whose flows weigh nothing keeps their plain mean.
    assert found.x[:, :, 0].tolist() == [[2.5, 5, 0, 0], [0, 0, 4, 0]]
    for wrong in (weight[1:], -weight, np.where(weight > 0, np.nan, weight)):
        with pytest.raises(ContractError, match="one for each flow"):
            take_snapshots(graphs, labels, KEYS, weight=wrong)


FLOW = st.tuples(
    st.integers(0, 2),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(("normal", "dos", "scan")),
    st.integers(-8, 8).map(float),
)


@given(st.lists(FLOW, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_order_within_a_window_is_irrelevant_and_counts_add_up(make_graphs, flows, rng):
    keys = np.array([1, 2, 3], np.uint64)
    if not any(flow[1] <= 3 and flow[2] <= 3 for flow in flows):
        with pytest.raises(ContractError, match="No flow has both ends"):
            take_snapshots(*make_graphs(flows), keys)
        return
    once = take_snapshots(*make_graphs(flows), keys)
    mixed = take_snapshots(*make_graphs(rng.sample(flows, len(flows))), keys)
    for name in ("links", "label", "active", "flows", "window"):
        assert np.array_equal(getattr(once, name), getattr(mixed, name)), name
    np.testing.assert_allclose(once.x, mixed.x, atol=1e-6)
    kept = [flow for flow in flows if flow[1] <= 3 and flow[2] <= 3]
    assert once.flows.sum() == len(kept)
    assert once.balance().sum() == once.label.size
    pairs = {(flow[0], flow[1], flow[2]) for flow in kept if flow[1] != flow[2]}
    assert once.edges().sum() == len(pairs)
    sums = (once.x[:, :, 0] * once.flows).sum()
    assert sums == pytest.approx(sum(flow[4] for flow in kept), abs=1e-3)


def test_the_last_shorter_window_is_kept(make_labels):
    graphs = windows(5, flows=40, nodes=6)
    labels = make_labels(graphs.flow_id, ["normal"] * len(graphs.flow_id))
    keys = most_active(graphs, 99)
    found = take_snapshots(graphs, labels, keys)
    assert len(found) == len(graphs)
    assert found.flows.sum() == len(graphs.flow_id)
    assert len(keys) == len(np.unique(graphs.node_key))


def test_the_dictionary_holds_the_most_active(make_graphs):
    graphs, _ = make_graphs(FLOWS)
    assert most_active(graphs, 2).tolist() == [1, 3]  # 5 and 4 flows; 2 has 3 with its own
    assert most_active(graphs, 99).tolist() == [1, 2, 3, 9]
    with pytest.raises(ContractError, match="1 known address"):
        most_active(graphs, 1)
    with pytest.raises(ContractError, match="1 known address"):
        most_active(make_graphs([(0, 0, 4, "normal", 1.0)])[0], 5)  # 0: unknown host
    with pytest.raises(ContractError, match="flows-only"):
        most_active(windows(2, schema="flows-only"), 5)


def test_a_snapshot_of_one_host_has_no_links(make_graphs):
    flows = [(0, 1, 1, "dos", 2.0), (1, 1, 2, "normal", 1.0)]
    found = take_snapshots(*make_graphs(flows), KEYS)
    assert found.edges().tolist() == [0, 1]
    assert found.label[0].tolist() == [1, 0, 0, 0]
    assert found.active.sum(1).tolist() == [1, 2]
    with pytest.raises(ContractError, match="over 1 address"):
        take_snapshots(*make_graphs(flows), KEYS[:1])


def test_labels_in_another_order_and_attacks_without_a_name(make_labels):
    labels = make_labels([7, 3, 5], ["scan", "normal", "dos"])
    found = flow_classes(labels, np.array([3, 5, 7, 3]))
    assert found.names == ("normal", "dos", "scan")
    assert found.code.tolist() == [0, 1, 2, 0]
    table = labels.table.set_column(2, "attack", labels.table["attack"].slice(1, 1).take([0, 0, 0]))
    assert flow_classes(LabelTable(table), np.array([7])).names == ("normal", "attack")


def test_missing_labels_and_unknown_classes_are_refused(make_graphs, make_labels):
    graphs, labels = make_graphs(FLOWS)
    with pytest.raises(ContractError, match="There are no labels"):
        take_snapshots(graphs, LabelTable.empty(), KEYS)
    with pytest.raises(ContractError, match="5 of 7 flows have no label"):
        take_snapshots(graphs, make_labels([0, 1], ["normal", "dos"]), KEYS)
    with pytest.raises(ContractError, match="not known before: scan"):
        take_snapshots(graphs, labels, KEYS, classes=("normal", "dos"))
    wide = take_snapshots(graphs, labels, KEYS, classes=("normal", "worm", "scan", "dos"))
    assert wide.label[0, 0] == 3


def test_cut_in_time(snapshots):
    early, late = chronological(snapshots, 0.7)
    assert (len(early), len(late)) == (14, 6)
    assert early.window.max() < late.window.min()
    assert len(chronological(snapshots, 1.0)[1]) == 1
    with pytest.raises(ContractError, match="fewer flows in each"):
        chronological(snapshots[:1], 0.7)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("x", lambda s: s.x[:, :, :1], "shape"),
        ("x", lambda s: np.full_like(s.x, np.nan), "NaN"),
        ("label", lambda s: s.label + 3, "none of the 3"),
        ("classes", lambda s: ("dos", "normal", "scan"), "first is 'normal'"),
        ("active", lambda s: np.zeros_like(s.active), "no flow touches"),
        ("links", lambda s: np.ones_like(s.links), "to itself"),
    ],
)
def test_what_is_no_snapshot_is_refused(snapshots, name, value, words):
    with pytest.raises(ContractError, match=words):
        replace(snapshots, **{name: value(snapshots)})
