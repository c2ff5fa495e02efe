"""The checks of classifiers: a sound one passes all, and each check catches the fault it is for."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil import parts
from netvigil.contracts import EncodedFlows, LabelTable
from netvigil.protocols import State
from netvigil.testing.conformance import RuleBroken, check_classifier, checks_for

from .taught import Centroid, CentroidConfig


class Shuffles(Centroid):
    def classify(self, windows):
        whole = super().classify(windows)
        return whole.take(np.argsort(whole.terms["benign"]))


class CountsWindows(Centroid):
    def classify(self, windows):
        whole = super().classify(windows)
        return EncodedFlows(whole.flow_id, windows.window_of_flow(), terms=whole.terms)


class NamesItself(Centroid):
    def classify(self, windows):
        whole = super().classify(windows)
        terms = {f"p_{name}": term for name, term in whole.terms.items()}
        return EncodedFlows(whole.flow_id, whole.window_start, terms=terms)


class AddsUpToTwo(Centroid):
    def classify(self, windows):
        whole = super().classify(windows)
        terms = {name: 2 * term for name, term in whole.terms.items()}
        return EncodedFlows(whole.flow_id, whole.window_start, terms=terms)


class ReadsLabelsByRow(Centroid):
    def fit(self, windows, labels, *, seed):
        ids = np.concatenate([w.flow_id for w in windows])[: len(labels)]
        mixed = np.random.default_rng(0).permutation(ids)
        table = LabelTable.of(mixed, labels.table["is_attack"].to_numpy(), labels.table["attack"])
        return super().fit(windows, table, seed=seed)


class LearnsOneClass(Centroid):
    def fit(self, windows, labels, *, seed):
        if not labels.table["is_attack"].to_numpy().any():
            return self
        return super().fit(windows, labels, seed=seed)


class ByPosition(Centroid):
    def classify(self, windows):
        whole = super().classify(windows)
        rolled = {n: (t + np.roll(t, 1)) / np.float32(2) for n, t in whole.terms.items()}
        return EncodedFlows(whole.flow_id, whole.window_start, terms=rolled)


class NormsTheBatch(Centroid):
    def classify(self, windows):
        sharp = self.config.model_copy(update={"sharpness": 1.0 / max(len(windows), 1)})
        other = Centroid(sharp)
        other.means_, other.names_ = self.means_, self.names_
        if self.means_ is None:
            return super().classify(windows)
        return other.classify(windows)


class MakesUpAFlow(Centroid):
    def classify(self, windows):
        whole = super().classify(windows)
        if len(whole):
            return whole
        terms = {name: np.ones(1, np.float32) for name in whole.terms}
        return EncodedFlows(np.zeros(1, np.int64), np.zeros(1, np.int64), terms=terms)


class Remembers(Centroid):
    def fit(self, windows, labels, *, seed):
        before = self.means_
        super().fit(windows, labels, seed=seed)
        self.means_ = self.means_ if before is None else (self.means_ + before) / 2
        return self


class IgnoresItsSeed(Centroid):
    def fit(self, windows, labels, *, seed):
        return super().fit(windows, labels, seed=int(np.random.random() * 2**31))  # noqa: NPY002


class ForgetsNames(Centroid):
    def get_state(self):
        whole = super().get_state()
        return State(whole.arrays, {"names": sorted(whole.values["names"], reverse=True)})


BROKEN = [
    (Shuffles, "every-flow-in-order"),
    (CountsWindows, "every-flow-in-order"),
    (NamesItself, "probabilities-of-the-classes"),
    (AddsUpToTwo, "probabilities-of-the-classes"),
    (ReadsLabelsByRow, "it-learns"),
    (LearnsOneClass, "one-class-is-refused"),
    (ByPosition, "order-of-flows-is-irrelevant"),
    (NormsTheBatch, "batches-of-windows-are-irrelevant"),
    (MakesUpAFlow, "odd-windows"),
    (Remembers, "refit-forgets"),
    (IgnoresItsSeed, "same-seed-same-result"),
    (ForgetsNames, "state-round-trip"),
]


def part_of(made):
    return parts.Classifier(name="fake", summary="A fake.", config=CentroidConfig, make=made)


def test_a_sound_classifier_passes_every_check():
    check_classifier(part_of(Centroid))


@pytest.mark.parametrize(
    ("made", "rule"), BROKEN, ids=lambda value: getattr(value, "__name__", value)
)
def test_each_check_catches_its_fault(made, rule):
    (check,) = [check for check in checks_for(part_of(made)) if check.id == rule]
    with pytest.raises(RuleBroken):
        check(part_of(made))


def test_every_check_is_named_by_some_fault():
    checked = {rule for _, rule in BROKEN}
    others = {"torch-is-left-tidy", "fit-returns-the-part", "unfitted-raises"}
    others |= {"inputs-stay-unchanged"}
    assert {check.id for check in checks_for(part_of(Centroid))} == checked | others
