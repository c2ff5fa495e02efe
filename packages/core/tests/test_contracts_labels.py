"""`LabelTable`: unknown is not benign; looking labels up agrees with a dictionary, in any order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import LABELS, LabelTable
from netvigil.errors import ContractError
from netvigil.testing.strategies import label_tables

# Enough to meet every oddity, without a limit of time on a busy machine.
FEW = settings(max_examples=40, deadline=None)

IDS = st.lists(st.integers(0, 40), unique=True, max_size=20).map(lambda i: np.array(i, np.int64))


@FEW
@given(st.data(), IDS, st.lists(st.integers(0, 60), max_size=30))
def test_align_agrees_with_a_dictionary(data, ids, asked):
    labels = data.draw(label_tables(ids))
    wanted = np.array(asked, np.int64)
    aligned = labels.align(wanted)
    columns = (labels.table[n].to_pylist() for n in ("flow_id", "is_attack", "attack"))
    truth = {i: (is_attack, name) for i, is_attack, name in zip(*columns, strict=True)}
    for row, flow in enumerate(asked):
        known = flow in truth
        is_attack, name = truth.get(flow, (False, None))
        assert aligned.known[row] == known
        assert aligned.is_attack[row] == is_attack
        # An attack without a name is still shown as one.
        assert aligned.attack[row] == ((name or "attack") if is_attack else "")


@FEW
@given(st.data(), IDS)
def test_unknown_is_not_benign(data, ids):
    labels = data.draw(label_tables(ids))
    aligned = labels.align(ids)
    assert aligned.known.sum() == len(labels)
    assert not (aligned.is_attack & ~aligned.known).any()


def test_an_empty_table_knows_nothing():
    aligned = LabelTable.empty().align(np.array([3, 1], np.int64))
    assert not aligned.known.any()
    assert aligned.attack.tolist() == ["", ""]
    assert len(LabelTable.empty()) == 0


@FEW
@given(st.lists(st.booleans(), max_size=20))
def test_benign_flows_lose_their_category(attacks):
    names = pa.chunked_array([pa.array(["scan"] * len(attacks), pa.string())])
    ids = np.arange(len(attacks))
    for given_names in (names, names.dictionary_encode()):
        table = LabelTable.of(ids, np.array(attacks, np.bool_), given_names).table
        assert [n is not None for n in table["attack"].to_pylist()] == attacks


def columns(ids=(1, 2), attack=(True, False), names=("scan", None)):
    return [
        pa.array(ids, pa.int64()),
        pa.array(attack, pa.bool_()),
        pa.array(names, pa.string()).dictionary_encode(),
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table(columns(ids=(1, 1)), schema=LABELS), "two labels"),
        (pa.table(columns(attack=(True, None)), schema=LABELS), "says nothing"),
        (pa.table(columns()[:2], names=["flow_id", "is_attack"]), "has the columns"),
        (pa.table(columns(), names=["flow_id", "is_attack", "category"]), "has the columns"),
        (pa.table([columns()[0].cast(pa.int32()), *columns()[1:]], names=LABELS.names), "int32"),
    ],
)
def test_broken_tables_are_refused(table, words):
    with pytest.raises(ContractError, match=words):
        LabelTable(table)
