"""The parts of one experiment: chosen by name, checked against each other, made, fitted, applied.

`assemble` refuses an impossible pipeline before a byte is read. `Pipeline` is what a bundle
carries: everything that `detect` needs, and nothing that saw a label unless it says so. A
classifier stands in the places of encoder and scorer (`netvigil.classes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import classes, parts, protocols
from netvigil.baselines import TrainCounts
from netvigil.config import Choice, Experiment, part_config, section_keys
from netvigil.contracts import EncodedFlows, FlowFeatures, FlowInfo, FlowTable, WindowGraphs
from netvigil.errors import ConfigError, IncompatiblePartsError, RunError
from netvigil.features import FeatureContract, extract
from netvigil.joined import JoinedEncoder, joined_part
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
class Joined(Chosen):
    """An encoder with others beside it, which makes one `JoinedEncoder` of them all."""

    beside: tuple[Chosen, ...] = ()

    @staticmethod
    def of(main: Chosen, beside: tuple[Chosen, ...]) -> Joined:
        """Join encoders; refuses two of one name, and one beside that emits no terms."""
        part = joined_part(main.part, [chosen.part for chosen in beside])
        return Joined(part, main.config, main.provider, main.label, beside)

    @property
    def name(self) -> str:
        """All their names."""
        return "+".join([self.part.name, *(chosen.name for chosen in self.beside)])

    def make(self) -> Any:
        """Make a fresh instance of each."""
        made = {chosen.name: chosen.make() for chosen in self.beside}
        return JoinedEncoder(super().make(), made)

    def describe(self) -> dict[str, Any]:
        """Return what a manifest says about all of them."""
        return super().describe() | {"beside": [chosen.describe() for chosen in self.beside]}


@dataclass(frozen=True)
class Assembly:
    """Every part of an experiment, none of them fitted yet.

    A `classifier` stands in the places of encoder and scorer (see `netvigil.classes`); `also` are
    further scorers, or further classifiers beside a classifier.
    """

    transforms: tuple[Chosen, ...]
    builder: Chosen
    encoder: Chosen
    scorer: Chosen
    threshold: Chosen
    labeller: Chosen | None
    exporter: Chosen
    classifier: Chosen | None = None
    augment: Chosen | None = None
    executor: Chosen | None = None
    also: tuple[Chosen, ...] = ()
    baselines: tuple[Chosen, ...] = ()
    absent_baselines: tuple[str, ...] = ()

    @property
    def calibrated(self) -> bool:
        """Whether a scorer calibrates itself on train flows that are held out for it."""
        scorers = (chosen.part for chosen in (self.scorer, *self.also))
        return any(isinstance(part, parts.Scorer) and part.calibrated for part in scorers)


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
    classifier = None
    if e.classifier is None:
        encoder = one(parts.Encoder, e.encoder.name, e.encoder.options, "encoder", e.encoder.label)
        encoder = with_device(encoder, e.run.device)
        if e.encoder.beside:
            encoder = _joined(encoder, experiment, plugins, base)
        scorer = one(parts.Scorer, e.scorer.name, e.scorer.options, "scorer", e.scorer.label)
    else:
        c = e.classifier
        classifier = one(parts.Classifier, c.name, c.options, "classifier", c.label)
        classifier = with_device(classifier, e.run.device)
        encoder, scorer = in_both_places(classifier)
    kind = parts.Scorer if classifier is None else parts.Classifier
    baselines, absent = _baselines(experiment, plugins, base)
    labels = e.labels
    builder = one(parts.GraphBuilder, e.graph.builder, e.graph.options, "graph")
    assembly = Assembly(
        transforms=tuple(
            with_device(
                one(parts.FlowTransform, t.name, t.options, "features.transforms"), e.run.device
            )
            for t in e.features.transforms
        ),
        builder=builder,
        augment=choose_generator(plugins, experiment, builder, "train.augment", base=base),
        encoder=encoder,
        scorer=scorer,
        classifier=classifier,
        threshold=one(parts.Threshold, e.threshold.name, e.threshold.options, "threshold"),
        labeller=one(parts.FlowLabeller, labels.labeller, labels.options, "labels")
        if labels
        else None,
        executor=one(parts.Executor, e.run.executor, {}, "run.executor"),
        exporter=one(
            parts.AlertExporter, e.alerts.exporter.name, e.alerts.exporter.options, "alerts"
        ),
        also=tuple(
            with_device(choose(plugins, kind, s, section="evaluate.also", base=base), e.run.device)
            for s in e.evaluate.also
        ),
        baselines=baselines,
        absent_baselines=absent,
    )
    _check_fit(assembly, plugins)
    _check_threshold(assembly, experiment)
    require_parity(experiment, (chosen.part for chosen in assembly.transforms))
    _check_rows(assembly)
    return assembly


def _joined(main: Chosen, experiment: Experiment, plugins: Plugins, base: Path) -> Chosen:
    """Put the encoders that the file names beside the main one."""
    beside = (
        choose(plugins, parts.Encoder, choice, section="encoder.beside", base=base)
        for choice in experiment.encoder.beside
    )
    return Joined.of(main, tuple(with_device(c, experiment.run.device) for c in beside))


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


def with_device(chosen: Chosen, device: str) -> Chosen:
    """Pass `run.device` on to a part that has such a setting and was not given one."""
    fields = type(chosen.config).model_fields
    if "device" not in fields or "device" in chosen.config.model_fields_set:
        return chosen
    return replace(chosen, config=chosen.config.model_copy(update={"device": device}))


def choose_generator(
    plugins: Plugins, experiment: Experiment, builder: Chosen, section: str, *, base: Path
) -> Chosen | None:
    """Choose the generator that `train.augment`, or the section `generator`, names.

    Raises:
        IncompatiblePartsError: It learns from other windows than the builder makes.
    """
    choice, own = experiment.train.augment, experiment.generator
    if section == "generator" and own is not None:
        choice = Choice(name=own.name, options=own.options)
    if choice is None:
        return None
    chosen = choose(plugins, parts.Generator, choice, section=section, base=base)
    part, makes = chosen.part, builder.part
    assert isinstance(part, parts.Generator)
    assert isinstance(makes, parts.GraphBuilder)
    if makes.emits not in part.accepts:
        msg = f"Generator '{part.name}' learns from {' or '.join(part.accepts)} windows, "
        msg += f"but builder '{makes.name}' makes {makes.emits}."
        do = f'Choose a builder of those windows: [graph] builder = "{part.accepts[0]}".'
        raise IncompatiblePartsError(msg, where=f"[{section}]", do=do)
    return with_device(chosen, experiment.run.device)


def in_both_places(classifier: Chosen) -> tuple[Chosen, Chosen]:
    """Return what stands in the places of encoder and scorer for a classifier."""
    part = classifier.part
    assert isinstance(part, parts.Classifier)
    encoder = replace(classifier, part=classes.as_encoder(part))
    return encoder, Chosen(classes.SCORER, parts.NoConfig(), classifier.provider)


def _check_fit(assembly: Assembly, plugins: Plugins) -> None:
    encoder = assembly.encoder.part
    assert isinstance(encoder, parts.Encoder)
    supervised = assembly.classifier is not None
    for chosen in (assembly.classifier or assembly.encoder, *(assembly.also if supervised else ())):
        _check_builder(chosen.part, assembly.builder.part, plugins)
    for chosen in (assembly.scorer, *(() if supervised else assembly.also)):
        scorer = chosen.part
        assert isinstance(scorer, parts.Scorer)
        if scorer.needs != "either" and scorer.needs not in encoder.emits:
            fitting = [
                f"{r.part.name} ({r.provider})"
                for r in plugins.of(parts.Scorer)
                if r.part.needs in {*encoder.emits, "either"}
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


def _check_builder(method: parts.Part[Any], builder: parts.Part[Any], plugins: Plugins) -> None:
    """Refuse a builder whose windows the encoder or classifier does not understand."""
    assert isinstance(builder, parts.GraphBuilder)
    assert isinstance(method, parts.Encoder | parts.Classifier)
    if builder.emits in method.accepts:
        return
    fitting = [
        f"{r.part.name} ({r.provider})"
        for r in plugins.of(parts.GraphBuilder)
        if r.part.emits in method.accepts
    ]
    msg = (
        f"{method.kind.capitalize()} '{method.name}' reads {' or '.join(method.accepts)} windows, "
        f"but builder '{builder.name}' makes {builder.emits}."
    )
    raise IncompatiblePartsError(msg, do=f"Builders that fit: {', '.join(fitting) or 'none'}.")


def _check_threshold(assembly: Assembly, experiment: Experiment) -> None:
    """Refuse a threshold that lacks what it is set on."""
    threshold = assembly.threshold.part
    assert isinstance(threshold, parts.Threshold)
    if threshold.supervised and assembly.labeller is None:
        msg = f"Threshold '{threshold.name}' is supervised, but nothing labels the flows."
        raise ConfigError(msg, where="[threshold]", do="Add a [labels] section, or use 'quantile'.")
    if threshold.needs_scores and experiment.split.calibrate == 0:
        msg = f"Threshold '{threshold.name}' is set on the calibration part, and there is none."
        do = "Give split.calibrate a share, or use a cut by hand: 'fixed'."
        raise ConfigError(msg, where="[split] calibrate = 0", do=do)


def _check_rows(assembly: Assembly) -> None:
    """Refuse two rows of one name, which a table could not tell apart."""
    own = (assembly.classifier or assembly.scorer, *assembly.also)
    baselines = assembly.baselines
    if assembly.encoder.name == "raw":
        shown = [(c.name, c.config) for c in own]
        baselines = (*own, *(c for c in baselines if (c.name, c.config) not in shown))
    for section, rows in (("evaluate.also", own), ("evaluate.baselines", baselines)):
        names = [chosen.row for chosen in rows]
        twice = next((chosen for chosen in rows if names.count(chosen.row) > 1), None)
        if twice is not None:
            msg = f"Two rows would be called '{twice.row}' in the table."
            do = f"Give one a label: {{name = '{twice.name}', label = '{twice.row}-2', ...}}."
            raise ConfigError(msg, where=f"[{section}]", do=do)


@dataclass(frozen=True)
class Pipeline:
    """A fitted pipeline, from flows to scores.

    `contract` and `info` say what a source must offer; `cut` is where alerts begin, `provenance`
    what it was set on; `reader` names the reader and its settings, which decide what a flow is.
    Where `assembly.classifier` is there, the encoding is the classes' probabilities.
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


