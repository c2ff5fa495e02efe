"""What a threshold owes: a finite cut that keeps its promise, and a word on where it is from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from netvigil import parts
from netvigil.errors import NetvigilError
from netvigil.protocols import Calibration, MovingCut
from netvigil.testing.conformance.learners import Lesson, Results, learner_checks
from netvigil.testing.conformance.rules import Subject, checks

# Names of settings that promise a largest share of flagged flows.
SHARES = ("keep", "fpr", "target_fpr", "share", "rate")
PER_DAY = ("alerts", "per_day", "alerts_per_day")
DAY_S = 86_400.0


def never_flags_more_than_promised(subject: Subject) -> None:
    """On the calibration range, ties included, no more is flagged than the settings promise."""
    for words, score in _score_shapes().items():
        calibration = _calibration(subject, score)
        promised = _promised(subject, calibration)
        if promised is None:
            return
        cut = subject.make().fit(calibration, seed=0).cut_
        flagged = score > cut
        if calibration.is_attack is not None:
            flagged = flagged[~calibration.is_attack]
        subject.require(
            flagged.sum() <= promised * len(flagged) + 1e-9,
            "no more of the calibration range is flagged than promised.",
            found=f"{flagged.mean():.4f} of {words} lie above the cut; promised: {promised:.4f}.",
            mend="Alerts lie strictly above the cut: with ties, cut at the next higher score.",
        )


def cut_is_one_finite_number(subject: Subject) -> None:
    """`cut_` is one finite float, whatever the shape of the scores."""
    for words, score in _score_shapes().items():
        cut = subject.make().fit(_calibration(subject, score), seed=0).cut_
        subject.require(
            isinstance(cut, float) and np.isfinite(cut),
            "`cut_` is a finite float.",
            found=f"{cut!r} for {words}.",
        )


def provenance_is_a_sentence(subject: Subject) -> None:
    """`provenance` says in one sentence what the cut was set on, by which rule."""
    made = subject.make().fit(_usual(subject), seed=0)
    words = made.provenance()
    fine = isinstance(words, str) and len(words.split()) >= 3 and "\n" not in words.strip()
    subject.require(
        fine, "`provenance` is one sentence.", found=repr(words), mend="Name the rule and its data."
    )


def order_of_scores_is_irrelevant(subject: Subject) -> None:
    """The cut does not depend on the order of the calibration flows."""
    usual = _usual(subject)
    rows = np.random.default_rng(51).permutation(len(usual.score))
    mixed = replace(
        usual,
        score=usual.score[rows],
        is_attack=None if usual.is_attack is None else usual.is_attack[rows],
        known=None if usual.known is None else usual.known[rows],
    )
    first, second = (subject.make().fit(c, seed=0).cut_ for c in (usual, mixed))
    subject.require(
        np.isclose(first, second, rtol=1e-6),
        "the order of scores is irrelevant.",
        found=f"Cuts {first!r} and {second!r}.",
    )


def a_moving_cut_looks_back_only(subject: Subject) -> None:
    """A cut that moves begins at `cut_`; no flow changes its own cut, or that of one before it."""
    usual = _usual(subject)
    made = subject.make().fit(usual, seed=0)
    first = made.cut_
    if not isinstance(made, MovingCut):
        return
    start, score = _later(usual)
    cuts = made.follow().cuts(start, score)
    subject.require(
        cuts.shape == score.shape and np.isfinite(cuts).all() and cuts[0] == first,
        "`cuts` gives each flow one finite cut, the first of them `cut_`.",
        found=f"{cuts.shape} cuts of {len(score)} flows; the first is {cuts[:1]}, not {first}.",
    )
    for changed in (len(score) // 3, len(score) // 2, len(score) - 1):
        other = score.copy()
        other[changed:] = other[changed:] * 5 + 1
        again = made.follow().cuts(start, other)
        subject.require(
            np.array_equal(again[: changed + 1], cuts[: changed + 1]),
            "a cut depends on flows of earlier windows only.",
            found=f"Other scores from flow {changed} on change cuts up to it.",
            mend="Choose the cut of a window before its flows are seen.",
        )


def batches_do_not_move_a_cut(subject: Subject) -> None:
    """How flows come in batches makes no difference to a cut that moves, bit for bit."""
    usual = _usual(subject)
    made = subject.make().fit(usual, seed=0)
    if not isinstance(made, MovingCut):
        return
    start, score = _later(usual)
    follower = made.follow()
    pieces = np.split(np.arange(len(score)), [1, 2, 500, 501, 2_000])
    parted = [follower.cuts(start[rows], score[rows]) for rows in pieces]
    subject.require(
        np.array_equal(np.concatenate(parted), made.follow().cuts(start, score)),
        "batches do not move a cut.",
        mend="Keep what belongs to an unfinished window until the window ends; begin afresh in "
        "every `follow`.",
    )


def an_empty_range_is_refused_in_words(subject: Subject) -> None:
    """An empty range, or missing labels where they are needed, give an error of netvigil's."""
    usual = _usual(subject)
    cases = {"an empty calibration range": _cut_short(usual)}
    if usual.is_attack is not None:
        cases["a calibration range without labels"] = replace(usual, is_attack=None, known=None)
    for words, calibration in cases.items():
        try:
            made = subject.make().fit(calibration, seed=0)
        except NetvigilError:
            continue
        except Exception as error:  # noqa: BLE001 - a stranger's exception is the finding
            found = f"It raises {type(error).__name__}: {error}"
        else:
            found = f"The cut is {made.cut_!r}."
            if np.isfinite(made.cut_) and _promised(subject, usual) is None:
                continue  # a fixed cut needs no range
        subject.require(
            fine=False,
            rule=f"{words} is refused by a NetvigilError, or does not matter.",
            found=found,
            mend="Raise RunError saying what is missing and which setting to change.",
        )


