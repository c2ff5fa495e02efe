"""What a transform owes: rows that stand alone, finite numbers, any category."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import parts
from netvigil.contracts import FlowFeatures
from netvigil.errors import NetvigilError
from netvigil.protocols import SupervisedTransform
from netvigil.testing.conformance.learners import Lesson, Results, learner_checks
from netvigil.testing.conformance.rules import Subject, checks

NAMES = ("duration_s", "fwd_bytes", "x_mean_ps", "x_constant", "x_zero", "x_signed")
CLOSE = 1e-6  # relative: sums in float32 may be taken in another order


def rows_stand_alone(subject: Subject) -> None:
    """A row's result does not depend on which other rows come with it."""
    made, probe = _fitted(subject), sample(80, seed=2)
    whole = made.transform(probe)
    for words, rows in {
        "alone": np.arange(1),
        "in reverse order": np.arange(len(probe))[::-1].copy(),
        "among half of its companions": np.arange(0, len(probe), 2),
    }.items():
        part = made.transform(take(probe, rows))
        subject.require(
            _alike(part, take(whole, rows)),
            "a row is transformed without regard to its companions.",
            found=f"A row {words} gives another result than in the whole batch.",
            mend="Use only what `fit` learnt: no mean, rank or category table of the batch.",
        )


def union_is_each(subject: Subject) -> None:
    """Fitted on A, the transform of A and B together is that of A and that of B."""
    made = _fitted(subject)
    first, second = sample(60, seed=1), sample(40, seed=2, strange=True)
    both = made.transform(_joined(first, second))
    subject.require(
        _alike(take(both, np.arange(60)), made.transform(first))
        and _alike(take(both, np.arange(60, 100)), made.transform(second)),
        "transforming A and B together equals transforming each.",
        mend="Let nothing but `fit` look at more than one row.",
    )


def unseen_category(subject: Subject) -> None:
    """A category that is new or missing gives a row like any other: finite and as wide."""
    made = _fitted(subject)
    usual, strange = (
        made.transform(sample(30, seed=2)),
        made.transform(sample(30, seed=3, strange=True)),
    )
    subject.require(
        usual.names == strange.names,
        "the output columns are settled by `fit`, not by the batch.",
        found=f"{len(usual.names)} columns for known ones, {len(strange.names)} for unseen.",
        mend="Give unseen and missing categories a bucket of their own.",
    )
    subject.require(np.isfinite(strange.x).all(), "an unseen category gives finite features.")


def finite_stays_finite(subject: Subject) -> None:
    """Finite input, with constant and huge columns, gives finite output, row for row."""
    made, probe = _fitted(subject), sample(50, seed=2)
    x = probe.x.copy()
    x[:4] = np.array([[0.0], [1e30], [-1e30], [1e-30]])
    result = made.transform(replace(probe, x=x))
    subject.require(isinstance(result, FlowFeatures), "`transform` returns FlowFeatures.")
    subject.require(
        len(result) == len(probe), "one row in, one row out.", found=f"50 in, {len(result)} out."
    )
    subject.require(
        np.isfinite(result.x).all(),
        "finite features stay finite.",
        found=f"Not finite: "
        f"{', '.join(np.array(result.names)[~np.isfinite(result.x).all(axis=0)])}.",
        mend="Guard against division by a zero spread and against overflow; compute in float64.",
    )


def missing_values_stay_in_their_row(subject: Subject) -> None:
    """A missing value (NaN) breaks nothing, in `fit` and after it, and touches no other row."""
    holes = sample(200, seed=1)
    x = holes.x.copy()
    x[::7, 0] = np.nan
    made = _lesson(subject).teach(subject.make(), replace(holes, x=x))
    probe = sample(20, seed=2)
    x = probe.x.copy()
    x[0, 0] = np.nan
    clean, holed = made.transform(probe), made.transform(replace(probe, x=x))
    subject.require(
        np.isfinite(clean.x).all(),
        "NaN in the train range leaves no NaN in what was learnt.",
        mend="Learn with nanmedian and the like.",
    )
    subject.require(
        _alike(take(clean, np.arange(1, 20)), take(holed, np.arange(1, 20))),
        "a missing value touches no other row.",
    )


def no_rows_no_rows(subject: Subject) -> None:
    """Features of no flows give features of no flows, with the same columns."""
    made = _fitted(subject)
    none = made.transform(take(sample(5, seed=2), np.empty(0, np.int64)))
    subject.require(
        len(none) == 0 and none.names == made.transform(sample(5, seed=2)).names,
        "an empty batch keeps its columns.",
    )


