"""Generators of traffic in a run: chosen, fitted on the train part, and used to enrich lessons.

A generator sees the windows of the train part and its labels, nothing else. What it makes goes to
classifiers (`train.augment`) or to files (`netvigil.generating`), never into an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import pyarrow as pa

from netvigil import protocols
from netvigil.contracts import LabelTable, WindowGraphs, WindowStream
from netvigil.errors import ContractError
from netvigil.learn import watched
from netvigil.phases import Phases
from netvigil.pipeline import Chosen
from netvigil.prepare import Prepared


def fit_generator(
    prepared: Prepared, chosen: Chosen, labels: LabelTable | None, seed: int, phases: Phases
) -> protocols.Generator:
    """Fit a generator on the train windows and their labels."""
    windows = prepared.windows["train"]
    generator: protocols.Generator = chosen.make()
    with watched(generator, windows.flows, seed, phases, "fit generator", None):
        return generator.fit(windows, labels, seed=seed)


@dataclass(frozen=True)
class Enriched:
    """Train windows with generated ones before them, so that the latest train windows stay last."""

    generated: WindowGraphs
    train: WindowStream
    flows: int

    def __iter__(self) -> Iterator[WindowGraphs]:
        """Yield the generated windows, then those of the train part."""
        return chain([self.generated], self.train)


class Lesson(NamedTuple):
    """What a classifier learns from."""

    windows: WindowStream
    labels: LabelTable
    flows: int


def lesson_of(prepared: Prepared, labels: LabelTable, seed: int, phases: Phases) -> Lesson:
    """Return the train part, with generated flows where the experiment asks for them.

    Of those there are as many windows as the train part has, or `train.augment_windows`. What they
    are is written into the log, class by class.

    Raises:
        ContractError: The generator labels nothing, or makes other features than it was shown.
    """
    windows, chosen = prepared.windows["train"], prepared.assembly.augment
    if chosen is None:
        return Lesson(windows, labels, windows.flows)
    generator = fit_generator(prepared, chosen, labels, seed, phases)
    many = prepared.experiment.train.augment_windows or len(windows.whole)
    with phases.phase("generate"):
        made = generator.generate(many, condition=None, seed=seed)
    _require_same(chosen.name, made, windows.whole)
    assert made.labels is not None
    first = int(windows.whole.flow_id.max()) + 1  # an id of its own for each flow of the lesson
    table = made.labels.table
    ids = pa.array(table["flow_id"].to_numpy() + first)
    moved = table.set_column(0, "flow_id", ids)
    both = pa.concat_tables([labels.table, moved]).unify_dictionaries().combine_chunks()
    shown = replace(made.windows, flow_id=made.windows.flow_id + first)
    phases.write(event="augmented", seed=seed, generator=chosen.name, flows=counts_of(made.labels))
    flows = windows.flows + len(shown.flow_id)
    return Lesson(Enriched(shown, windows, flows), LabelTable(both), flows)


def counts_of(labels: LabelTable) -> dict[str, int]:
    """Return how many flows each class has, benign first.

    Example:
        >>> import numpy as np
        >>> truth = np.array([False, True, True])
        >>> counts_of(LabelTable.of(np.arange(3), truth, pa.array(["", "a", None])))
        {'benign': 1, 'a': 1, 'attack': 1}
    """
    truth = labels.table["is_attack"].to_numpy()
    names = labels.table["attack"].filter(pa.array(truth)).cast(pa.string()).fill_null("attack")
    counted = names.value_counts().to_pylist()
    named = {row["values"]: row["counts"] for row in sorted(counted, key=lambda r: r["values"])}
    return {"benign": int((~truth).sum()), **named}


def _require_same(name: str, made: protocols.Generated, train: WindowGraphs) -> None:
    if made.labels is None or len(made.labels) != len(made.windows.flow_id):
        msg = f"Generator '{name}' does not say of what class its flows are."
        raise ContractError(msg, where="[train] augment", do="Choose a supervised generator.")
    if made.windows.feature_names != train.feature_names:
        msg = f"Generator '{name}' makes other features than it was shown."
        raise ContractError(msg, where="[train] augment")
