"""The door of netvigil-heterognn: which parts exist. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from netvigil import hookimpl, parts
from netvigil_heterognn.config import HeteroFlowGNNConfig


@hookimpl
def netvigil_classifiers() -> Iterator[parts.Classifier]:
    """The supervised graph network of flows and hosts."""
    yield parts.Classifier(
        name="hetero-flow-gnn",
        summary="Supervised graph network of flows and hosts; needs labels.",
        config=HeteroFlowGNNConfig,
        make=_classifier,
        accepts=("flow-host",),
    )


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """One epoch of training and one pass of classification, over windows of 1,024 flows."""
    for verb, kind, room in (
        ("train", "TrainBenchmark", "train"),
        ("classify", "ClassifyBenchmark", "encode"),
    ):
        yield parts.Benchmark(
            name=f"{verb}-hetero-flow-gnn",
            summary=f"{verb.capitalize()} with hetero-flow-gnn on windows of 1,024 flows.",
            config=parts.OnDevice,
            room=room,
            flows=20_000 if verb == "train" else 50_000,
            make=partial(_benchmark, kind),
        )


def _classifier(config: HeteroFlowGNNConfig) -> Any:
    from netvigil_heterognn.classifier import HeteroFlowGNN

    return HeteroFlowGNN(config)


def _benchmark(kind: str, config: parts.OnDevice) -> Any:
    from netvigil_heterognn import benchmarks

    return getattr(benchmarks, kind)(config.device)
