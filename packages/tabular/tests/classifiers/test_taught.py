"""Sampling, weights and calibration around a model: what it is shown, and what is held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netvigil.errors import ContractError
from netvigil.protocols import State
from netvigil_tabular.classifiers.configs import RandomForestConfig
from netvigil_tabular.classifiers.taught import Taught, folds

NAMES = ("benign", "flood", "scan")


class Spy:
    """Remembers what it is shown, and says what the first feature is."""

    shown: list[tuple[Any, Any, Any, int]] = []  # noqa: RUF012 - emptied by `taught`

    def learn(self, x, y, weight, *, classes, seed):
        self.shown.append((x[:, 0].tolist(), y.tolist(), weight, seed))
        self.classes = classes
        return self

    def share(self, x):
        return np.eye(self.classes)[x[:, 0].astype(int) % self.classes] * 0.8 + 0.2 / self.classes

    def state(self):
        return State()

    def restore(self, state, *, classes, features):
        self.classes = classes
        return self


def taught(**settings):
    Spy.shown.clear()
    return Taught("spy", RandomForestConfig(**settings), Spy)


def rows(count=30):
    x = np.arange(count, dtype=np.float32)[:, None]
    return x, (np.arange(count) % 3).astype(np.int64)


def test_without_calibration_it_is_shown_everything_in_order():
    x, y = rows()
    made = taught().learn(x, y, NAMES, seed=4)
    assert made.model.shown == [(x[:, 0].tolist(), y.tolist(), None, 4)]
    assert made.share(x).sum(axis=1) == pytest.approx(1)


def test_a_limit_shows_a_seeded_sample():
    x, y = rows(3_000)
    taught(fit_rows=300).learn(x, y, NAMES, seed=4)
    (shown,) = Spy.shown
    assert len(shown[0]) == 300
    assert shown[0] == sorted(shown[0])
    assert np.bincount(shown[1]).tolist() == [100, 100, 100]


def test_balanced_classes_are_weighed():
    x, _ = rows(8)
    y = np.array([0] * 6 + [1, 2])
    taught(class_weight="balanced").learn(x, y, NAMES, seed=0)
    assert Spy.shown[0][2].tolist() == pytest.approx([8 / 18] * 6 + [8 / 3] * 2)


def test_the_latest_flows_are_held_out():
    x, y = rows()
    made = taught(calibration="isotonic", calibration_share=0.3).learn(x, y, NAMES, seed=0)
    assert [len(shown[0]) for shown in Spy.shown] == [21]
    assert Spy.shown[0][0] == list(range(21))
    # The model is right on every one of them, so what was .8 is certain.
    assert made.share(x)[np.arange(30), y] == pytest.approx(1)


def test_a_class_that_only_the_latest_flows_have_is_refused():
    x, y = rows()
    y[:] = np.arange(30) // 10
    with pytest.raises(ContractError, match="with them every one of class scan") as caught:
        taught(calibration="sigmoid", calibration_share=0.34).learn(x, y, NAMES, seed=0)
    assert 'calibration_by = "folds"' in str(caught.value)


def test_each_fold_is_held_out_in_turn_and_then_everything_teaches():
    x, y = rows()
    taught(calibration="sigmoid", calibration_by="folds", calibration_folds=3).learn(
        x, y, NAMES, seed=0
    )
    assert [len(shown[0]) for shown in Spy.shown] == [18, 21, 21, 30]
    left_out = [set(range(30)) - set(map(int, shown[0])) for shown in Spy.shown[:3]]
    assert set.union(*left_out) == set(range(30))
    assert sum(map(len, left_out)) == 30


def test_folds_deal_each_class_out():
    y = np.array([0] * 7 + [1] * 2)
    fold = folds(y, 3, seed=1)
    assert sorted(fold[:7].tolist()) == [0, 0, 0, 1, 1, 2, 2]
    assert len(set(fold[7:].tolist())) == 2


def test_curves_are_part_of_the_state(carried):
    x, y = rows()
    made = taught(calibration="sigmoid", calibration_by="folds").learn(x, y, NAMES, seed=0)
    heir = taught(calibration="sigmoid", calibration_by="folds")
    heir.restore(carried(made.state()), classes=3, features=1)
    assert heir.share(x).tobytes() == made.share(x).tobytes()
