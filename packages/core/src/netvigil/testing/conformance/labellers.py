"""What a labeller owes: truth about the flows it is given, however they are batched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from netvigil import parts
from netvigil.contracts import FlowTable, LabelTable
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.capture import stream


def labels_only_its_flows(subject: Subject) -> None:
    """A LabelTable about the given flows; the attacks have a category, the benign flows none."""
    flows, inline = sample(subject)
    labels = subject.make().label(flows, inline)
    subject.require(
        isinstance(labels, LabelTable), "`label` returns a LabelTable.", found=str(type(labels))
    )
    stray = ~np.isin(labels.table["flow_id"].to_numpy(), flows.flow_id)
    subject.require(
        not stray.any(), "only the given flows are labelled.", found=f"{stray.sum()} stray ids."
    )
    benign = pc.invert(labels.table["is_attack"])
    named = pc.sum(pc.and_(benign, pc.is_valid(labels.table["attack"]))).as_py() or 0
    subject.require(
        named == 0,
        "a benign flow has no category.",
        found=f"{named} benign flows have one.",
        mend="Make the table with LabelTable.of.",
    )


def batches_do_not_matter(subject: Subject) -> None:
    """Labelling flows batch by batch gives what labelling them at once gives."""
    flows, inline = sample(subject)
    made = subject.make()
    whole = _truth(made.label(flows, inline))
    step = len(flows) // 3 + 1
    pieces: dict[int, Any] = {}
    for first in range(0, len(flows), step):
        part = flows.slice(first, step)
        own = (
            None
            if inline is None
            else inline.filter(pc.is_in(inline["flow_id"], pa.array(part.flow_id)))
        )
        pieces |= _truth(made.label(part, own))
    differ = sum(whole.get(i) != pieces.get(i) for i in whole.keys() | pieces.keys())
    subject.require(
        differ == 0,
        "a flow's label does not depend on its batch.",
        found=f"{differ} flows have another label when labelled in three batches.",
        mend="Look at each flow alone; keep no state between calls.",
    )


def no_flows_no_labels(subject: Subject) -> None:
    """A batch without flows gives an empty table."""
    flows, inline = sample(subject)
    labels = subject.make().label(flows.slice(0, 0), None if inline is None else inline.slice(0, 0))
    subject.require(len(labels) == 0, "no flows in, no labels out.")


def sample(subject: Subject) -> tuple[FlowTable, pa.Table | None]:
    """Return the flows to label and their inline text: the given ones, or 500 synthetic flows."""
    if subject.given.flows is not None:
        return subject.given.flows, subject.given.inline
    batch = next(stream(500, seed=4, attack_share=0.2))
    return batch.flows, batch.inline


def _truth(labels: LabelTable) -> dict[int, tuple[bool, str | None]]:
    columns = (labels.table[name].to_pylist() for name in ("flow_id", "is_attack", "attack"))
    return {flow: (attack, name) for flow, attack, name in zip(*columns, strict=True)}


CHECKS = checks(
    parts.FlowLabeller, labels_only_its_flows, batches_do_not_matter, no_flows_no_labels
)
