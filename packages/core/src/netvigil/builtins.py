"""Core's own parts, registered through the public hooks like everybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netvigil import parts
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
def netvigil_executors() -> Iterator[parts.Executor]:
    """Yield the places core can run seeds in."""
    yield parts.Executor(name="serial", summary="One after another, in this process.", make=_serial)


def _table(config: TableConfig) -> protocols.FlowLabeller:
    from netvigil.truth import StoredLabels

    return StoredLabels(config.truth)


def _jsonl(_: parts.PartConfig) -> protocols.AlertExporter:
    from netvigil.exporters import Jsonl

    return Jsonl()


def _serial(_: parts.PartConfig) -> protocols.Executor:
    from netvigil.executors import Serial

    return Serial()
