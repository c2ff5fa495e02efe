"""What a classifier learns from: labelled rows only, every class in every sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import LabelTable
from netvigil.errors import ContractError
from netvigil_tabular.classifiers.rows import FEW, balanced, labelled_rows, sample


def test_rows_follow_their_labels_by_id_and_unknown_flows_stay_out(flows_of, labels_of):
    windows = flows_of(np.arange(12)[:, None])
    code = np.array([0, 1, 2, -1] * 3)
    shuffled = labels_of(windows, code).table.take(np.arange(9)[::-1].copy())
    rows = labelled_rows([windows[:1], windows[1:]], LabelTable(shuffled), classifier="x")
    assert rows.names == ("benign", "flood", "scan")
    assert rows.x[:, 0].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert rows.y.tolist() == [0, 1, 2] * 3


def test_labels_of_other_flows_are_refused(flows_of, labels_of):
    labels = labels_of(flows_of(np.zeros((40, 1))), np.arange(40) % 3)
    with pytest.raises(ContractError, match="No flow of the windows has the class scan"):
        labelled_rows([flows_of(np.zeros((2, 1)))], labels, classifier="x")


def test_flows_without_features_are_refused(flows_of, labels_of):
    windows = flows_of(np.zeros((4, 0)))
    with pytest.raises(ContractError, match="flows without a feature"):
        labelled_rows([windows], labels_of(windows, [0, 1, 0, 1]), classifier="forest")


def test_a_sample_keeps_shares_and_every_class():
    y = np.repeat([0, 1, 2], [9_000, 990, 10])
    chosen = sample(y, 1_000, seed=0)
    assert np.all(np.diff(chosen) > 0)
    assert np.bincount(y[chosen]).tolist() == [900, 99, 10]
    assert sample(y, None, seed=0) is None
    assert sample(y, 10_000, seed=0) is None
    assert chosen.tolist() == sample(y, 1_000, seed=0).tolist()
    assert chosen.tolist() != sample(y, 1_000, seed=1).tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=2, max_size=6), st.integers(2, 300))
def test_no_class_is_lost(sizes, most):
    y = np.repeat(np.arange(len(sizes)), sizes)
    chosen = sample(y, most, seed=3)
    kept = np.bincount(y if chosen is None else y[chosen], minlength=len(sizes))
    assert all(k >= min(FEW, size) or k == size for k, size in zip(kept, sizes, strict=True)) or (
        chosen is None
    )


def test_balanced_weights_let_classes_count_alike():
    y = np.array([0, 0, 0, 2])
    weight = balanced(y)
    assert weight[y == 0].sum() == pytest.approx(weight[y == 2].sum())
    assert weight.mean() == pytest.approx(1)
