"""The rules of learning: to start unfitted, to forget, to repeat, to survive a bundle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvigil.errors import NotFittedError
from netvigil.parts import Part
from netvigil.protocols import CalibratedScorer
from netvigil.testing.conformance.rules import Check, Subject, checks
from netvigil.testing.conformance.states import revived

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Lesson:
    """How to teach and question a part: `train` and `other` are two unlike train ranges.

    `answers` uses a fitted part and returns named arrays (or plain values), which are compared bit
    by bit.
    `optional` parts may work without `fit`, because they learn nothing.
    """

    train: Any
    other: Any
    answers: Callable[[Any], Results]
    optional: bool = False

    def teach(self, made: Any, material: Any, *, seed: int = 0) -> Any:
        """Fit, and return what `fit` returns; a calibrated scorer is calibrated too."""
        fitted = made.fit(material, seed=seed)
        return calibrated(fitted, material, seed=seed)


def calibrated(made: Any, material: Any, *, seed: int) -> Any:
    """Calibrate a scorer that asks for it, on what it was fitted on: good enough for its rules."""
    asks = isinstance(made, CalibratedScorer)
    return made.calibrate(material, seed=seed) if asks else made


def same(left: Results, right: Results) -> bool:
    """Say whether two answers agree bit by bit."""
    return left.keys() == right.keys() and all(
        np.array_equal(np.asarray(left[k]), np.asarray(right[k])) for k in left
    )


def learner_checks(
    kind: type[Part[Any]], lesson_of: Callable[[Subject], Lesson]
) -> tuple[Check, ...]:
    """Return the rules of learning for a kind, whose lessons `lesson_of` makes."""

    def fit_returns_the_part(subject: Subject) -> None:
        """`fit` returns the part itself."""
        made, lesson = subject.make(), lesson_of(subject)
        subject.require(
            lesson.teach(made, lesson.train) is made,
            "`fit` returns self.",
            mend="End fit with `return self`.",
        )

    def unfitted_raises(subject: Subject) -> None:
        """Before `fit`, use and `get_state` raise `NotFittedError`."""
        _unfitted(subject, lesson_of(subject))

    def refit_forgets(subject: Subject) -> None:
        """Fitting again gives what a fresh part would have learnt."""
        lesson = lesson_of(subject)
        fresh, again = subject.make(), subject.make()
        lesson.teach(fresh, lesson.train)
        lesson.teach(again, lesson.other, seed=3)
        lesson.teach(again, lesson.train)
        subject.require(
            same(lesson.answers(fresh), lesson.answers(again)),
            "a second `fit` forgets the first.",
            found="After fit(other), fit(train) it answers otherwise than after fit(train) alone.",
            mend="Set every fitted attribute anew in `fit`, from this call's data and seed alone.",
        )

    def same_seed_same_result(subject: Subject) -> None:
        """Equal seeds give equal bits, whatever the global generator, and at every asking."""
        _seeded(subject, lesson_of(subject))

    return (
        *checks(kind, fit_returns_the_part, unfitted_raises, refit_forgets, same_seed_same_result),
        *_keeping_checks(kind, lesson_of),
    )


def _keeping_checks(
    kind: type[Part[Any]], lesson_of: Callable[[Subject], Lesson]
) -> tuple[Check, ...]:
    """Return the rules about what a part leaves alone and what it keeps."""

    def inputs_stay_unchanged(subject: Subject) -> None:
        """Neither `fit` nor use writes into what it was given."""
        lesson = lesson_of(subject)
        before = copy.deepcopy(lesson.train)
        made = subject.make()
        lesson.teach(made, lesson.train)
        lesson.answers(made)
        subject.require(
            _equal(before, lesson.train),
            "its inputs stay as they are.",
            found="The train range differs after `fit`.",
            mend="Copy before writing in place.",
        )

    def state_round_trip(subject: Subject) -> None:
        """A fresh part given the state, by way of a bundle, answers bit by bit the same."""
        lesson = lesson_of(subject)
        fitted = subject.make()
        lesson.teach(fitted, lesson.train)
        answers = lesson.answers(fitted)
        heir = subject.make()
        back = heir.set_state(revived(subject, fitted.get_state()))
        subject.require(
            back is heir, "`set_state` returns self.", mend="End it with `return self`."
        )
        subject.require(
            same(answers, lesson.answers(heir)),
            "`set_state(get_state())` restores everything that `fit` learnt.",
            found="A revived part answers otherwise than the fitted one.",
            mend="Put every fitted attribute into the state, at full precision.",
        )

    return checks(kind, inputs_stay_unchanged, state_round_trip)


def _unfitted(subject: Subject, lesson: Lesson) -> None:
    calls = {"using it": lesson.answers, "`get_state`": _state_of}
    for words, call in calls.items():
        if lesson.optional:
            continue
        try:
            call(subject.make())
        except NotFittedError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever else it raises is the finding
            found = f"It raises {type(error).__name__}: {error}"
        else:
            found = "It goes through."
        subject.require(
            fine=False,
            rule=f"{words} before `fit` raises NotFittedError.",
            found=found,
            mend="Check for a fitted attribute first.",
        )


def _state_of(made: Any) -> Any:
    return made.get_state()


def _seeded(subject: Subject, lesson: Lesson) -> None:
    answers = []
    for _ in range(2):
        made = subject.make()
        lesson.teach(made, lesson.train, seed=11)
        answers += [lesson.answers(made), lesson.answers(made)]
        # Another state of the global generator must make no difference.
        np.random.random()  # noqa: NPY002
    subject.require(
        same(answers[0], answers[1]),
        "asking twice gives the same answer.",
        mend="Draw nothing while the part is used; what must be drawn is drawn in `fit`.",
    )
    subject.require(
        all(same(answers[0], other) for other in answers[2:]),
        "equal seeds give equal results.",
        mend="Draw from np.random.default_rng(seed), or pass the seed on as random_state.",
    )


def _equal(left: Any, right: Any) -> bool:
    """Compare inputs: arrays, tables and dataclasses of them, field by field."""
    if isinstance(left, np.ndarray):
        return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    if hasattr(left, "__dataclass_fields__"):
        return all(_equal(getattr(left, f), getattr(right, f)) for f in left.__dataclass_fields__)
    return bool(left == right)
