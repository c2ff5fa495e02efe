"""The door of netvigil-tabular: which parts exist. Importing it loads no torch or scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from netvigil import hookimpl, parts
from netvigil_tabular import presets
from netvigil_tabular.classifiers.adapter import TabularClassifier, TrainedClassifier
from netvigil_tabular.classifiers.table import CLASSIFIERS
from netvigil_tabular.config import (
    AutoencoderCodeConfig,
    AutoencoderConfig,
    ConditionalConfig,
    VaeConfig,
)
from netvigil_tabular.features import choices, configs
from netvigil_tabular.features.pca import PcaFeatures
from netvigil_tabular.features.selection import Choose, LabelledSelection, Selection


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """Autoencoders on flow features, and features predicted from context."""
    yield parts.Encoder(
        name=AutoencoderConfig.part,
        summary="Autoencoder of flow features; emits error terms, and its code as embedding.",
        config=AutoencoderConfig,
        make=_reconstructor,
        accepts=("flows-only", "flow-host"),
        emits=frozenset({"terms", "embedding"}),
        presets=presets.PRESETS,
        spaces=presets.SPACES,
    )
    yield parts.Encoder(
        name=VaeConfig.part,
        summary="Variational autoencoder of flow features; with beta a beta-VAE.",
        config=VaeConfig,
        make=_reconstructor,
        accepts=("flows-only", "flow-host"),
        emits=frozenset({"terms", "embedding"}),
        presets=presets.VAE_PRESETS,
        spaces=presets.VAE_SPACES,
    )
    yield parts.Encoder(
        name=ConditionalConfig.part,
        summary="Features predicted from a flow's hosts and service; emits how far they are off.",
        config=ConditionalConfig,
        make=_conditional,
        accepts=("flow-host",),
        emits=frozenset({"terms"}),
    )


def _reconstructor(config: Any) -> Any:
    from netvigil_tabular.encoder import Reconstructor

    return Reconstructor(config)


def _conditional(config: Any) -> Any:
    from netvigil_tabular.conditional.encoder import Conditional

    return Conditional(config)


@hookimpl
def netvigil_flow_transforms() -> Iterator[parts.FlowTransform]:
    """Fewer features; transforms that learn from labels are for classifiers."""
    for name, config, choose, supervised in (
        ("forest-importance", configs.ForestImportanceConfig, choices.by_forest, True),
        ("recursive-elimination", configs.EliminationConfig, choices.by_elimination, True),
        ("mutual-information", configs.MutualInformationConfig, choices.by_information, True),
        ("correlation-filter", configs.CorrelationFilterConfig, choices.by_correlation, False),
    ):
        yield parts.FlowTransform(
            name=name,
            summary=config.summary,
            config=config,
            make=partial(_selection, name, choose, supervised=supervised),
            supervised=supervised,
        )
    yield parts.FlowTransform(
        name="pca-features",
        summary=configs.PcaFeaturesConfig.summary,
        config=configs.PcaFeaturesConfig,
        make=PcaFeatures,
    )
    yield parts.FlowTransform(
        name="autoencoder-code",
        summary=AutoencoderCodeConfig.summary,
        config=AutoencoderCodeConfig,
        make=_code,
    )


def _selection(name: str, choose: Choose, config: Any, *, supervised: bool) -> Selection:
    return (LabelledSelection if supervised else Selection)(name, config, choose)


def _code(config: Any) -> Any:
    from netvigil_tabular.features.code import AutoencoderCode

    return AutoencoderCode(config)


@hookimpl
def netvigil_classifiers() -> Iterator[parts.Classifier]:
    """Every line of the table of classifiers; they learn from labels."""
    for kind in CLASSIFIERS:
        yield parts.Classifier(
            name=kind.name,
            summary=kind.config.summary,
            config=kind.config,
            make=partial(TrainedClassifier if kind.trained else TabularClassifier, kind),
            seeded=kind.seeded,
            trusted_types=kind.trusted_types,
            presets=kind.presets,
        )


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """Epochs, steps and passes of encoding of the autoencoder, and the same of a classifier."""
    for name, kind, room, flows, summary in (
        ("train-autoencoder", "Train", "train", 5_000, "Train autoencoder for an epoch."),
        ("encode-autoencoder", "Encode", "encode", 100_000, "Encode flows with autoencoder."),
        ("train-mlp", "Teach", "train", 20_000, "Train the classifier mlp for an epoch."),
        ("classify-mlp", "Classify", "encode", 50_000, "Classify flows with mlp."),
    ):
        yield parts.Benchmark(
            name=name,
            summary=summary,
            config=parts.OnDevice,
            make=partial(_benchmark, kind),
            room=room,
            flows=flows,
            hot=name == "encode-autoencoder",
        )
    yield parts.Benchmark(
        name="step-autoencoder",
        summary="Steps of training on one batch of 256 flows.",
        config=parts.OnDevice,
        make=partial(_benchmark, "Step"),
        room="train",
        unit="steps",
        flows=256,
    )


def _benchmark(kind: str, config: parts.OnDevice) -> Any:
    from netvigil_tabular import benchmarks

    return getattr(benchmarks, f"{kind}Benchmark")(config.device)
