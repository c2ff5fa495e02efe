"""The door of netvigil-anomale: which parts exist. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from netvigil import hookimpl, parts
from netvigil_anomale import presets
from netvigil_anomale.config import AnomalEConfig


def _make(config: Any) -> Any:
    from netvigil_anomale.encoder import AnomalE

    return AnomalE(config)


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """Anomal-E."""
    yield parts.Encoder(
        name="anomal-e",
        summary="Anomal-E: E-GraphSAGE on host graphs, trained by deep graph infomax.",
        config=AnomalEConfig,
        make=_make,
        accepts=("flow-host",),
        emits=frozenset({"embedding"}),
        passes="many",
        presets=presets.PRESETS,
        parity=presets.PARITY,
        spaces=presets.SPACES,
    )


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """An epoch of training, steps of it, and a pass of encoding, over windows of 5,000 flows."""
    yield parts.Benchmark(
        name="train-anomal-e",
        summary="Train anomal-e for an epoch.",
        config=parts.OnDevice,
        room="train",
        flows=50_000,
        hot=True,
        make=partial(_benchmark, "TrainBenchmark"),
    )
    yield parts.Benchmark(
        name="step-anomal-e",
        summary="Steps of training on one batch.",
        config=parts.OnDevice,
        room="train",
        unit="steps",
        flows=5_000,
        make=partial(_benchmark, "StepBenchmark"),
    )
    yield parts.Benchmark(
        name="encode-anomal-e",
        summary="Encode flows with anomal-e.",
        config=parts.OnDevice,
        room="encode",
        hot=True,
        make=partial(_benchmark, "EncodeBenchmark"),
    )


def _benchmark(kind: str, config: parts.OnDevice) -> Any:
    from netvigil_anomale import benchmarks

    return getattr(benchmarks, kind)(config.device)
