"""Where a page's labels come from: who was asked for, a label file, or the source's own text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netvigil import dataset, parts
from netvigil.config import Choice
from netvigil.dataset import Opened
from netvigil.errors import NetvigilError
from netvigil.phases import Phases
from netvigil.truth import StoredLabels, Truth, label_store


@dataclass(frozen=True)
class Labelled:
    """Labels in the store's order, or None, and the sentence that says where from or why not."""

    truth: Truth | None
    words: str


def labelled(
    source: Opened, phases: Phases, *, labels: Path | None = None, choice: Choice | None = None
) -> Labelled:
    """Label a source's flows by what was named, else by what lies beside or in it.

    Raises:
        NetvigilError: What was named does not exist or says nothing about the flows.
    """
    if choice is not None:
        return Labelled(dataset.truth_of(source, choice, phases), f"labeller {choice.name}")
    if labels is not None:
        return Labelled(_stored(source, labels, phases), f"label file {labels.name}")
    beside = dataset.labels_path(source.source)
    try:
        if beside.exists():
            return Labelled(_stored(source, beside, phases), f"label file {beside.name}")
        known = {each.part.name for each in source.plugins.of(parts.FlowLabeller)}
        if source.store.inline() is not None and "inline" in known:
            truth = dataset.truth_of(source, Choice(name="inline"), phases)
            return Labelled(truth, "the source's own label column")
    except NetvigilError as error:
        # Nobody asked for these labels: a page without them is better than none.
        return Labelled(None, f"Its labels could not be used. {error}")
    return Labelled(None, "The source has no labels, and none were given.")


def _stored(source: Opened, path: Path, phases: Phases) -> Truth:
    with phases.phase("label", len(source.store)) as advance:
        return label_store(source.store, StoredLabels(path), progress=advance)
