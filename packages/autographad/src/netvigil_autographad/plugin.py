"""The door of netvigil-autographad: which parts exist. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from netvigil import hookimpl, parts
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.presets import PRESETS, SPACES


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """The variational graph autoencoder."""
    yield parts.Encoder(
        name="autographad",
        summary="Variational graph autoencoder of flows and hosts; emits error terms.",
        config=AutoGraphADConfig,
        make=_encoder,
        accepts=("flow-host",),
        emits=frozenset({"terms"}),
        passes="many",
        presets=PRESETS,
        spaces=SPACES,
    )


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """One epoch of training and one pass of encoding, each over small and over large windows."""
    for flows in (50, 4_500):
        yield parts.Benchmark(
            name=f"train-autographad-{flows}",
            summary=f"Train autographad for an epoch on windows of about {flows:,} flows.",
            room="train",
            make=partial(_benchmark, "TrainBenchmark", flows),
        )
        yield parts.Benchmark(
            name=f"encode-autographad-{flows}",
            summary=f"Encode windows of about {flows:,} flows with autographad.",
            room="encode",
            make=partial(_benchmark, "EncodeBenchmark", flows),
        )


def _encoder(config: AutoGraphADConfig) -> Any:
    from netvigil_autographad.encoder import AutoGraphAD

    return AutoGraphAD(config)


def _benchmark(kind: str, window_flows: int, config: object) -> Any:
    from netvigil_autographad import benchmarks

    del config
    return getattr(benchmarks, kind)(window_flows)
