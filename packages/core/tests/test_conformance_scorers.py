"""The checks of scorers: a sound scorer passes all, and each check catches the fault it is for."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil import parts
from netvigil.contracts import ScoreTable
from netvigil.errors import ConfigError, NotFittedError
from netvigil.protocols import State
from netvigil.testing.conformance import RuleBroken, check_scorer, checks_for


class Distance:
    """Scores by the distance from the nearest of a few training flows."""

    def __init__(self, config):
        self.config = config
        self.points_ = None

    def fit(self, encoded, *, seed):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(encoded))[:100]
        self.points_ = encoded.per_flow()[rows].astype(np.float64)
        return self

    def score(self, encoded):
        if self.points_ is None:
            raise NotFittedError("fit first")
        return ScoreTable(encoded.flow_id, self.rank(encoded), encoded.window_start)

    def rank(self, encoded):
        away = self.rows(encoded)[:, None].astype(np.float64) - self.points_
        return np.sqrt((away**2).sum(-1)).min(1, initial=np.inf)

    def rows(self, encoded):
        return encoded.per_flow()

    def get_state(self):
        if self.points_ is None:
            raise NotFittedError("fit first")
        return State(arrays={"points": self.points_})

    def set_state(self, state):
        self.points_ = state.arrays["points"]
        return self


class FloatScores(Distance):
    def score(self, encoded):
        table = super().score(encoded)
        object.__setattr__(table, "score", table.score.astype(np.float32))
        return table


class Reorders(Distance):
    def score(self, encoded):
        return super().score(encoded.take(np.arange(len(encoded))[::-1].copy()))


class UpsideDown(Distance):
    def rank(self, encoded):
        return -super().rank(encoded)


class RanksInBatch(Distance):
    def rank(self, encoded):
        return np.argsort(np.argsort(super().rank(encoded))).astype(np.float64)


class JoinsTrainingToBatch(Distance):
    """As PyOD's ECOD and COPOD do: the tail probability counts the companions as well."""

    def rank(self, encoded):
        score = super().rank(encoded)
        if not len(score):
            return score
        everything = np.concatenate([np.zeros(len(self.points_)), score])
        return (everything[:, None] < score).mean(0)


class TakesSharedRowsInOrder(Distance):
    def rows(self, encoded):
        return np.resize(encoded.embedding, (len(encoded), encoded.embedding.shape[1]))


class FailsOnNothing(Distance):
    def rank(self, encoded):
        if not len(encoded):
            raise ValueError("Found array with 0 sample(s)")
        return super().rank(encoded)


class ReturnsNothing(Distance):
    def fit(self, encoded, *, seed):
        super().fit(encoded, seed=seed)


class AnswersUnfitted(Distance):
    def score(self, encoded):
        if self.points_ is None:
            return ScoreTable(encoded.flow_id, np.zeros(len(encoded)), encoded.window_start)
        return super().score(encoded)


class StateBeforeFit(Distance):
    def get_state(self):
        return State() if self.points_ is None else super().get_state()


class Remembers(Distance):
    def fit(self, encoded, *, seed):
        before = self.points_
        super().fit(encoded, seed=seed)
        if before is not None:
            self.points_ = np.concatenate([before, self.points_])
        return self


class IgnoresItsSeed(Distance):
    def fit(self, encoded, *, seed):
        return super().fit(encoded, seed=int(np.random.random() * 2**31))  # noqa: NPY002


class DrawsWhileScoring(Distance):
    def rank(self, encoded):
        self.calls = getattr(self, "calls", 0) + 1
        return super().rank(encoded) + 1e-6 * self.calls


class ScalesInPlace(Distance):
    def fit(self, encoded, *, seed):
        encoded.embedding[:] /= 2
        return super().fit(encoded, seed=seed)


class ForgetsHalfItsState(Distance):
    def get_state(self):
        return State(arrays={"points": super().get_state().arrays["points"][:50]})


class RoundsItsState(Distance):
    def get_state(self):
        return State(values={"points": super().get_state().arrays["points"].round(2).tolist()})

    def set_state(self, state):
        self.points_ = np.array(state.values["points"])
        return self


