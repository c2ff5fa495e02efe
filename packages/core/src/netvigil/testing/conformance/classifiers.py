"""What a classifier owes: the classes it was taught, as probabilities, for each flow once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import parts
from netvigil.contracts import EncodedFlows, LabelTable, WindowGraphs
from netvigil.errors import NetvigilError
from netvigil.testing.conformance.encoders import (
    frozen,
    reordered,
    require_alike,
    require_tidy,
    shuffled_within_windows,
)
from netvigil.testing.conformance.learners import Lesson, Results, learner_checks
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.windows import windows

NAMES = ("benign", "flood", "scan")


def every_flow_in_order(subject: Subject) -> None:
    """Each flow is classified once, in the order of the windows, with the start of its window."""
    probe = _probe(subject)
    result = _fitted(subject).classify(probe)
    subject.require(isinstance(result, EncodedFlows), "`classify` returns EncodedFlows.")
    subject.require(
        np.array_equal(result.flow_id, probe.flow_id),
        "the answer has the flows of the windows, each once, in order.",
        found=f"{len(result):,} rows for {len(probe.flow_id):,} flows.",
        mend="Pass windows.flow_id on.",
    )
    subject.require(
        np.array_equal(result.window_start, probe.window_start[probe.window_of_flow()]),
        "`window_start` is that of each flow's window.",
        mend="Use windows.window_start[windows.window_of_flow()].",
    )


def probabilities_of_the_classes(subject: Subject) -> None:
    """One term per class of the labels, benign first; those of a flow add up to 1."""
    result = _fitted(subject).classify(_probe(subject))
    subject.require(
        tuple(result.terms) == NAMES,
        "the terms are the classes of the labels: benign, then the attacks by name.",
        found=f"{tuple(result.terms)} for labels of {NAMES}.",
        mend="Use netvigil.classes.class_names(labels).",
    )
    share = np.stack(list(result.terms.values()), axis=1)
    subject.require(
        share.dtype == np.float32, "probabilities are float32.", found=f"They are {share.dtype}."
    )
    subject.require(
        share.min() >= 0 and np.abs(share.sum(axis=1, dtype=np.float64) - 1).max() < 1e-4,
        "probabilities are from 0 to 1, and those of a flow add up to 1.",
        mend="Divide by their sum.",
    )


def it_learns(subject: Subject) -> None:
    """Classes that one feature tells apart are told apart, far better than by chance."""
    probe = _probe(subject)
    result = _fitted(subject).classify(probe)
    share = np.stack(list(result.terms.values()), axis=1)
    truth = codes_of(probe)
    right = float(np.mean([(share.argmax(1) == truth)[truth == code].mean() for code in range(3)]))
    subject.require(
        right > 0.6,
        "it learns what labels teach.",
        found=f"A class's flows are known again with a share of {right:.2f}; chance is 0.33.",
        mend="Match labels by flow id (netvigil.classes.class_codes), not by row.",
    )


def one_class_is_refused(subject: Subject) -> None:
    """Labels of one class only, or of no flow at all, are refused with an error of netvigil's."""
    train = _probe(subject, seed=1)
    benign = LabelTable.of(
        train.flow_id, np.zeros(len(train.flow_id), np.bool_), pa.nulls(len(train.flow_id))
    )
    for words, labels in (("benign flows alone", benign), ("no flow", LabelTable.empty())):
        try:
            subject.make().fit([train], labels, seed=0)
        except NetvigilError:
            continue
        subject.require(
            fine=False,
            rule="a class has nothing to be told apart from.",
            found=f"`fit` accepts labels of {words}.",
            mend="Call netvigil.classes.class_names(labels), which refuses them.",
        )


