"""From an opened source to its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netvigil import dataset
from netvigil.config import Choice
from netvigil.dataset import Opened
from netvigil.errors import ConfigError
from netvigil.inspection.labels import labelled
from netvigil.inspection.measure import measure
from netvigil.phases import Phases


def look_into(
    source: Opened,
    facts: Mapping[str, Any],
    phases: Phases,
    *,
    html: Path | None,
    labels: Path | None = None,
    choice: Choice | None = None,
) -> dict[str, Any]:
    """Label a source, write its page where one is wanted, and return what that adds to its facts.

    Raises:
        ConfigError: The page would take the place of the source or its labels.
    """
    kept = [source.source, labels, dataset.labels_path(source.source)]
    if html is not None and any(p and html.resolve() == p.resolve() for p in kept):
        msg = "The page would take the place of what it is about."
        raise ConfigError(msg, where=f"--html {html}", do="Give the page another name.")
    known = labelled(source, phases, labels=labels, choice=choice)
    added: dict[str, Any] = {}
    if known.truth is not None:
        added["labels"] = dataset.class_counts(known.truth)
    if html is not None:
        from netvigil.inspection.page import write_page  # brings Matplotlib

        found = measure(source.store, known.truth, phases)
        write_page(html, found, facts, known.words, phases)
        added["page"] = str(html)
    return added
