"""The checks of transforms: a sound one passes all, and each check catches the fault it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from netvigil import parts
from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State
from netvigil.testing.conformance import RuleBroken, check_flow_transform, checks_for


class Scale:
    """Divides by the largest training value and counts known categories, with a rare bucket."""

    def __init__(self, config):
        self.config = config
        self.top_ = None

    def fit(self, features, *, seed):
        self.top_ = np.maximum(np.nanmax(np.abs(features.x), axis=0), 1.0).astype(np.float64)
        self.known_ = {
            name: sorted({t for t in values.to_pylist() if t is not None})
            for name, values in features.categories.items()
        }
        return self

    def transform(self, features):
        if self.top_ is None:
            raise NotFittedError("fit first")
        columns, names = [self.numbers(features.x)], list(features.names)
        for name, words in self.known_.items():
            texts = np.array(features.categories[name].to_pylist(), object)
            columns += [np.stack([texts == w for w in words] + [~np.isin(texts, words)], 1)]
            names += [f"{name}_{w}" for w in (*words, "rare")]
        return FlowFeatures(np.concatenate(columns, 1).astype(np.float32), tuple(names))

    def numbers(self, x):
        return x / self.top_

    def get_state(self):
        if self.top_ is None:
            raise NotFittedError("fit first")
        return State(arrays={"top": self.top_}, values={"known": self.known_})

    def set_state(self, state):
        self.top_, self.known_ = state.arrays["top"], state.values["known"]
        return self


class CentresTheBatch(Scale):
    def numbers(self, x):
        return super().numbers(x - x.mean(axis=0, keepdims=True)) if len(x) else x


class CodesByBatch(Scale):
    """One-hot columns of whatever the batch holds."""

    def transform(self, features):
        texts = features.categories["conn_state"].to_pylist()
        words = sorted({t for t in texts if t is not None})
        coded = np.array([[t == w for w in words] for t in texts], np.float32)
        coded = coded.reshape(len(texts), len(words))
        return FlowFeatures(coded, tuple(f"is_{w}" for w in words))


class NaNForUnseen(Scale):
    def transform(self, features):
        result = super().transform(features)
        x = result.x.copy()
        x[np.array(features.categories["conn_state"].to_pylist(), object) == "odd1"] = np.nan
        return replace(result, x=x)


class DividesByZero(Scale):
    def numbers(self, x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return x / np.where(self.top_ == 1.0, 0.0, self.top_)


class Overflows(Scale):
    def numbers(self, x):
        with np.errstate(over="ignore"):
            return np.square(x, dtype=np.float32)


class LearnsNaN(Scale):
    def fit(self, features, *, seed):
        super().fit(features, seed=seed)
        self.top_ = np.maximum(np.abs(features.x).max(axis=0), 1.0)
        return self


class DropsMissingRows(Scale):
    def transform(self, features):
        result = super().transform(features)
        return replace(result, x=np.where(np.isnan(result.x).any(), np.float32(0), result.x))


class ForgetsColumnsOfNothing(Scale):
    def transform(self, features):
        if not len(features):
            return FlowFeatures(np.empty((0, 0), np.float32), ())
        return super().transform(features)


class ReturnsNothing(Scale):
    def fit(self, features, *, seed):
        super().fit(features, seed=seed)


class Remembers(Scale):
    def fit(self, features, *, seed):
        before = self.top_
        super().fit(features, seed=seed)
        self.top_ = self.top_ if before is None else np.maximum(before, self.top_) * 1.01
        return self


class Jitters(Scale):
    def fit(self, features, *, seed):
        super().fit(features, seed=seed)
        self.top_ = self.top_ * (1 + np.random.random())  # noqa: NPY002
        return self


class FillsInPlace(Scale):
    def fit(self, features, *, seed):
        features.x[:] = np.log1p(np.abs(features.x))
        return super().fit(features, seed=seed)


class HalfState(Scale):
    def set_state(self, state):
        self.top_, self.known_ = np.ones_like(state.arrays["top"]), state.values["known"]
        return self


class ByLabel(Scale):
    """Learns the features of benign flows only."""

    def fit(self, features, *, seed):
        raise ContractError("labels, please")

    def fit_labelled(self, features, is_attack, *, seed):
        assert is_attack.any()
        assert not is_attack.all()
        texts = {n: v.filter(pa.array(~is_attack)) for n, v in features.categories.items()}
        benign = FlowFeatures(features.x[~is_attack], features.names, texts)
        return super().fit(benign, seed=seed)


class ByLabelOrNot(ByLabel):
    def fit(self, features, *, seed):
        return Scale.fit(self, features, seed=seed)


BROKEN = [
    (CentresTheBatch, "rows-stand-alone"),
    (CentresTheBatch, "union-is-each"),
    (CodesByBatch, "unseen-category"),
    (NaNForUnseen, "unseen-category"),
    (DividesByZero, "finite-stays-finite"),
    (Overflows, "finite-stays-finite"),
    (LearnsNaN, "missing-values-stay-in-their-row"),
    (DropsMissingRows, "missing-values-stay-in-their-row"),
    (ForgetsColumnsOfNothing, "no-rows-no-rows"),
    (ReturnsNothing, "fit-returns-the-part"),
    (Remembers, "refit-forgets"),
    (Jitters, "same-seed-same-result"),
    (FillsInPlace, "inputs-stay-unchanged"),
    (HalfState, "state-round-trip"),
    (ByLabel, "labels-are-asked-for"),
]
# A transform that learns nothing may work unfitted, so no transform can break this rule.
ALWAYS_KEPT = {"unfitted-raises"}


def part_of(made, **declared):
    return parts.FlowTransform(name="fake", summary="A fake transform.", make=made, **declared)


def test_sound_transform_passes():
    check_flow_transform(part_of(Scale))
    check_flow_transform(part_of(ByLabel, supervised=True))


@pytest.mark.parametrize("made", [Scale, ByLabelOrNot])
def test_a_supervised_transform_learns_from_labels_only(made):
    with pytest.raises(RuleBroken, match=r"`supervised` is true|refuses `fit`"):
        check_flow_transform(part_of(made, supervised=True))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    check = next(check for check in checks_for(part) if check.id == name)
    with pytest.raises(RuleBroken, match="flow transform 'fake'"):
        check(part)


def test_every_check_has_a_fault_it_catches():
    ids = {check.id for check in checks_for(part_of(Scale))}
    assert ids == {name for _, name in BROKEN} | ALWAYS_KEPT