def labels_are_asked_for(subject: Subject) -> None:
    """A `supervised` transform refuses `fit`; any other learns without labels."""
    declared = getattr(subject.part, "supervised", False)
    made = subject.make()
    subject.require(
        declared == isinstance(made, SupervisedTransform),
        "`supervised` is true.",
        found=f"Declared {declared}, and {'a' if not declared else 'no'} `fit_labelled` is there.",
        mend="Declare supervised=True for a transform that learns by `fit_labelled`.",
    )
    if declared:
        try:
            made.fit(sample(30, seed=1), seed=0)
        except NetvigilError:
            return
        subject.require(
            fine=False,
            rule="a supervised transform refuses `fit`, which brings no labels.",
            mend="Raise ContractError in `fit`.",
        )


def sample(flows: int, *, seed: int, strange: bool = False) -> FlowFeatures:
    """Make features with heavy tails, constants and two categories; `strange` has unseen ones."""
    rng = np.random.default_rng([seed, 31])
    x = np.exp(2 * rng.standard_normal((flows, len(NAMES)))).astype(np.float32)
    x[:, 3], x[:, 4], x[:, 5] = 4.0, 0.0, rng.standard_normal(flows)
    words = ["SF", "S0", "REJ", None]
    state = [words[i] for i in rng.integers(0, 3, flows)]
    if strange:
        state[: flows // 2] = [None if i % 3 == 0 else f"odd{i}" for i in range(flows // 2)]
    app = [("dns", "tls")[i] for i in rng.integers(0, 2, flows)]
    text = {"conn_state": state, "l7_proto": app}
    return FlowFeatures(
        x, NAMES, {k: pa.array(v, pa.string()).dictionary_encode() for k, v in text.items()}
    )


def take(features: FlowFeatures, rows: NDArray[np.int64]) -> FlowFeatures:
    """Return these rows."""
    picked = {name: values.take(pa.array(rows)) for name, values in features.categories.items()}
    return FlowFeatures(np.ascontiguousarray(features.x[rows]), features.names, picked)


def _joined(first: FlowFeatures, second: FlowFeatures) -> FlowFeatures:
    texts = {
        name: pa.array([*values.to_pylist(), *second.categories[name].to_pylist()], pa.string())
        for name, values in first.categories.items()
    }
    coded = {name: values.dictionary_encode() for name, values in texts.items()}
    return FlowFeatures(np.concatenate([first.x, second.x]), first.names, coded)


def _alike(left: FlowFeatures, right: FlowFeatures) -> bool:
    words = {n: v.to_pylist() for n, v in left.categories.items()}
    return (
        left.names == right.names
        and np.allclose(left.x, right.x, rtol=CLOSE, atol=1e-7, equal_nan=True)
        and words == {n: v.to_pylist() for n, v in right.categories.items()}
    )


def _fitted(subject: Subject) -> Any:
    return _lesson(subject).teach(subject.make(), sample(300, seed=1))


@dataclass(frozen=True)
class _Labelled(Lesson):
    """A lesson with labels: flows of an unusual state are attacks, and a few others."""

    def teach(self, made: Any, material: Any, *, seed: int = 0) -> Any:
        if not isinstance(made, SupervisedTransform):
            return super().teach(made, material, seed=seed)  # which is found elsewhere
        attack = np.arange(len(material)) % 17 == 0
        attack |= np.array([text != "SF" for text in material.categories["conn_state"].to_pylist()])
        return made.fit_labelled(material, attack, seed=seed)


def _lesson(subject: Subject) -> Lesson:
    def answers(made: Any) -> Results:
        result = made.transform(sample(80, seed=2, strange=True))
        texts = {
            n: np.array(v.to_pylist(), object).astype(str) for n, v in result.categories.items()
        }
        return {"x": result.x, "names": list(result.names), **texts}

    # A transform such as log1p learns nothing, and may work at once.
    kind = _Labelled if getattr(subject.part, "supervised", False) else Lesson
    return kind(sample(300, seed=1), sample(200, seed=9, strange=True), answers, optional=True)


CHECKS = (
    *checks(
        parts.FlowTransform,
        rows_stand_alone,
        union_is_each,
        unseen_category,
        finite_stays_finite,
        missing_values_stay_in_their_row,
        no_rows_no_rows,
        labels_are_asked_for,
    ),
    *learner_checks(parts.FlowTransform, _lesson),
)