@dataclass(frozen=True)
class Lesson:
    """What a supervised transform may see: flows, which are attacks, which have a label.

    Shapes:
        is_attack, known: bool [flows]
    """

    flows: list[FlowTable]
    is_attack: NDArray[np.bool_]
    known: NDArray[np.bool_]


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
    lesson: Callable[[], Lesson] | None = None,
) -> tuple[tuple[protocols.FlowTransform, ...], FeatureProfile]:
    """Fit each transform on what the ones before it make of the train flows; profile the result.

    `lesson` reads labels, so it is called for supervised transforms only; those are fitted on its
    known flows. It may hold flows that training leaves out: to tell attacks apart takes attacks.
    """
    features = _extracted(flows, contract)
    rows, raw = sampled(features, seed)
    fitted: list[protocols.FlowTransform] = []
    for choice in chosen:
        transform: protocols.FlowTransform = choice.make()
        if supervised([choice.part]):
            taught, is_attack = _taught(choice.name, contract, lesson)
            for earlier in fitted:
                taught = earlier.transform(taught)
            _fit_labelled(transform, choice.name, taught, is_attack, seed=seed)
        else:
            transform = transform.fit(features, seed=seed)
        features = transform.transform(features)
        fitted.append(transform)
    profile = FeatureProfile.of(features.x, features.names, rows=rows, raw=raw, seed=seed)
    return tuple(fitted), profile


