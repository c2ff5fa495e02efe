"""Classes by name and number, a classifier in both places, and its score."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil import parts
from netvigil.classes import (
    AttackProbability,
    Classes,
    Verdicts,
    as_encoder,
    class_codes,
    class_names,
    verdicts,
)
from netvigil.contracts import EncodedFlows, LabelTable
from netvigil.errors import ContractError

from . import taught


def labels(*classes, ids=None):
    attack = [None if name == "benign" else name for name in classes]
    truth = np.array([name != "benign" for name in classes], np.bool_)
    ids = np.arange(len(classes)) if ids is None else np.array(ids)
    # An attack without a name is null in the table.
    names = [None if name == "?" else name for name in attack]
    return LabelTable.of(ids, truth, pa.array(names, pa.string()))


def encoded(**terms):
    flows = len(next(iter(terms.values())))
    columns = {name: np.array(term, np.float32) for name, term in terms.items()}
    return EncodedFlows(np.arange(flows), np.zeros(flows, np.int64), terms=columns)


def test_benign_comes_first_and_attacks_by_name():
    assert class_names(labels("scan", "benign", "flood", "scan")) == ("benign", "flood", "scan")
    assert class_names(labels("benign", "?")) == ("benign", "attack")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["benign", "benign"], "no attack is among"),
        (["scan"], "no benign flow is among"),
        ([], "no attack is among the labelled flows"),
    ],
)
def test_one_class_teaches_nothing(classes, words):
    with pytest.raises(ContractError, match=words):
        class_names(labels(*classes))


def test_codes_follow_the_flows_and_unknown_ones_have_none():
    table = labels("scan", "benign", "?", ids=[7, 3, 5])
    codes = class_codes(table, np.array([3, 4, 5, 7]), ("benign", "attack", "scan"))
    assert codes.tolist() == [0, -1, 1, 2]
    assert class_codes(table, np.empty(0, np.int64), ("benign", "scan")).tolist() == []
    with pytest.raises(ContractError, match="'scan' is not among those to learn"):
        class_codes(table, np.array([7]), ("benign", "flood"))


def test_the_score_is_the_probability_of_any_attack():
    answer = encoded(benign=[1.0, 0.25, 0.0], flood=[0.0, 0.5, 1.0], scan=[0.0, 0.25, 0.0])
    score = AttackProbability(parts.NoConfig()).score(answer).score
    assert score.tolist() == [0.0, 0.75, 1.0]


def test_the_score_tells_apart_what_float32_can_at_either_end():
    tiny = [1e-12, 1e-20]
    sure = encoded(benign=tiny, attack=[1.0, 1.0])
    calm = encoded(benign=[1.0, 1.0], attack=tiny)
    made = AttackProbability(parts.NoConfig())
    high, low = made.score(sure).score, made.score(calm).score
    assert high[0] < high[1] <= 1
    assert low[0] > low[1] > 0


def test_an_answer_without_benign_is_refused():
    with pytest.raises(ContractError, match="how probable the class 'benign' is"):
        AttackProbability(parts.NoConfig()).score(encoded(flood=[1.0], scan=[0.0]))


def test_verdicts_name_the_most_probable_class():
    found = verdicts(encoded(benign=[0.5, 0.1], scan=[0.5, 0.9]))
    assert found.column().to_pylist() == ["benign", "scan"]
    assert found[np.array([1])].words() == ["classified as scan, probability 0.900"]
    assert Verdicts.of(("benign", "scan"), np.empty((0, 2), np.float32)).words() == []


def test_in_an_encoders_place_it_refuses_to_learn_without_labels():
    part = parts.Classifier(
        name="centroid", summary="Near.", config=taught.CentroidConfig, make=taught.Centroid
    )
    made = as_encoder(part).make(taught.CentroidConfig())
    assert isinstance(made, Classes)
    with pytest.raises(ContractError, match="learns from labels and was given none"):
        made.fit([], seed=0)