class TextInArrays(Distance):
    def get_state(self):
        return State(arrays={**super().get_state().arrays, "names": np.array(["a", "b"])})


class TuplesInValues(Distance):
    def get_state(self):
        return State(super().get_state().arrays, values={"shape": (1, 2)})


class SetsInValues(Distance):
    def get_state(self):
        return State(super().get_state().arrays, values={"names": {"a"}})


class UnlistedEstimator(Distance):
    def get_state(self):
        from sklearn.neighbors import KDTree

        tree = KDTree(super().get_state().arrays["points"])
        return State(super().get_state().arrays, estimators={"tree": tree})


BROKEN = [
    (FloatScores, "finite-and-in-order"),
    (Reorders, "finite-and-in-order"),
    (UpsideDown, "outliers-score-higher"),
    (RanksInBatch, "companions-do-not-matter"),
    (JoinsTrainingToBatch, "companions-do-not-matter"),
    (TakesSharedRowsInOrder, "shared-encodings-count-as-written-out"),
    (ReturnsNothing, "fit-returns-the-part"),
    (AnswersUnfitted, "unfitted-raises"),
    (StateBeforeFit, "unfitted-raises"),
    (Remembers, "refit-forgets"),
    (IgnoresItsSeed, "same-seed-same-result"),
    (DrawsWhileScoring, "same-seed-same-result"),
    (ScalesInPlace, "inputs-stay-unchanged"),
    (ForgetsHalfItsState, "state-round-trip"),
    (RoundsItsState, "state-round-trip"),
    (TextInArrays, "state-round-trip"),
    (TuplesInValues, "state-round-trip"),
    (SetsInValues, "state-round-trip"),
    (UnlistedEstimator, "state-round-trip"),
]


def part_of(made, **declared):
    return parts.Scorer(name="fake", summary="A fake scorer.", make=made, **declared)


def check_of(part, name, **given):
    return next(check for check in checks_for(part, **given) if check.id == name)


@pytest.mark.parametrize("check", checks_for(part_of(Distance)), ids=str)
def test_sound_scorer_passes(check):
    check(part_of(Distance))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    with pytest.raises(RuleBroken, match="scorer 'fake'"):
        check_of(part, name)(part)


def test_every_check_has_a_fault_it_catches():
    # An exception that the part itself raises is shown as it is.
    part = part_of(FailsOnNothing)
    with pytest.raises(ValueError, match="0 sample"):
        check_of(part, "no-flows-no-scores")(part)
    caught = {name for _, name in BROKEN} | {"no-flows-no-scores"}
    assert caught == {check.id for check in checks_for(part)}


def test_declared_transductive_scorer_may_look_at_companions():
    part = part_of(RanksInBatch, transductive=True)
    check_of(part, "companions-do-not-matter")(part)


def test_check_scorer_names_every_broken_rule():
    class Both(UpsideDown, Remembers):
        pass

    with pytest.raises(RuleBroken) as caught:
        check_scorer(part_of(Both))
    assert "[outliers-score-higher]" in str(caught.value)
    assert "[refit-forgets]" in str(caught.value)
    assert "Flip the sign" in str(caught.value)
    check_scorer(part_of(Distance))


def test_settings_without_default_must_be_given():
    class Needed(parts.PartConfig):
        depth: int

    part = parts.Scorer(name="needy", summary="Needs a setting.", make=Distance, config=Needed)
    check = check_of(part, "refit-forgets")
    with pytest.raises(ConfigError, match="config="):
        check(part)
    check_of(part, "refit-forgets", config={"depth": 3})(part)
    check_of(part, "refit-forgets", config=Needed(depth=3))(part)


def test_shape_of_the_encoding_can_be_chosen():
    seen = []

    class Looks(Distance):
        def fit(self, encoded, *, seed):
            seen.append((encoded.embedding.shape[1], tuple(encoded.terms)))
            return super().fit(encoded, seed=seed)

    part = part_of(Looks)
    check_of(part, "outliers-score-higher", dim=9, terms=("a",))(part)
    assert seen == [(9, ("a",))]
