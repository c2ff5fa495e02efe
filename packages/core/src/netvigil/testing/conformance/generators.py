"""What a generator owes: windows like those it learnt from, of classes that it was taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netvigil import parts
from netvigil.contracts import LabelTable, WindowGraphs
from netvigil.errors import NetvigilError
from netvigil.generators import counts_of
from netvigil.protocols import Generated
from netvigil.testing.conformance.classifiers import NAMES, codes_of, labels_of
from netvigil.testing.conformance.encoders import frozen
from netvigil.testing.conformance.learners import Lesson, Results, learner_checks
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.windows import windows

MANY = 6
FAR = 1.0  # widths of the train range that a feature may lie beyond it


def windows_of_its_kind(subject: Subject) -> None:
    """`generate` returns as many windows as asked for, of the schema and features it says."""
    made = _fitted(subject).generate(MANY, condition=None, seed=0)
    subject.require(isinstance(made, Generated), "`generate` returns netvigil.protocols.Generated.")
    subject.require(
        len(made.windows) == MANY,
        "it makes as many windows as it was asked for.",
        found=f"{len(made.windows)} for {MANY}.",
    )
    subject.require(
        made.windows.schema == subject.part.emits,  # type: ignore[attr-defined]
        "the windows have the schema that `emits` says.",
        found=f"'{made.windows.schema}'",
    )
    subject.require(
        made.windows.feature_names == _train(subject).feature_names,
        "generated flows have the features of those it learnt from.",
    )
    subject.require(
        np.array_equal(made.windows.flow_id, np.arange(len(made.windows.flow_id))),
        "the ids of generated flows count from 0.",
    )
    # Building anew checks every rule of windows.
    WindowGraphs(**vars(made.windows))


def features_stay_near(subject: Subject) -> None:
    """No feature lies farther beyond the train range than that is wide."""
    x, made = _train(subject).flow_x, _fitted(subject).generate(MANY, condition=None, seed=0)
    low, high = x.min(axis=0), x.max(axis=0)
    reach = FAR * (high - low)
    inside = (made.windows.flow_x >= low - reach) & (made.windows.flow_x <= high + reach)
    subject.require(
        bool(inside.all()),
        "generated features lie near those it learnt from.",
        found=f"{int((~inside).sum()):,} values lie far outside.",
    )


def flows_have_classes(subject: Subject) -> None:
    """A supervised generator says of what class each flow is, and knows no other classes."""
    if not subject.part.supervised:  # type: ignore[attr-defined]
        return
    made = _fitted(subject).generate(MANY, condition=None, seed=0)
    labels = made.labels
    subject.require(isinstance(labels, LabelTable), "`Generated.labels` is a LabelTable.")
    subject.require(
        np.array_equal(labels.table["flow_id"].to_numpy(), made.windows.flow_id),
        "labels name every generated flow, in order.",
    )
    known = set(NAMES)
    subject.require(
        set(counts_of(labels)) <= known,
        "the classes of generated flows are those it was taught.",
        found=f"{sorted(set(counts_of(labels)) - known)}",
    )


def a_condition_is_kept(subject: Subject) -> None:
    """With a condition all flows are of that class; an unknown one is refused."""
    if not subject.part.supervised:  # type: ignore[attr-defined]
        return
    made = _fitted(subject)
    for name in NAMES:
        labels = made.generate(2, condition=name, seed=1).labels
        subject.require(isinstance(labels, LabelTable), "`Generated.labels` is a LabelTable.")
        counts = counts_of(labels)
        subject.require(
            {n for n, many in counts.items() if many} <= {name},
            f"with the condition '{name}' every flow is of that class.",
            found=f"{counts}",
        )
    try:
        made.generate(2, condition="a class that nobody taught", seed=1)
    except NetvigilError:
        return
    subject.require(fine=False, rule="a condition that was not learnt is refused.")


def classes_differ_as_they_did(subject: Subject) -> None:
    """What tells two classes apart in the train range tells generated ones apart too."""
    if not subject.part.supervised:  # type: ignore[attr-defined]
        return
    made = _fitted(subject)
    high, low = (
        made.generate(MANY, condition=name, seed=2).windows.flow_x[:, 0].mean()
        for name in NAMES[1:]
    )
    subject.require(
        high > low,
        "a class's generated features are like that class's.",
        found=f"Means of the telling feature: {high:.2f}, where it is high, and {low:.2f}.",
        mend="Match labels by flow id, and condition on them in `generate`.",
    )


def labels_are_needed(subject: Subject) -> None:
    """A supervised generator refuses to learn without labels."""
    if not subject.part.supervised:  # type: ignore[attr-defined]
        return
    try:
        subject.make().fit([_train(subject)], None, seed=0)
    except NetvigilError:
        return
    subject.require(fine=False, rule="without labels there is nothing to learn classes from.")


def _train(subject: Subject, seed: int = 1) -> WindowGraphs:
    schema = str(subject.part.accepts[0])  # type: ignore[attr-defined]
    # From the third on, windows have as many flows as they are asked to have.
    return frozen(windows(10, seed=seed, flows=60, schema=schema)[2:])


def _labels(graphs: WindowGraphs) -> LabelTable:
    """Label every flow, as generators want it."""
    return labels_of(graphs, codes_of(graphs), np.ones(len(graphs.flow_id), np.bool_))


def _fitted(subject: Subject) -> Any:
    train = _train(subject)
    return subject.make().fit([train], _labels(train), seed=0)


@dataclass(frozen=True)
class _Labelled(Lesson):
    """A lesson whose windows come with labels."""

    def teach(self, made: Any, material: Any, *, seed: int = 0) -> Any:
        return made.fit(material, _labels(material[0]), seed=seed)


def _lesson(subject: Subject) -> Lesson:
    def answers(made: Any) -> Results:
        found = made.generate(3, condition=None, seed=4).windows
        return {name: getattr(found, name) for name in ("flow_x", "flow_src", "flow_dst")}

    return _Labelled([_train(subject)], [_train(subject, seed=5)], answers)


CHECKS = (
    *checks(
        parts.Generator,
        windows_of_its_kind,
        features_stay_near,
        flows_have_classes,
        a_condition_is_kept,
        classes_differ_as_they_did,
        labels_are_needed,
    ),
    *learner_checks(parts.Generator, _lesson),
)
