"""Core's own parts, registered through the public hooks like everybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netvigil import parts
from netvigil.explaining.config import OcclusionConfig, PermutationConfig, ShapConfig
from netvigil.hookspecs import hookimpl

if TYPE_CHECKING:
    from netvigil import protocols


class TableConfig(parts.PartConfig):
    """Settings of `table`: `truth` is a label file, as `data label` and `data convert` write it."""

    truth: Path


@hookimpl
def netvigil_flow_labellers() -> Iterator[parts.FlowLabeller]:
    """Yield the labeller that reads label files back."""
    summary = "Labels that netvigil wrote earlier, by flow id."
    yield parts.FlowLabeller(name="table", summary=summary, config=TableConfig, make=_table)


@hookimpl
def netvigil_alert_exporters() -> Iterator[parts.AlertExporter]:
    """Yield the alert formats of core."""
    yield parts.AlertExporter(
        name="jsonl", summary="One JSON object per alert and line.", make=_jsonl
    )


@hookimpl
def netvigil_explainers() -> Iterator[parts.Explainer]:
    """Yield the explainers that need nothing of any method, so that core can have them."""
    yield parts.Explainer(
        name="reconstruction-shares",
        summary="Exact shares of an encoder's reconstruction error, feature by feature.",
        make=_shares,
        rank=10,
        unit="reconstruction error",
    )
    yield parts.Explainer(
        name="permutation",
        summary="Mean fall of the score with a feature's values from train flows; any scorer.",
        config=PermutationConfig,
        make=_permutation,
        rank=20,
    )
    yield parts.Explainer(
        name="shap",
        summary="Shapley values of the leading features; any scorer; extra netvigil[shap].",
        config=ShapConfig,
        make=_shap,
        rank=30,
    )
    yield parts.Explainer(
        name="occlusion",
        summary="Fall of the score without flows around a flow; any method with hosts.",
        config=OcclusionConfig,
        make=_occlusion,
        about="neighbours",
        rank=10,
    )


@hookimpl
def netvigil_executors() -> Iterator[parts.Executor]:
    """Yield the places core can run seeds in."""
    yield parts.Executor(name="serial", summary="One after another, in this process.", make=_serial)


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """Yield a case for each room that is core's own."""
    for name, cls, flows, unit, summary in (
        ("evaluate-scores", "EvaluateScores", 100_000, "flows", "Metrics, and 20 resamples."),
        ("explain-permutation", "ExplainPermutation", 10, "flows", "Why a flow scores so high."),
        ("audit-flows", "AuditFlows", 10_000, "flows", "What gives labels away."),
        ("report-run", "ReportRun", 2_000, "pages", "The page of a finished run."),
        ("start-help", "StartHelp", 1, "starts", "A process that says how it is used."),
    ):
        yield parts.Benchmark(
            name=name,
            summary=summary,
            make=partial(_case, cls),
            room=name.partition("-")[0],
            unit=unit,
            flows=flows,
            hot=name == "evaluate-scores",
        )


def _case(cls: str, _: parts.PartConfig) -> protocols.Benchmark:
    from netvigil.bench import rooms

    made: protocols.Benchmark = getattr(rooms, cls)()
    return made


def _table(config: TableConfig) -> protocols.FlowLabeller:
    from netvigil.truth import StoredLabels

    return StoredLabels(config.truth)


def _jsonl(_: parts.PartConfig) -> protocols.AlertExporter:
    from netvigil.exporters import Jsonl

    return Jsonl()


def _shares(config: parts.NoConfig) -> protocols.Explainer:
    from netvigil.explaining.shares import ReconstructionShares

    return ReconstructionShares(config)


def _permutation(config: PermutationConfig) -> protocols.Explainer:
    from netvigil.explaining.permutation import Permutation

    return Permutation(config)


def _shap(config: ShapConfig) -> protocols.Explainer:
    from netvigil.explaining.shapley import Shap

    return Shap(config)


def _occlusion(config: OcclusionConfig) -> protocols.Explainer:
    from netvigil.explaining.occlusion import Occlusion

    return Occlusion(config)


def _serial(_: parts.PartConfig) -> protocols.Executor:
    from netvigil.executors import Serial

    return Serial()