def order_of_flows_is_irrelevant(subject: Subject) -> None:
    """Shuffling the flows of a window shuffles the answer, to float tolerance."""
    made, probe = _fitted(subject), _probe(subject)
    rows = shuffled_within_windows(probe)
    require_alike(
        subject,
        made.classify(probe).take(rows),
        made.classify(reordered(probe, rows)),
        "shuffling the flows of a window shuffles their classes.",
        "Nothing but features and links may count, not the row number.",
    )


def batches_of_windows_are_irrelevant(subject: Subject) -> None:
    """A window is classified alike alone and among others."""
    made, probe = _fitted(subject), _probe(subject)
    sizes = np.diff(probe.flow_ptr)
    alone = [made.classify(probe[i : i + 1]) for i in range(len(probe)) if sizes[i]]
    require_alike(
        subject,
        made.classify(probe),
        EncodedFlows.concat(alone),
        "a window's answer does not depend on the windows beside it.",
        "Keep windows apart (flow_ptr, node_ptr); no batch norm in train mode.",
    )


def odd_windows(subject: Subject) -> None:
    """Windows without flows, with one flow, with a self-loop, and no window at all are fine."""
    made, probe = _fitted(subject), windows(3, seed=8, schema=_schema(subject))
    subject.require(len(made.classify(probe[0:1])) == 1, "one flow is classified.")
    for words, none in (("a window without flows", probe[1:2]), ("no window", probe[0:0])):
        subject.require(len(made.classify(none)) == 0, f"{words} gives an answer of no flows.")


def torch_is_left_tidy(subject: Subject) -> None:
    """After use, networks are in eval mode and the global gradient switch is as before."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    before = torch.is_grad_enabled()
    made = _fitted(subject)
    made.classify(_probe(subject))
    require_tidy(subject, made, grad=before)


def _schema(subject: Subject) -> str:
    return str(getattr(subject.part, "accepts", ("flow-host",))[0])


def _probe(subject: Subject, seed: int = 2) -> WindowGraphs:
    # The features of these windows are mixed anew for each seed; what tells classes apart is not.
    return frozen(windows(6, seed=seed, flows=60, schema=_schema(subject)))


def codes_of(graphs: WindowGraphs) -> NDArray[np.int64]:
    """Return the class of each flow, which its first feature tells: low, middling or high."""
    first = np.asarray(graphs.flow_x[:, 0])
    return np.where(first > 0.4, 1, np.where(first < -0.6, 2, 0)).astype(np.int64)


def labels_of(
    graphs: WindowGraphs, code: NDArray[np.int64], known: NDArray[np.bool_]
) -> LabelTable:
    """Label the known flows by their class."""
    attack = pa.array(np.array(NAMES)[code[known]].tolist(), pa.string())
    return LabelTable.of(np.asarray(graphs.flow_id)[known], code[known] > 0, attack)


def _taught(graphs: WindowGraphs) -> LabelTable:
    """Label all flows but every seventh."""
    return labels_of(graphs, codes_of(graphs), np.arange(len(graphs.flow_id)) % 7 != 3)


def _fitted(subject: Subject) -> Any:
    train = _probe(subject, seed=1)
    return subject.make().fit([train], _taught(train), seed=0)


@dataclass(frozen=True)
class _Labelled(Lesson):
    """A lesson whose windows come with labels."""

    def teach(self, made: Any, material: Any, *, seed: int = 0) -> Any:
        return made.fit(material, _taught(material[0]), seed=seed)


def _lesson(subject: Subject) -> Lesson:
    def answers(made: Any) -> Results:
        return dict(made.classify(_probe(subject)).terms)

    return _Labelled([_probe(subject, seed=1)], [_probe(subject, seed=5)], answers)


CHECKS = (
    *checks(
        parts.Classifier,
        every_flow_in_order,
        probabilities_of_the_classes,
        it_learns,
        one_class_is_refused,
        order_of_flows_is_irrelevant,
        batches_of_windows_are_irrelevant,
        odd_windows,
        torch_is_left_tidy,
    ),
    *learner_checks(parts.Classifier, _lesson),
)
