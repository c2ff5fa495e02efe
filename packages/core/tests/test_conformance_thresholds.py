"""The checks of thresholds: a sound one passes all, and each check catches the fault it is for."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil import parts
from netvigil.errors import NotFittedError, RunError
from netvigil.protocols import State
from netvigil.testing.conformance import RuleBroken, check_threshold, checks_for


class ShareConfig(parts.PartConfig):
    keep: float = 0.05


class Share:
    """Flags at most a share of the calibration flows."""

    def __init__(self, config):
        self.config = config
        self.cut_ = None

    def fit(self, calibration, *, seed):
        if not len(calibration.score):
            raise RunError("The calibration range is empty.")
        score = np.sort(calibration.score)
        self.cut_ = self.choose(score)
        return self

    def choose(self, score):
        allowed = int(self.config.keep * len(score))
        return float(score[len(score) - 1 - allowed])

    def provenance(self):
        if self.cut_ is None:
            raise NotFittedError("fit first")
        return f"The top {self.config.keep:.0%} of the calibration range."

    def get_state(self):
        if self.cut_ is None:
            raise NotFittedError("fit first")
        return State(values={"cut": self.cut_})

    def set_state(self, state):
        self.cut_ = state.values["cut"]
        return self


class IgnoresTies(Share):
    """Cuts just below the score that would still fit, and takes all its ties along."""

    def choose(self, score):
        allowed = max(int(self.config.keep * len(score)), 1)
        return float(np.nextafter(score[len(score) - allowed], -np.inf))


class InfiniteCut(Share):
    def choose(self, score):
        cut = super().choose(score)
        return cut if cut < score[-1] else float("inf")


class ArrayCut(Share):
    def choose(self, score):
        return np.quantile(score, [1 - self.config.keep])


class SaysNothing(Share):
    def provenance(self):
        super().provenance()
        return ""


class LooksAtTheLastScores(Share):
    def fit(self, calibration, *, seed):
        super().fit(calibration, seed=seed)
        self.cut_ = max(self.cut_, float(calibration.score[-50:].max()))
        return self


class FailsOnNothing(Share):
    def fit(self, calibration, *, seed):
        self.cut_ = self.choose(np.sort(calibration.score))
        return self


class ReturnsNothing(Share):
    def fit(self, calibration, *, seed):
        super().fit(calibration, seed=seed)


class HasStateBeforeFit(Share):
    def get_state(self):
        return State(values={"cut": self.cut_})


class Smooths(Share):
    def fit(self, calibration, *, seed):
        before = self.cut_
        super().fit(calibration, seed=seed)
        self.cut_ = self.cut_ if before is None else max(before, self.cut_)
        return self


class Bootstraps(Share):
    def choose(self, score):
        return float(super().choose(score) + np.random.random())  # noqa: NPY002


class SortsInPlace(Share):
    def fit(self, calibration, *, seed):
        calibration.score.sort()
        return super().fit(calibration, seed=seed)


class RoundsItsState(Share):
    def set_state(self, state):
        self.cut_ = round(state.values["cut"], 3)
        return self


class Moves(Share):
    """A cut that rises by a hundredth of the highest score of each hour that has ended."""

    def follow(self):
        return Follower(self.cut_)


class Follower:
    def __init__(self, cut):
        self.cut, self.hour, self.highest = cut, None, 0.0

    def cuts(self, start_us, score):
        return np.array([self.one(*pair) for pair in zip(start_us, score, strict=True)])

    def one(self, when, score):
        if self.hour is not None and when // 3_600_000_000 > self.hour:
            self.cut, self.highest = self.cut + 0.01 * self.highest, 0.0
        self.hour, self.highest = when // 3_600_000_000, max(self.highest, score)
        return self.cut


class LooksAhead(Share):
    def follow(self):
        return self

    def cuts(self, start_us, score):
        del start_us
        return self.cut_ + 0.01 * (score.max() - score[0]) * np.arange(len(score))


class ForgetsBetweenBatches(Moves):
    def follow(self):
        return self

    def cuts(self, start_us, score):
        return Follower(self.cut_).cuts(start_us, score)


BROKEN = [
    (LooksAhead, "a-moving-cut-looks-back-only"),
    (ForgetsBetweenBatches, "batches-do-not-move-a-cut"),
    (IgnoresTies, "never-flags-more-than-promised"),
    (InfiniteCut, "cut-is-one-finite-number"),
    (ArrayCut, "cut-is-one-finite-number"),
    (SaysNothing, "provenance-is-a-sentence"),
    (LooksAtTheLastScores, "order-of-scores-is-irrelevant"),
    (FailsOnNothing, "an-empty-range-is-refused-in-words"),
    (ReturnsNothing, "fit-returns-the-part"),
    (HasStateBeforeFit, "unfitted-raises"),
    (Smooths, "refit-forgets"),
    (Bootstraps, "same-seed-same-result"),
    (SortsInPlace, "inputs-stay-unchanged"),
    (RoundsItsState, "state-round-trip"),
]


def part_of(made, config=ShareConfig, **declared):
    summary = "A fake threshold."
    return parts.Threshold(name="fake", summary=summary, make=made, config=config, **declared)


def check_of(part, name, **given):
    return next(check for check in checks_for(part, **given) if check.id == name)


@pytest.mark.parametrize("keep", [0.001, 0.05, 0.5])
def test_sound_threshold_passes(keep):
    check_threshold(part_of(Share), config={"keep": keep})


def test_sound_moving_threshold_passes():
    check_threshold(part_of(Moves))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    with pytest.raises(RuleBroken, match="threshold 'fake'"):
        check_of(part, name)(part)


def test_every_check_has_a_fault_it_catches():
    assert {check.id for check in checks_for(part_of(Share))} == {name for _, name in BROKEN}


def test_promise_may_be_given_where_the_settings_do_not_say():
    class Odd(parts.PartConfig):
        strictness: float = 0.05

    class Strict(Share):
        def __init__(self, config):
            super().__init__(ShareConfig(keep=config.strictness))

    part = part_of(Strict, Odd)
    check_of(part, "never-flags-more-than-promised", promised=0.05)(part)
    with pytest.raises(RuleBroken, match="promised"):
        check_of(part, "never-flags-more-than-promised", promised=0.01)(part)


def test_supervised_threshold_gets_labels_and_must_refuse_their_absence():
    class UsesLabels(Share):
        def fit(self, calibration, *, seed):
            assert calibration.is_attack.sum() == len(calibration.score) // 20
            return super().fit(calibration, seed=seed)

    part = part_of(UsesLabels, supervised=True)
    check_of(part, "provenance-is-a-sentence")(part)
    with pytest.raises(RuleBroken, match="without labels"):
        check_of(part, "an-empty-range-is-refused-in-words")(part)
