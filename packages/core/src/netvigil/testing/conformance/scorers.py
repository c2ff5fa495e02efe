"""What a scorer owes: one finite score per flow, higher where stranger, alone or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil import parts
from netvigil.contracts import EncodedFlows, ScoreTable
from netvigil.testing.conformance.learners import Lesson, Results, calibrated, learner_checks
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.encodings import Planted, encoded

OUTLIERS = 30
CLOSE = 1e-5  # of the scores' spread: what float32 sums in another order may differ by


def finite_and_in_order(subject: Subject) -> None:
    """One finite float64 score per flow, with the flows and windows of the encoding in order."""
    probe = _probe(subject).encoded
    table = _fitted(subject).score(probe)
    subject.require(
        isinstance(table, ScoreTable), "`score` returns a ScoreTable.", found=str(type(table))
    )
    for name in ("flow_id", "window_start"):
        subject.require(
            np.array_equal(getattr(table, name), getattr(probe, name)),
            f"scores keep the `{name}` of their flows, in order.",
            mend=f"Pass encoded.{name} on to ScoreTable.",
        )
    subject.require(
        table.score.dtype == np.float64,
        "scores are float64.",
        found=f"They are {table.score.dtype}.",
    )


def outliers_score_higher(subject: Subject) -> None:
    """Planted outliers score higher than usual flows: a higher score means more anomalous."""
    planted = _probe(subject)
    score = _fitted(subject).score(planted.encoded).score
    ahead = auroc(score, planted.outlier)
    subject.require(
        ahead > 0.9,
        "flows far from all training flows score higher than usual ones.",
        found=f"An outlier scores higher than a usual flow with probability {ahead:.2f}.",
        mend="Flip the sign at the edge: scikit-learn's score_samples is higher where *more* "
        "usual.",
    )


def companions_do_not_matter(subject: Subject) -> None:
    """A flow's score does not depend on which others come with it, unless `transductive`."""
    if getattr(subject.part, "transductive", False):
        return
    scorer, planted = _fitted(subject), _probe(subject)
    whole = scorer.score(planted.encoded).score
    spread = float(np.ptp(whole)) or 1.0
    usual = np.flatnonzero(~planted.outlier)
    batches = {
        "alone": usual[:1],
        "without the outliers": usual,
        "in reverse order": np.arange(len(whole))[::-1].copy(),
    }
    for words, rows in batches.items():
        again = scorer.score(planted.encoded.take(rows)).score
        off = float(np.abs(again - whole[rows]).max()) / spread
        subject.require(
            off <= CLOSE,
            "a flow's score does not depend on its batch companions.",
            found=f"Scored {words}, a score moves by {off:.2g} of the spread of all scores.",
            mend="Score against what `fit` learnt, never against the batch; or declare the part "
            "transductive=True, which keeps it out of bundles.",
        )


def shared_encodings_count_as_written_out(subject: Subject) -> None:
    """Flows that share rows of an embedding are learnt from and scored as if each had its own."""
    if getattr(subject.part, "needs", "embedding") == "terms":
        return
    train, probe = _shared(subject, 500, seed=1), _shared(subject, 200, seed=2)
    answers = []
    for form in (lambda shared: shared, _written_out):
        made = calibrated(subject.make().fit(form(train), seed=0), form(train), seed=0)
        answers.append(made.score(form(probe)).score)
    spread = float(np.ptp(answers[1])) or 1.0
    fine = len(answers[0]) == len(probe)
    off = float(np.abs(answers[0] - answers[1]).max()) / spread if fine else np.inf
    subject.require(
        off <= CLOSE,
        "flows that share encodings (`row`) score as with encodings of their own.",
        found=f"A score moves by {off:.2g} of the spread."
        if fine
        else f"{len(answers[0]):,} scores.",
        mend="Read `encoded.per_flow()`, or score each row of `embedding` once and take `row`.",
    )


def no_flows_no_scores(subject: Subject) -> None:
    """An encoding without flows gives an empty table."""
    probe = _probe(subject).encoded.take(np.empty(0, np.int64))
    table = _fitted(subject).score(probe)
    subject.require(
        len(table) == 0, "no flows in, no scores out.", mend="Return early on an empty encoding."
    )


def auroc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the probability that a positive scores higher than a negative, ties counting half."""
    below = np.sort(score[~positive])
    ahead = np.searchsorted(below, score[positive], "left")
    tied = np.searchsorted(below, score[positive], "right") - ahead
    return float((ahead + tied / 2).mean() / len(below))


def _lesson(subject: Subject) -> Lesson:
    def answers(made: Any) -> Results:
        return {"score": made.score(_probe(subject).encoded).score}

    other = _sample(subject, 300, seed=5, outliers=60).encoded
    return Lesson(train=_sample(subject, 500, seed=1).encoded, other=other, answers=answers)


def _probe(subject: Subject) -> Planted:
    return _sample(subject, 200, seed=2, outliers=OUTLIERS)


def _sample(subject: Subject, flows: int, *, seed: int, outliers: int = 0) -> Planted:
    given = subject.given
    return encoded(flows, seed=seed, outliers=outliers, dim=given.dim, terms=given.terms)


def _shared(subject: Subject, flows: int, *, seed: int) -> EncodedFlows:
    """Make flows of which several share each of 60 encodings."""
    whole = _sample(subject, flows, seed=seed).encoded
    assert whole.embedding is not None
    row = np.random.default_rng(seed).integers(60, size=flows)
    return replace(whole, embedding=whole.embedding[:60], row=row)


def _written_out(shared: EncodedFlows) -> EncodedFlows:
    return replace(shared, embedding=shared.per_flow(), row=None)


def _fitted(subject: Subject) -> Any:
    train = _sample(subject, 500, seed=1).encoded
    return calibrated(subject.make().fit(train, seed=0), train, seed=0)


CHECKS = (
    *checks(
        parts.Scorer,
        finite_and_in_order,
        outliers_score_higher,
        companions_do_not_matter,
        shared_encodings_count_as_written_out,
        no_flows_no_scores,
    ),
    *learner_checks(parts.Scorer, _lesson),
)
