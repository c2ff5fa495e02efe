"""Core's own parts, registered through the public hooks like everybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netvigil import parts
from netvigil.hookspecs import hookimpl

if TYPE_CHECKING:
    from netvigil import protocols


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


def _jsonl(_: parts.PartConfig) -> protocols.AlertExporter:
    from netvigil.exporters import Jsonl

    return Jsonl()


def _serial(_: parts.PartConfig) -> protocols.Executor:
    from netvigil.executors import Serial

    return Serial()
