"""The rules for whatever has `fit`, whatever its kind: it starts unfitted, forgets, repeats, and survives a bundle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvigil.errors import NotFittedError
from netvigil.parts import Part
from netvigil.testing.conformance.rules import Check, Subject, checks
from netvigil.testing.conformance.states import revived

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Lesson:
    """How to teach and question a part of some kind: `train` and `other` are two unlike train ranges.

    `answers` uses a fitted part and returns named arrays (or plain values), which are compared bit by bit.
    `optional` parts may work without `fit`, because they learn nothing.
    """

    train: Any
    other: Any
    answers: Callable[[Any], Results]
    optional: bool = False

    def teach(self, made: Any, material: Any, *, seed: int = 0) -> Any:
        """Fit, and return what `fit` returns."""
        return made.fit(material, seed=seed)


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
            lesson.teach(made, lesson.train) is made, "`fit` returns self.", mend="End fit with `return self`."
        )

    def unfitted_raises(subject: Subject) -> None:
        """Before `fit`, use and `get_state` raise `NotFittedError`."""
        _unfitted(subject, lesson_of(subject))

    def refit_forgets(subject: Subject) -> None:
        """Fitting again gives what a fresh part would have learnt; nothing of the first fit is left."""
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
        """The seed alone decides: equal seeds give equal bits, and no global generator is touched."""
        _seeded(subject, lesson_of(subject))

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
        """A fresh part that takes over the state, by way of a bundle, answers bit by bit the same."""
        lesson = lesson_of(subject)
        fitted = subject.make()
        lesson.teach(fitted, lesson.train)
        answers = lesson.answers(fitted)
        heir = subject.make()
        back = heir.set_state(revived(subject, fitted.get_state()))
        subject.require(back is heir, "`set_state` returns self.", mend="End it with `return self`.")
        subject.require(
            same(answers, lesson.answers(heir)),
            "`set_state(get_state())` restores everything that `fit` learnt.",
            found="A revived part answers otherwise than the fitted one.",
            mend="Put every fitted attribute into the state, at full precision.",
        )

    return checks(
        kind,
        fit_returns_the_part,
        unfitted_raises,
        refit_forgets,
        same_seed_same_result,
        inputs_stay_unchanged,
        state_round_trip,
    )


def _unfitted(subject: Subject, lesson: Lesson) -> None:
    calls = {"using it": lesson.answers, "`get_state`": lambda made: made.get_state()}
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


def _seeded(subject: Subject, lesson: Lesson) -> None:
    before = _global_generator()
    answers = []
    for seed in (11, 11):
        made = subject.make()
        lesson.teach(made, lesson.train, seed=seed)
        answers += [lesson.answers(made), lesson.answers(made)]
    subject.require(
        all(same(answers[0], other) for other in answers[1:]),
        "equal seeds give equal results, and asking twice gives the same answer.",
        mend="Draw from np.random.default_rng(seed) in `fit`, and from nothing while it is used.",
    )
    subject.require(
        _global_generator() == before,
        "the global random generator is not used.",
        mend="Pass `seed` on: to default_rng, or as random_state.",
    )


def _global_generator() -> str:
    # Reading the legacy state is the only way to see whether somebody drew from it.
    return repr([part if np.isscalar(part) else np.asarray(part).tolist() for part in np.random.get_state()])  # noqa: NPY002


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