def _extracted(flows: list[FlowTable], contract: FeatureContract) -> FlowFeatures:
    table = pa.concat_tables([f.table for f in flows])
    return extract(FlowTable.trusted(table, flows[0].info), contract)


def _taught(
    name: str, contract: FeatureContract, lesson: Callable[[], Lesson] | None
) -> tuple[FlowFeatures, NDArray[np.bool_]]:
    """Return the features of the flows with a label, and which of them are attacks."""
    held = None if lesson is None else lesson()
    if held is None or not held.known.any():
        msg = f"Transform '{name}' learns from labels, but no flow of the train part has one."
        raise RunError(msg, where="[features] transforms", do="Check the [labels] section.")
    features = _extracted(held.flows, contract)
    known = held.known
    texts = {n: values.filter(pa.array(known)) for n, values in features.categories.items()}
    return FlowFeatures(features.x[known], features.names, texts), held.is_attack[known]


def _fit_labelled(
    transform: protocols.FlowTransform,
    name: str,
    features: FlowFeatures,
    is_attack: NDArray[np.bool_],
    *,
    seed: int,
) -> None:
    if not isinstance(transform, protocols.SupervisedTransform):
        msg = f"Transform '{name}' says that it is supervised, but has no `fit_labelled`."
        raise IncompatiblePartsError(msg, do="Mend the package that provides it.")
    transform.fit_labelled(features, is_attack, seed=seed)


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
