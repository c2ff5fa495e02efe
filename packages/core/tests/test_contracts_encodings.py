"""Encodings, scores, alerts and features: one row per flow, finite, nothing out of step."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import ALERTS, AlertTable, EncodedFlows, FlowFeatures, ScoreTable
from netvigil.errors import ContractError
from netvigil.testing.conformance.exporters import alerts
from netvigil.testing.synthetic import encoded

# Enough to meet every oddity, without a limit of time on a busy machine.
FEW = settings(max_examples=40, deadline=None)


def make(**changed):
    n = 4
    values = {
        "flow_id": np.arange(n),
        "window_start": np.zeros(n, np.int64),
        "embedding": np.ones((n, 2), np.float32),
        "terms": {"kl": np.ones(n, np.float32)},
    }
    return EncodedFlows(**(values | changed))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"embedding": None, "terms": {}}, "at least one term"),
        ({"embedding": np.ones((8, 2), np.float32)}, "8 rows for 4 flows"),
        ({"terms": {"kl": np.ones(3, np.float32)}}, "'kl' of an encoding has 3 rows"),
        ({"window_start": np.zeros(1, np.int64)}, "'window_start'"),
        ({"embedding": np.full((4, 2), np.nan, np.float32)}, "'embedding'.*NaN"),
        ({"terms": {"kl": np.array([1, np.inf, 1, 1], np.float32)}}, "'kl'.*infinity"),
        ({"terms": {"kl": np.array([1, np.inf, -np.inf, 1], np.float32)}}, "'kl'.*infinity"),
    ],
)
def test_broken_encodings_are_refused(changed, words):
    with pytest.raises(ContractError, match=words):
        make(**changed)


@FEW
@given(st.integers(1, 30), st.integers(1, 4), st.data())
def test_taking_and_joining_encodings_keeps_rows_together(flows, pieces, data):
    whole = encoded(flows, seed=1, dim=3).encoded
    order = np.array(data.draw(st.permutations(range(flows))), np.int64)
    cut = [whole.take(rows) for rows in np.array_split(order, min(pieces, flows))]
    joined = EncodedFlows.concat(cut)
    assert np.array_equal(joined.flow_id, whole.flow_id[order])
    assert np.array_equal(joined.embedding, whole.embedding[order])
    for name, term in whole.terms.items():
        assert np.array_equal(joined.terms[name], term[order])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"row": np.array([0, 1, 2, 0])}, "outside its 2 shared rows"),
        ({"row": np.array([0, -1, 1, 0])}, "outside its 2 shared rows"),
        ({"row": np.array([0, 1])}, "'row' of an encoding has 2 rows for 4 flows"),
        ({"row": np.array([0, 0, 0, 0]), "embedding": None}, "outside its 0 shared rows"),
    ],
)
def test_broken_shared_rows_are_refused(changed, words):
    with pytest.raises(ContractError, match=words):
        make(**({"embedding": np.ones((2, 2), np.float32)} | changed))


@FEW
@given(st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=4), st.data())
def test_shared_rows_stay_with_their_flows(pieces, data):
    shared, first = [], 0
    for row in pieces:
        flows = len(row)
        start, x = np.zeros(flows, np.int64), np.arange(6, dtype=np.float32).reshape(3, 2) + first
        ids = np.arange(first, first + flows)
        # A part may also give each of its flows a row of its own.
        own = EncodedFlows(ids, start, x[np.array(row, np.int64)])
        made = EncodedFlows(ids, start, x, np.array(row, np.int64))
        shared.append(own if data.draw(st.booleans()) else made)
        first += flows
    whole = EncodedFlows.concat(shared)
    written = np.concatenate([part.per_flow() for part in shared])
    assert np.array_equal(whole.per_flow(), written)
    order = np.array(data.draw(st.permutations(range(first))), np.int64)
    taken = whole.take(order)
    assert np.array_equal(taken.per_flow(), written[order])
    assert taken.flow_id.tolist() == order.tolist()
    if whole.row is not None:
        assert taken.embedding is whole.embedding  # nothing was written out


def test_nothing_cannot_be_joined():
    with pytest.raises(ContractError, match="nothing to join"):
        EncodedFlows.concat([])


@pytest.mark.parametrize(
    ("ids", "score", "words"),
    [
        ([0, 1], [1.0], "2, 1, 2 rows"),
        ([0, 1], [1.0, np.nan], "1 of 2 scores are not finite"),
        ([0, 1], [1.0, np.inf], "not finite"),
        ([5, 5], [1.0, 2.0], "two scores"),
        ([5, 3, 5], [1.0, 2.0, 3.0], "two scores"),
    ],
)
def test_broken_scores_are_refused(ids, score, words):
    start = np.zeros(len(ids), np.int64)
    with pytest.raises(ContractError, match=words):
        ScoreTable(np.array(ids), np.array(score), start)


def test_scores_need_not_be_in_id_order():
    assert len(ScoreTable(np.array([3, 1]), np.array([0.5, -7.0]), np.zeros(2, np.int64))) == 2


def test_an_alert_lies_above_its_cut():
    table = alerts(3).table
    place = ALERTS.names.index("score")
    for score in ([2.0, 1.0, 3.0], [2.0, 0.5, 3.0]):
        with pytest.raises(ContractError, match="does not exceed"):
            AlertTable(table.set_column(place, "score", pa.array(score)))
    with pytest.raises(ContractError, match="has the columns"):
        AlertTable(table.drop_columns(["bundle"]))
    assert len(AlertTable(table)) == 3


@pytest.mark.parametrize(
    ("x", "names", "categories", "words"),
    [
        (np.zeros((2, 2)), ("a", "b"), {}, "float32"),
        (np.zeros(2, np.float32), ("a",), {}, "float32"),
        (np.zeros((2, 2), np.float32), ("a",), {}, "distinct names"),
        (np.zeros((2, 2), np.float32), ("a", "a"), {}, "distinct names"),
        (np.zeros((2, 1), np.float32), ("a",), {"c": ["x"]}, "1 values for 2 flows"),
    ],
)
def test_broken_features_are_refused(x, names, categories, words):
    coded = {k: pa.array(v).dictionary_encode() for k, v in categories.items()}
    with pytest.raises(ContractError, match=words):
        FlowFeatures(x, names, coded)
