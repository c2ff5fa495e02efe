"""The contracts as tests that anyone can run on a part of theirs, in two lines.

    from netvigil.testing.conformance import check_scorer
    check_scorer(MY_PART)

or rule by rule, with readable ids:

    @pytest.mark.parametrize("check", checks_for(MY_PART), ids=str)
    def test_my_part(check):
        check(MY_PART)

A broken rule raises `RuleBroken`, an AssertionError that says which part broke which rule, what was
found, and how to mend it. A part whose settings have no defaults needs `config=`; a reader needs
`source=`; the other keywords are the fields of `Given`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from netvigil import parts
from netvigil.contracts import FlowTable
from netvigil.testing.conformance import (
    builders,
    classifiers,
    encoders,
    explainers,
    exporters,
    generators,
    labellers,
    readers,
    scorers,
    thresholds,
    transforms,
)
from netvigil.testing.conformance.rules import Check, Given, RuleBroken, run_all

__all__ = [
    "ALL_CHECKS",
    "Check",
    "Given",
    "RuleBroken",
    "check_alert_exporter",
    "check_classifier",
    "check_encoder",
    "check_explainer",
    "check_flow_labeller",
    "check_flow_reader",
    "check_flow_transform",
    "check_generator",
    "check_graph_builder",
    "check_scorer",
    "check_threshold",
    "checks_for",
]

Config = parts.PartConfig | Mapping[str, Any] | None

ALL_CHECKS: tuple[Check, ...] = (
    *readers.CHECKS,
    *labellers.CHECKS,
    *transforms.CHECKS,
    *builders.CHECKS,
    *encoders.CHECKS,
    *classifiers.CHECKS,
    *generators.CHECKS,
    *scorers.CHECKS,
    *thresholds.CHECKS,
    *exporters.CHECKS,
    *explainers.CHECKS,
)


def checks_for(part: parts.Part[Any], **given: Any) -> list[Check]:
    """Return every check for a part's kind, bound to what is given: the fields of `Given`."""
    bound = Given(**given)
    return [check.with_given(bound) for check in ALL_CHECKS if isinstance(part, check.kind)]


def check_flow_reader(part: parts.FlowReader, source: Path, *, config: Config = None) -> None:
    """Hold a reader to its contract, on a small source in its dialect."""
    run_all(part, checks_for(part, source=Path(source), config=config))


def check_flow_labeller(
    part: parts.FlowLabeller,
    flows: FlowTable | None = None,
    *,
    inline: pa.Table | None = None,
    config: Config = None,
) -> None:
    """Hold a labeller to its contract, on flows it knows something about."""
    run_all(part, checks_for(part, flows=flows, inline=inline, config=config))


def check_flow_transform(part: parts.FlowTransform, *, config: Config = None) -> None:
    """Hold a transform to its contract."""
    run_all(part, checks_for(part, config=config))


def check_graph_builder(
    part: parts.GraphBuilder, *, flows: FlowTable | None = None, config: Config = None
) -> None:
    """Hold a graph builder to its contract."""
    run_all(part, checks_for(part, flows=flows, config=config))


def check_encoder(part: parts.Encoder, *, config: Config = None) -> None:
    """Hold an encoder to its contract."""
    run_all(part, checks_for(part, config=config))


def check_classifier(part: parts.Classifier, *, config: Config = None) -> None:
    """Hold a classifier to its contract."""
    run_all(part, checks_for(part, config=config))


def check_generator(part: parts.Generator, *, config: Config = None) -> None:
    """Hold a generator to its contract."""
    run_all(part, checks_for(part, config=config))


def check_scorer(part: parts.Scorer, *, config: Config = None, **given: Any) -> None:
    """Hold a scorer to its contract; `dim` and `terms` shape the encoding it is given."""
    run_all(part, checks_for(part, config=config, **given))


def check_threshold(
    part: parts.Threshold, *, config: Config = None, promised: float | None = None
) -> None:
    """Hold a threshold to its contract; `promised` is the largest share it may flag."""
    run_all(part, checks_for(part, config=config, promised=promised))


def check_alert_exporter(part: parts.AlertExporter, *, config: Config = None) -> None:
    """Hold an alert exporter to its contract."""
    run_all(part, checks_for(part, config=config))


def check_explainer(part: parts.Explainer, *, config: Config = None) -> None:
    """Hold an explainer to its contract."""
    run_all(part, checks_for(part, config=config))