def _score_shapes() -> dict[str, Any]:
    rng = np.random.default_rng(50)
    return {
        "log-normal scores": np.exp(rng.standard_normal(4_000)),
        "scores with heavy ties": rng.integers(0, 4, 4_000).astype(np.float64),
        "equal scores": np.full(500, 1.5),
        "negative scores": -np.exp(rng.standard_normal(1_000)),
        "30 scores": rng.standard_normal(30),
    }


def _usual(subject: Subject) -> Calibration:
    return _calibration(subject, np.exp(np.random.default_rng(52).standard_normal(3_000)))


def _later(usual: Calibration) -> tuple[Any, Any]:
    """Return a day of scores after the usual range that drift upwards: start times, scores."""
    rng = np.random.default_rng(54)
    drift = np.linspace(1, 2, 6_000)
    return 7_200_000_000 + np.arange(6_000) * 14_400_000, drift * rng.choice(usual.score, 6_000)


def _calibration(subject: Subject, score: Any) -> Calibration:
    """Put scores into two hours; supervised thresholds also get truth: the top 5 % attack."""
    start = np.linspace(0, 7.2e9, len(score)).astype(np.int64)
    calibration = Calibration(score=score, start_us=start, duration_s=7_200.0)
    if not getattr(subject.part, "supervised", False):
        return calibration
    attack = np.zeros(len(score), np.bool_)
    attack[np.argsort(score, kind="stable")[-max(len(score) // 20, 2) :]] = True
    return replace(calibration, is_attack=attack, known=np.ones(len(score), np.bool_))


def _cut_short(calibration: Calibration) -> Calibration:
    none = np.empty(0, np.bool_)
    labels = calibration.is_attack is not None
    return Calibration(
        score=np.empty(0),
        start_us=np.empty(0, np.int64),
        duration_s=0.0,
        is_attack=none if labels else None,
        known=none if labels else None,
    )


def _promised(subject: Subject, calibration: Calibration) -> float | None:
    if subject.given.promised is not None:
        return subject.given.promised
    settings = subject.config.model_dump()
    for name, value in settings.items():
        if name in SHARES and isinstance(value, float):
            return value
        if name in PER_DAY and isinstance(value, int | float):
            allowed = value * (calibration.duration_s or 0.0) / DAY_S
            return float(allowed) / max(len(calibration.score), 1)
    return None


def _lesson(subject: Subject) -> Lesson:
    def answers(made: Any) -> Results:
        # The cut is what a threshold is used for; the sentence must survive with it.
        words = made.provenance()
        found: dict[str, Any] = {"cut": made.cut_, "provenance": words}
        if isinstance(made, MovingCut):
            found["cuts"] = made.follow().cuts(*_later(usual))
        return found

    usual = _usual(subject)
    other = _calibration(subject, np.random.default_rng(53).standard_normal(2_000) * 40)
    return Lesson(usual, other, answers)


CHECKS = (
    *checks(
        parts.Threshold,
        never_flags_more_than_promised,
        cut_is_one_finite_number,
        provenance_is_a_sentence,
        order_of_scores_is_irrelevant,
        a_moving_cut_looks_back_only,
        batches_do_not_move_a_cut,
        an_empty_range_is_refused_in_words,
    ),
    *learner_checks(parts.Threshold, _lesson),
)
