"""The parts of one experiment: chosen by name, checked against each other, made, fitted, applied.

`assemble` refuses an impossible pipeline before a byte is read. `Pipeline` is what a bundle
carries: everything that `detect` needs, and nothing that saw a label unless it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import parts, protocols
from netvigil.baselines import TrainCounts
from netvigil.config import Choice, Experiment, part_config, section_keys
from netvigil.contracts import EncodedFlows, FlowFeatures, FlowInfo, FlowTable, WindowGraphs
from netvigil.errors import ConfigError, IncompatiblePartsError, RunError
from netvigil.features import FeatureContract, extract
from netvigil.overlays import require_parity, supervised
from netvigil.plugins import P, Plugins, Provider
from netvigil.profile import FeatureProfile, sampled
from netvigil.windows import build_windows


@dataclass(frozen=True)
class Chosen:
    """A part, its checked settings and its provider; `make()` gives a fresh, unfitted instance.

    `label` is what the experiment file calls it in tables, where that is not the part's name.
    """

    part: parts.Part[Any]
    config: parts.PartConfig
    provider: Provider
    label: str = ""

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part.name

    @property
    def row(self) -> str:
        """What tables call it."""
        return self.label or self.name

    def make(self) -> Any:
        """Make a fresh instance."""
        return self.part.make(self.config)

    def describe(self) -> dict[str, Any]:
        """Return what a manifest says about it."""
        return {
            "name": self.part.name,
            "config": self.config.model_dump(mode="json"),
            "distribution": self.provider.distribution,
            "version": self.provider.version,
        }


@dataclass(frozen=True)
class Assembly:
    """Every part of an experiment, none of them fitted yet."""

    transforms: tuple[Chosen, ...]
    builder: Chosen
    encoder: Chosen
    scorer: Chosen
    threshold: Chosen
    labeller: Chosen | None
    exporter: Chosen
    executor: Chosen | None = None
    also: tuple[Chosen, ...] = ()
    baselines: tuple[Chosen, ...] = ()
    absent_baselines: tuple[str, ...] = ()


def choose(plugins: Plugins, kind: type[P], choice: Choice, *, section: str, base: Path) -> Chosen:
    """Look a part up by name and check its settings."""
    found = plugins.get(kind, choice.name)
    where = f"[{section}] {choice.name}"
    beside = section_keys(section)
    settings = part_config(found.part.config, choice.options, where=where, base=base, beside=beside)
    return Chosen(found.part, settings, found.provider, choice.label)


def assemble(experiment: Experiment, plugins: Plugins, *, base: Path) -> Assembly:
    """Choose every part of an experiment and refuse a pipeline that cannot work.

    Raises:
        UnknownPartError, PluginConflictError: A name that nobody, or two packages, provide.
        ConfigError: A part's setting is wrong.
        IncompatiblePartsError: Parts that do not fit together; names those that would.
    """

    def one(
        kind: type[P], name: str, options: dict[str, Any], section: str, label: str = ""
    ) -> Chosen:
        choice = Choice(name=name, label=label, options=options)
        return choose(plugins, kind, choice, section=section, base=base)

    e = experiment
    encoder = one(parts.Encoder, e.encoder.name, e.encoder.options, "encoder", e.encoder.label)
    encoder = _with_device(encoder, e.run.device)
    baselines, absent = _baselines(experiment, plugins, base)
    labels = e.labels
    assembly = Assembly(
        transforms=tuple(
            one(parts.FlowTransform, t.name, t.options, "features.transforms")
            for t in e.features.transforms
        ),
        builder=one(parts.GraphBuilder, e.graph.builder, e.graph.options, "graph"),
        encoder=encoder,
        scorer=one(parts.Scorer, e.scorer.name, e.scorer.options, "scorer", e.scorer.label),
        threshold=one(parts.Threshold, e.threshold.name, e.threshold.options, "threshold"),
        labeller=one(parts.FlowLabeller, labels.labeller, labels.options, "labels")
        if labels
        else None,
        executor=one(parts.Executor, e.run.executor, {}, "run.executor"),
        exporter=one(
            parts.AlertExporter, e.alerts.exporter.name, e.alerts.exporter.options, "alerts"
        ),
        also=tuple(
            choose(plugins, parts.Scorer, s, section="evaluate.also", base=base)
            for s in e.evaluate.also
        ),
        baselines=baselines,
        absent_baselines=absent,
    )
    _check_fit(assembly, plugins)
    require_parity(experiment, (chosen.part for chosen in assembly.transforms))
    _check_rows(assembly)
    return assembly


def _baselines(
    experiment: Experiment, plugins: Plugins, base: Path
) -> tuple[tuple[Chosen, ...], tuple[str, ...]]:
    """Choose the raw-feature baselines; one whose package is absent is only named in the table."""
    installed = plugins.names(parts.Scorer)
    wanted = experiment.evaluate.baselines
    chosen = tuple(
        choose(plugins, parts.Scorer, b, section="evaluate.baselines", base=base)
        for b in wanted
        if b.name in installed
    )
    return chosen, tuple(b.name for b in wanted if b.name not in installed)


def _with_device(encoder: Chosen, device: str) -> Chosen:
    """Pass `run.device` on to an encoder that has such a setting and was not given one."""
    fields = type(encoder.config).model_fields
    if "device" not in fields or "device" in encoder.config.model_fields_set:
        return encoder
    return replace(encoder, config=encoder.config.model_copy(update={"device": device}))


def _check_fit(assembly: Assembly, plugins: Plugins) -> None:
    builder, encoder = assembly.builder.part, assembly.encoder.part
    assert isinstance(builder, parts.GraphBuilder)
    assert isinstance(encoder, parts.Encoder)
    if builder.emits not in encoder.accepts:
        fitting = [
            f"{r.part.name} ({r.provider})"
            for r in plugins.of(parts.GraphBuilder)
            if r.part.emits in encoder.accepts
        ]
        msg = (
            f"Encoder '{encoder.name}' reads {' or '.join(encoder.accepts)} windows, "
            f"but builder '{builder.name}' makes {builder.emits}."
        )
        raise IncompatiblePartsError(msg, do=f"Builders that fit: {', '.join(fitting) or 'none'}.")
    for chosen in (assembly.scorer, *assembly.also):
        scorer = chosen.part
        assert isinstance(scorer, parts.Scorer)
        if scorer.needs not in encoder.emits:
            fitting = [
                f"{r.part.name} ({r.provider})"
                for r in plugins.of(parts.Scorer)
                if r.part.needs in encoder.emits
            ]
            needs = "embeddings" if scorer.needs == "embedding" else "error terms"
            only = " and ".join(sorted(encoder.emits))
            msg = (
                f"Scorer '{scorer.name}' needs {needs}, "
                f"but encoder '{encoder.name}' emits only {only}."
            )
            raise IncompatiblePartsError(
                msg, do=f"Scorers that fit: {', '.join(fitting) or 'none'}."
            )
    own = assembly.scorer.part
    if isinstance(own, parts.Scorer) and own.transductive:
        msg = f"Scorer '{own.name}' scores a flow by its companions, which no bundle can carry."
        do = "Choose another scorer; evaluate.also can still name this one for comparison."
        raise IncompatiblePartsError(msg, where="[scorer]", do=do)
    threshold = assembly.threshold.part
    assert isinstance(threshold, parts.Threshold)
    if threshold.supervised and assembly.labeller is None:
        msg = f"Threshold '{threshold.name}' is supervised, but nothing labels the flows."
        raise ConfigError(msg, where="[threshold]", do="Add a [labels] section, or use 'quantile'.")


def _check_rows(assembly: Assembly) -> None:
    """Refuse two rows of one name, which a table could not tell apart."""
    own = (assembly.scorer, *assembly.also)
    baselines = assembly.baselines
    if assembly.encoder.name == "raw":
        shown = [(c.name, c.config) for c in own]
        baselines = (*own, *(c for c in baselines if (c.name, c.config) not in shown))
    for section, rows in (("evaluate.also", own), ("evaluate.baselines", baselines)):
        names = [chosen.row for chosen in rows]
        twice = next((chosen for chosen in rows if names.count(chosen.row) > 1), None)
        if twice is not None:
            msg = f"Two scorers would be called '{twice.row}' in the table."
            do = f"Give one a label: {{name = '{twice.name}', label = '{twice.row}-2', ...}}."
            raise ConfigError(msg, where=f"[{section}]", do=do)


@dataclass(frozen=True)
class Pipeline:
    """A fitted pipeline, from flows to scores.

    `contract` and `info` say what a source must offer; `cut` is where alerts begin, `provenance`
    what it was set on; `reader` names the reader and its settings, which decide what a flow is.
    """

    contract: FeatureContract
    info: FlowInfo
    assembly: Assembly
    transforms: tuple[protocols.FlowTransform, ...]
    builder: protocols.GraphBuilder
    encoder: protocols.Encoder
    scorer: protocols.Scorer
    threshold: protocols.Threshold
    counts: TrainCounts
    profile: FeatureProfile
    seed: int
    reader: Mapping[str, Any]

    def features(self, flows: FlowTable) -> FlowFeatures:
        """Return the transformed features of flows."""
        return apply_transforms(self.transforms, extract(flows, self.contract))

    def windows(self, batches: Iterable[tuple[int, FlowTable]]) -> Iterator[WindowGraphs]:
        """Build windows from batches of flows with their first row number."""
        return build_windows(batches, self.features, self.builder)

    def columns(self) -> list[str]:
        """Return the columns a pass over a store needs."""
        return pass_columns(self.contract)


Labelled = Callable[[], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""Reads labels only when called: which flows are attacks, and which have a label, bool [flows]."""


