"""The checks of encoders: a sound one passes all, and each check catches the fault it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil import parts
from netvigil.contracts import EncodedFlows, require_reiterable
from netvigil.errors import NotFittedError
from netvigil.protocols import State
from netvigil.testing.conformance import RuleBroken, check_encoder, checks_for


class Neighbours:
    """A flow's features, centred, beside the mean of those with the same source in its window."""

    def __init__(self, config):
        self.config = config
        self.mean_ = None

    def fit(self, windows, *, seed):
        require_reiterable(windows)
        rng = np.random.default_rng(seed)
        x = np.concatenate([graphs.flow_x for graphs in windows])
        self.mean_ = x[rng.permutation(len(x))[: len(x) // 2]].mean(axis=0, dtype=np.float64)
        return self

    def encode(self, windows):
        if self.mean_ is None:
            raise NotFittedError("fit first")
        x = windows.flow_x - self.mean_
        rows, _ = windows.node_rows()
        sums, counts = (
            np.zeros((len(windows.node_key), x.shape[1])),
            np.zeros(len(windows.node_key)),
        )
        np.add.at(sums, rows, x)
        np.add.at(counts, rows, 1)
        near = (sums / np.maximum(counts, 1)[:, None])[rows]
        return self.result(windows, np.concatenate([x, near], axis=1).astype(np.float32))

    def result(self, windows, embedding):
        start = windows.window_start[windows.window_of_flow()]
        return EncodedFlows(windows.flow_id, start, embedding)

    def get_state(self):
        if self.mean_ is None:
            raise NotFittedError("fit first")
        return State(arrays={"mean": self.mean_})

    def set_state(self, state):
        self.mean_ = state.arrays["mean"]
        return self


class SharesEncodings(Neighbours):
    """As Anomal-E does: equal encodings are held once."""

    def result(self, windows, embedding):
        whole = super().result(windows, embedding)
        rows, row = np.unique(embedding, axis=0, return_inverse=True)
        return replace(whole, embedding=rows, row=row.reshape(-1))


class SharesWithTheWrongFlow(SharesEncodings):
    def result(self, windows, embedding):
        shared = super().result(windows, embedding)
        return replace(shared, row=np.minimum(np.arange(len(shared)), len(shared.embedding) - 1))


class SortsByFirstFeature(Neighbours):
    def result(self, windows, embedding):
        return super().result(windows, embedding).take(np.argsort(embedding[:, 0]))


class DoublesFlows(Neighbours):
    def result(self, windows, embedding):
        whole = super().result(windows, embedding)
        return EncodedFlows.concat([whole, whole])


class CountsWindows(Neighbours):
    def result(self, windows, embedding):
        return EncodedFlows(windows.flow_id, windows.window_of_flow(), embedding)


class AddsTerms(Neighbours):
    def result(self, windows, embedding):
        return replace(super().result(windows, embedding), terms={"error": embedding[:, 0]})


class ByPosition(Neighbours):
    def result(self, windows, embedding):
        near = embedding + 0.5 * np.roll(embedding, 1, axis=0)
        return super().result(windows, near.astype(np.float32))


class NormsTheBatch(Neighbours):
    def result(self, windows, embedding):
        scale = max(len(windows), 1)
        return super().result(windows, embedding * np.float32(scale))


class FailsOnEmptyWindow(Neighbours):
    def encode(self, windows):
        if not len(windows.flow_id):
            return super().encode(windows).take(np.zeros(1, np.int64))
        return super().encode(windows)


class DropsSelfLoops(Neighbours):
    def encode(self, windows):
        whole = super().encode(windows)
        return whole.take(np.flatnonzero(windows.flow_src != windows.flow_dst))


class TakesIterators(Neighbours):
    def fit(self, windows, *, seed):
        return super().fit(list(windows), seed=seed)


class ReturnsNothing(Neighbours):
    def fit(self, windows, *, seed):
        super().fit(windows, seed=seed)


class AnswersUnfitted(Neighbours):
    def encode(self, windows):
        if self.mean_ is None:
            return self.result(windows, windows.flow_x)
        return super().encode(windows)


class Remembers(Neighbours):
    def fit(self, windows, *, seed):
        before = self.mean_
        super().fit(windows, seed=seed)
        self.mean_ = self.mean_ if before is None else (self.mean_ + before) / 2
        return self


class IgnoresItsSeed(Neighbours):
    def fit(self, windows, *, seed):
        return super().fit(windows, seed=int(np.random.random() * 2**31))  # noqa: NPY002


class SamplesWhileEncoding(Neighbours):
    """A variational encoder that draws instead of taking the mean."""

    def __init__(self, config):
        super().__init__(config)
        self.rng = np.random.default_rng(0)

    def result(self, windows, embedding):
        noise = self.rng.standard_normal(embedding.shape, np.float32)
        return super().result(windows, embedding + noise)


class ScalesInPlace(Neighbours):
    def fit(self, windows, *, seed):
        super().fit(windows, seed=seed)
        for graphs in windows:
            object.__setattr__(graphs, "flow_x", graphs.flow_x / 2)
        return self


class HalfPrecisionState(Neighbours):
    def get_state(self):
        return State(arrays={"mean": super().get_state().arrays["mean"].astype(np.float16)})


BROKEN = [
    (SortsByFirstFeature, "every-flow-in-order"),
    (DoublesFlows, "every-flow-in-order"),
    (CountsWindows, "every-flow-in-order"),
    (AddsTerms, "emits-what-it-says"),
    (ByPosition, "order-of-flows-is-irrelevant"),
    (SharesWithTheWrongFlow, "order-of-flows-is-irrelevant"),
    (NormsTheBatch, "batches-of-windows-are-irrelevant"),
    (DropsSelfLoops, "odd-windows"),
    (TakesIterators, "one-shot-iterator-is-refused"),
    (ReturnsNothing, "fit-returns-the-part"),
    (AnswersUnfitted, "unfitted-raises"),
    (Remembers, "refit-forgets"),
    (IgnoresItsSeed, "same-seed-same-result"),
    (SamplesWhileEncoding, "same-seed-same-result"),
    (ScalesInPlace, "inputs-stay-unchanged"),
    (HalfPrecisionState, "state-round-trip"),
]
# Needs torch, which core must not; the fakes below stand in for it.
WITH_TORCH = {"torch-is-left-tidy"}


def part_of(made, **declared):
    return parts.Encoder(name="fake", summary="A fake encoder.", make=made, **declared)


def check_of(part, name):
    return next(check for check in checks_for(part) if check.id == name)


@pytest.mark.parametrize("made", [Neighbours, SharesEncodings])
def test_sound_encoder_passes(made):
    check_encoder(part_of(made))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    with pytest.raises(RuleBroken, match="encoder 'fake'"):
        check_of(part, name)(part)


def test_every_check_has_a_fault_it_catches():
    ids = {check.id for check in checks_for(part_of(Neighbours))}
    assert ids == {name for _, name in BROKEN} | WITH_TORCH


def test_encoder_that_learns_nothing_may_work_unfitted():
    part = part_of(AnswersUnfitted, passes="none")
    check_of(part, "unfitted-raises")(part)


class FakeModule:
    training = True


class FakeTorch:
    """As much of torch as the check looks at."""

    class nn:  # noqa: N801 - torch's name
        Module = FakeModule

    class Tensor:
        grad_fn = object()

    grad = True

    @classmethod
    def is_grad_enabled(cls):
        return cls.grad


class KeepsTraining(Neighbours):
    def __init__(self, config):
        super().__init__(config)
        self.network = FakeModule()


class KeepsGraph(Neighbours):
    def __init__(self, config):
        super().__init__(config)
        self.latent = FakeTorch.Tensor()


class SwitchesGradientsOff(Neighbours):
    def fit(self, windows, *, seed):
        FakeTorch.grad = False
        return super().fit(windows, seed=seed)


@pytest.mark.parametrize("made", [KeepsTraining, KeepsGraph, SwitchesGradientsOff])
def test_untidy_torch_is_caught(made, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", FakeTorch)
    monkeypatch.setattr(FakeTorch, "grad", True)
    part = part_of(made)
    with pytest.raises(RuleBroken):
        check_of(part, "torch-is-left-tidy")(part)
    check_of(part_of(Neighbours), "torch-is-left-tidy")(part_of(Neighbours))
