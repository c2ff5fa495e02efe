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
    """Epochs, steps and passes of encoding, each over small and over large windows."""
    for window, flows, encoded in ((50, 5_000, 20_000), (4_500, 9_000, 100_000)):
        yield parts.Benchmark(
            name=f"train-autographad-{window}",
            summary=f"Train autographad for an epoch on windows of about {window:,} flows.",
            config=parts.OnDevice,
            room="train",
            flows=flows,
            hot=True,
            make=partial(_benchmark, "TrainBenchmark", window),
        )
        yield parts.Benchmark(
            name=f"step-autographad-{window}",
            summary=f"Steps of training on one batch of windows of about {window:,} flows.",
            config=parts.OnDevice,
            room="train",
            unit="steps",
            flows=window,
            make=partial(_benchmark, "StepBenchmark", window),
        )
        yield parts.Benchmark(
            name=f"encode-autographad-{window}",
            summary=f"Encode windows of about {window:,} flows with autographad.",
            config=parts.OnDevice,
            room="encode",
            flows=encoded,
            hot=True,
            make=partial(_benchmark, "EncodeBenchmark", window),
        )


def _encoder(config: AutoGraphADConfig) -> Any:
    from netvigil_autographad.encoder import AutoGraphAD

    return AutoGraphAD(config)


def _benchmark(kind: str, window_flows: int, config: parts.OnDevice) -> Any:
    from netvigil_autographad import benchmarks

    return getattr(benchmarks, kind)(window_flows, config.device)