def pass_columns(contract: FeatureContract) -> list[str]:
    """Return the columns that features, windows and rarity rules need, each once."""
    needed = ["flow_id", "start", "end", "src_ip", "dst_ip", "src_port", "dst_port", "protocol"]
    return list(dict.fromkeys([*needed, *contract.numeric, *contract.categories]))


def apply_transforms(
    transforms: Iterable[protocols.FlowTransform], features: FlowFeatures
) -> FlowFeatures:
    """Apply fitted transforms one after another; categories that none of them used stay behind."""
    for transform in transforms:
        features = transform.transform(features)
    return FlowFeatures(features.x, features.names)


def fit_transforms(
    chosen: Iterable[Chosen],
    flows: list[FlowTable],
    contract: FeatureContract,
    *,
    seed: int,
    labels: Labelled | None = None,
) -> tuple[tuple[protocols.FlowTransform, ...], FeatureProfile]:
    """Fit each transform on what the ones before it make of the train flows; profile the result.

    `labels` returns the labels of the train flows and which of them are known, bool [flows]
    each. It is called for supervised transforms only; those are fitted on the known flows.
    """
    table = pa.concat_tables([f.table for f in flows])
    features = extract(FlowTable.trusted(table, flows[0].info), contract)
    rows, raw = sampled(features, seed)
    fitted: list[protocols.FlowTransform] = []
    for choice in chosen:
        transform: protocols.FlowTransform = choice.make()
        if supervised([choice.part]):
            _fit_labelled(transform, choice.name, features, labels, seed=seed)
        else:
            transform = transform.fit(features, seed=seed)
        features = transform.transform(features)
        fitted.append(transform)
    profile = FeatureProfile.of(features.x, features.names, rows=rows, raw=raw, seed=seed)
    return tuple(fitted), profile


