"""The door of netvigil-cggm: which parts exist. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netvigil import hookimpl, parts
from netvigil_cggm.config import CggmConfig


@hookimpl
def netvigil_generators() -> Iterator[parts.Generator]:
    """The conditional generator of traffic graphs."""
    yield parts.Generator(
        name="cggm",
        summary="Conditional GAN of traffic graphs with any balance of classes; supervised.",
        config=CggmConfig,
        make=_generator,
        accepts=("flow-host", "traffic-dispersion"),
        emits="flow-host",
    )


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """Snapshots, and steps of training."""
    yield parts.Benchmark(
        name="snapshots-cggm",
        summary="Turn windows of 18,000 flows into traffic dispersion graphs.",
        room="build",
        flows=500_000,
        make=_snapshots,
    )
    yield parts.Benchmark(
        name="train-cggm",
        summary="Train cggm for 20 steps on graphs of 49 nodes.",
        config=parts.OnDevice,
        room="train",
        unit="graphs",
        make=_train,
    )


def _generator(config: CggmConfig) -> Any:
    from netvigil_cggm.generator import Cggm

    return Cggm(config)


def _snapshots(_: parts.PartConfig) -> Any:
    from netvigil_cggm.benchmarks import SnapshotBenchmark

    return SnapshotBenchmark()


def _train(config: parts.OnDevice) -> Any:
    from netvigil_cggm.benchmarks import TrainBenchmark

    return TrainBenchmark(config.device)