def _fit_labelled(
    transform: protocols.FlowTransform,
    name: str,
    features: FlowFeatures,
    labels: Labelled | None,
    *,
    seed: int,
) -> None:
    if not isinstance(transform, protocols.SupervisedTransform):
        msg = f"Transform '{name}' says that it is supervised, but has no `fit_labelled`."
        raise IncompatiblePartsError(msg, do="Mend the package that provides it.")
    is_attack, known = (np.zeros(0, np.bool_),) * 2 if labels is None else labels()
    if not known.any():
        msg = f"Transform '{name}' learns from labels, but no flow of the train part has one."
        raise RunError(msg, where="[features] transforms", do="Check the [labels] section.")
    texts = {n: values.filter(pa.array(known)) for n, values in features.categories.items()}
    kept = FlowFeatures(features.x[known], features.names, texts)
    transform.fit_labelled(kept, is_attack[known], seed=seed)


def encode_checked(encoder: protocols.Encoder, name: str, windows: WindowGraphs) -> EncodedFlows:
    """Encode windows and refuse an encoder that loses, doubles or reorders flows."""
    encoded = encoder.encode(windows)
    if len(encoded) != len(windows.flow_id) or (encoded.flow_id != windows.flow_id).any():
        msg = (
            f"EncodedFlows from encoder '{name}' has {len(encoded):,} rows for a window of "
            f"{len(windows.flow_id):,} flows."
        )
        raise IncompatiblePartsError(msg, do="Each flow must appear exactly once, in order.")
    return encoded
