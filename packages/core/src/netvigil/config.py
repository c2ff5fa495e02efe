"""Experiment files: TOML in, frozen models out; an unknown key is refused, the nearest named.

A section that chooses a part (`[encoder]`, `[scorer]`, ...) holds the part's name and, beside it,
the part's own settings, which are checked against the part's config model by `resolve`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from netvigil.checking import checked, model_of
from netvigil.config_rules import require_sense
from netvigil.errors import ConfigError
from netvigil.layers import folder_of, read_layers
from netvigil.overrides import SOURCES, override


class Section(BaseModel):
    """The base of every section: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(Section):
    """A part chosen by name, with the part's own settings; `label` is its name in tables."""

    name: str
    label: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


def _choice(value: object) -> object:
    """Accept `"hbos"` or `{name = "hbos", n_bins = 20}` where a part is chosen."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and "options" not in value:
        own = {k: value[k] for k in ("name", "label") if k in value}
        return {"name": ""} | own | {"options": {k: v for k, v in value.items() if k not in own}}
    return value


PartChoice = Annotated[Choice, BeforeValidator(_choice)]


class ChoosingSection(Section):
    """A section that names a part and whose unknown keys are that part's settings."""

    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: object) -> object:
        if not isinstance(value, Mapping) or "options" in value:
            return value
        own = {k: v for k, v in value.items() if k in cls.model_fields}
        return own | {"options": {k: v for k, v in value.items() if k not in cls.model_fields}}


class Flows(ChoosingSection):
    """`[flows]`: where flows come from. `reader = "auto"` detects the dialect and says why.

    `test_source` is another source in the same dialect, all of whose flows are tested; `source` is
    then divided between training and calibration alone.
    """

    source: Path
    test_source: Path | None = None
    reader: str = "auto"

    def sources(self) -> dict[str, Path]:
        """Return the one or two sources by their key."""
        found = {key: getattr(self, key) for key in SOURCES}
        return {key: path for key, path in found.items() if path is not None}

    def names(self) -> dict[str, str]:
        """Return the sources by name only, so that what is written travels."""
        return {key: path.name for key, path in self.sources().items()}


class Labels(ChoosingSection):
    """`[labels]`: who says what is an attack. Without this section everything is unknown."""

    labeller: str = "inline"


class Split(Section):
    """`[split]`: which flows teach, which set the threshold, which are only tested.

    `time` cuts fractions of the time axis (`axis = "time"`) or of the flows in time order (`axis =
    "flows"`), with `purge_s` seconds left out after each cut; `rows` does the same by row for
    sources without a clock; `ranges` takes ISO 8601 [from, to) pairs; `paper-shuffled` deals
    windows out at random, as several papers do, and lets a model see the future;
    `paper-stratified` deals flows out at random within each attack class, which reads labels too,
    and is refused unless `run.parity` is on or the model is a classifier. `dice = "scikit-learn"`
    deals them as its `train_test_split(stratify=..., random_state=seed)` does, which deals one
    class after the other: `dealt_first` says whether benign flows come first, as label 0 does, or
    attacks, as "anomaly" comes before "normal". `calibrate = 0` leaves no calibration part, for
    thresholds that need none.

    `duplicates` says what becomes of flows that repeat an earlier one exactly, in all but their
    origin: `ignore` does not look for them, `count` counts them for the receipt, `drop` leaves them
    out of every part.
    """

    protocol: Literal["time", "rows", "ranges", "paper-shuffled", "paper-stratified"] = "time"
    axis: Literal["time", "flows"] = "time"
    train: Annotated[float, Field(gt=0, le=1)] = 0.6
    calibrate: Annotated[float, Field(ge=0, lt=1)] = 0.1
    purge_s: Annotated[float, Field(ge=0)] = 0.0
    window_s: Annotated[float, Field(gt=0)] = 180.0
    seed: int = 0
    dice: Literal["netvigil", "scikit-learn"] = "netvigil"
    dealt_first: Literal["benign", "attacks"] = "benign"
    duplicates: Literal["ignore", "count", "drop"] = "ignore"
    train_range: tuple[str, str] | None = None
    calibrate_range: tuple[str, str] | None = None
    test_range: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _check(self) -> Split:
        if self.dice != "netvigil" and self.protocol != "paper-stratified":
            msg = "dice are thrown by protocol 'paper-stratified' only"
            raise ValueError(msg)
        if self.dealt_first != "benign" and self.dice == "netvigil":
            msg = "dealt_first needs dice = 'scikit-learn'; netvigil's deal all classes alike"
            raise ValueError(msg)
        ranges = (self.train_range, self.calibrate_range, self.test_range)
        if self.protocol == "ranges" and None in ranges:
            msg = "protocol 'ranges' needs train_range, calibrate_range and test_range"
            raise ValueError(msg)
        if self.protocol != "ranges" and any(ranges):
            msg = "train_range, calibrate_range and test_range need protocol = 'ranges'"
            raise ValueError(msg)
        return self


class Train(Section):
    """`[train]`: uses of labels before evaluation; each is printed in every receipt.

    `drop_attacks` takes labelled attacks out. `benign_window_keep` keeps that share of the windows
    without an attack (AutoGraphAD's "benign downsampling"). `target_contamination` makes the attack
    share exact by dropping benign flows, or attacks where there are too many. `benign_calibration`
    takes labelled attacks out of what a cut is set on, as papers do that quote a percentile of
    benign validation data; thresholds are then spared what an operator's would meet. `hold_out`
    reads no label: it keeps the latest share of what is left from encoder and scorer, for scorers
    that calibrate themselves on flows they were not fitted on; with others nothing is held out.
    `augment` names a generator that learns the train part, labels and all, and adds windows of its
    own making to what a classifier learns from: `augment_windows`, or as many as there are.
    """

    augment: PartChoice | None = None
    augment_windows: Annotated[int, Field(ge=1)] | None = None
    drop_attacks: bool = False
    benign_calibration: bool = False
    benign_window_keep: Annotated[float, Field(gt=0, le=1)] = 1.0
    target_contamination: Annotated[float, Field(gt=0, lt=1)] | None = None
    window_s: Annotated[float, Field(gt=0)] = 180.0
    seed: int = 0
    hold_out: Annotated[float, Field(gt=0, le=0.5)] = 0.2

    @model_validator(mode="after")
    def _check(self) -> Train:
        if self.drop_attacks and (
            self.benign_window_keep < 1 or self.target_contamination is not None
        ):
            msg = "drop_attacks leaves no attacks for benign_window_keep or target_contamination"
            raise ValueError(msg)
        if self.augment_windows is not None and self.augment is None:
            msg = "augment_windows needs augment, the generator that makes them"
            raise ValueError(msg)
        return self

    @property
    def uses_labels(self) -> bool:
        """Whether any of the settings chooses by labels which flows are trained on."""
        return (
            self.drop_attacks
            or self.benign_window_keep < 1
            or self.target_contamination is not None
        )


class Features(Section):
    """`[features]`: what a model may see, and the transforms on it, fitted on the train range.

    `fit_flows` bounds how many train flows (a seeded uniform sample) transforms and scorers are
    fitted on. `fit_on = "all"` fits the transforms on every flow of the source, those of the test
    part included, as several papers do; it is refused unless `run.parity` is on.
    """

    set: str | tuple[str, ...] = "auto"
    allow_shortcuts: tuple[str, ...] = ()
    transforms: tuple[PartChoice, ...] = tuple(
        Choice(name=name) for name in ("clean", "log1p", "robust-scale", "categories")
    )
    fit_flows: Annotated[int, Field(ge=100)] = 1_000_000
    fit_on: Literal["train", "all"] = "train"


class Graph(ChoosingSection):
    """`[graph]`: the builder of windows; `none` keeps flows without hosts."""

    builder: str = "none"


class Encoder(ChoosingSection):
    """`[encoder]`: what turns windows into embeddings or terms; `raw` passes features through.

    `beside` names further encoders that see the same windows; their terms join this one's, each
    under its encoder's name, as `rarity.pair`. `label` is the name in tables. `preset` names
    settings that the encoder's package publishes, for itself and for other sections; what the file
    says itself goes before them.
    """

    name: str = "raw"
    label: str = ""
    beside: tuple[PartChoice, ...] = ()
    preset: str | None = None


class Scorer(ChoosingSection):
    """`[scorer]`: what ranks encoded flows; `label` is its name in tables."""

    name: str = "pca"
    label: str = ""


class Classifier(ChoosingSection):
    """`[classifier]`: a supervised model in the place of encoder and scorer; it learns from labels.

    `classes = "attacks"` teaches each attack class by its name, `"binary"` attack and benign alone.
    `label` and `preset` are what they are in `[encoder]`.
    """

    name: str
    label: str = ""
    preset: str | None = None
    classes: Literal["attacks", "binary"] = "attacks"


class Generator(ChoosingSection):
    """`[generator]`: what `netvigil generate` fits on the train part; other commands ignore it.

    It makes `windows` windows (default: as many as the train part has), of its own mixture of
    classes or all of one, the `condition`.
    """

    name: str = "cggm"
    windows: Annotated[int, Field(ge=1)] | None = None
    condition: str | None = None


class Threshold(ChoosingSection):
    """`[threshold]`: the rule that chooses the cut on the calibration range.

    Without this section a classifier's cut is fixed at 0.5.
    """

    name: str = "quantile"


class Evaluate(Section):
    """`[evaluate]`: what the table shows beside the method.

    `exclude` names attack classes left out of a second headline; `also` further scorers on the same
    encoding, or further classifiers beside a classifier; `baselines` the raw-feature detectors of
    every table; `resamples` the bootstrap size.
    """

    exclude: tuple[str, ...] = ()
    also: tuple[PartChoice, ...] = ()
    baselines: tuple[PartChoice, ...] = (Choice(name="pca"), Choice(name="iforest"))
    resamples: Annotated[int, Field(ge=1)] = 200
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: int = 0


class Run(Section):
    """`[run]`: seeds, the device for encoders that use one, and where seeds are run.

    `parity` permits what published pipelines do and no honest one may: splits and transforms that
    read labels, transforms fitted on test flows. It takes over the choices of the encoder's
    official pipeline where there is one; every receipt says in capitals which are in force.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    device: str = "auto"
    executor: str = "serial"
    parity: bool = False

    @model_validator(mode="after")
    def _check(self) -> Run:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            msg = "seeds must be distinct, and at least one"
            raise ValueError(msg)
        return self


class Alerts(Section):
    """`[alerts]`: the format of the alert file."""

    exporter: PartChoice = Choice(name="jsonl")


Objective = Literal["validation-loss", "seed-agreement", "validation-auprc"]


class Tune(Section):
    """`[tune]`: what `netvigil tune` searches, and by what it judges; the test part is never read.

    `space` is the name of a space that the encoder's package publishes, or a table of settings:
    `"encoder.layers" = [1, 2]` lists values, `"encoder.learning_rate" = {low = 1e-4, high = 1e-2,
    log = true}` gives a range. `validation-auprc` reads the labels of the calibration part, and
    every later receipt says so; the other objectives read none.
    """

    space: str | dict[str, list[Any] | dict[str, Any]] = "published"
    objective: Objective = "validation-loss"
    trials: Annotated[int, Field(ge=1)] | None = None
    sampler: Literal["grid", "tpe", "random"] = "grid"
    seed: int = 0


class Tuned(Section):
    """`[tuned]`: where settings of this file came from; written by `netvigil tune`."""

    objective: Objective
    trials: int
    value: float
    space: str

    @property
    def uses_labels(self) -> bool:
        """Whether the search read labels."""
        return self.objective == "validation-auprc"


class Experiment(Section):
    """One experiment file."""

    flows: Flows
    labels: Labels | None = None
    split: Split = Split()
    train: Train = Train()
    features: Features = Features()
    graph: Graph = Graph()
    encoder: Encoder = Encoder()
    scorer: Scorer = Scorer()
    classifier: Classifier | None = None
    generator: Generator | None = None
    threshold: Threshold = Threshold()
    evaluate: Evaluate = Evaluate()
    alerts: Alerts = Alerts()
    run: Run = Run()
    tune: Tune | None = None
    tuned: Tuned | None = None

    @model_validator(mode="before")
    @classmethod
    def _cut_of_a_classifier(cls, value: object) -> object:
        """Let a classifier cut at one half unless the file names a threshold."""
        if not isinstance(value, Mapping) or value.get("classifier") is None:
            return value
        threshold = value.get("threshold") or {}
        if not isinstance(threshold, Mapping) or "name" in threshold:
            return value
        return {**value, "threshold": {"name": "fixed", "value": 0.5, **threshold}}

    @model_validator(mode="after")
    def _check(self) -> Experiment:
        require_sense(self)
        return self

    @model_serializer(mode="wrap")
    def _one_method(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the encoder and the scorer that a classifier stands for."""
        values: dict[str, Any] = dump(self)
        if self.classifier is not None:
            values = {k: v for k, v in values.items() if k not in {"encoder", "scorer"}}
        return values


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file; paths in it are relative to its folder.

    `extends = "base.toml"` at its top lays it over another file, see `netvigil.layers`. `overrides`
    are `section.key=value` texts, as `--set` takes them, and go before everything.

    Raises:
        ConfigError: No such file, broken TOML, an unknown key (with the nearest valid one), a wrong
            type, or a suite.
    """
    values = read_layers(path)
    if "suite" in values:
        msg = "This file is a suite: it describes many experiments, not one."
        do = f"Run them with `netvigil run {path.name}`."
        raise ConfigError(msg, where=str(path), do=do)
    return parse_experiment(values, base=path.parent, overrides=overrides, where=str(path))


def parse_experiment(
    values: Mapping[str, Any],
    *,
    base: Path,
    overrides: Sequence[str] = (),
    where: str = "experiment",
) -> Experiment:
    """Check plain values against the model; `base` is the folder that relative paths start from."""
    own = copy.deepcopy(dict(values))
    for text in overrides:
        override(own, text)
    experiment: Experiment = checked(Experiment, own, where=where)
    moved = {
        key: folder_of(own["flows"][key], base) / path
        for key, path in experiment.flows.sources().items()
        if not path.is_absolute()
    }
    if moved:
        flows = experiment.flows.model_copy(update=moved)
        experiment = experiment.model_copy(update={"flows": flows})
    return experiment


def part_config(
    config: type[BaseModel],
    options: Mapping[str, Any],
    *,
    where: str,
    base: Path,
    beside: Sequence[str] = (),
) -> Any:
    """Check a part's settings against its config model; relative paths start from `base`.

    `beside` are the section's own keys, which a misspelt setting may have meant.
    """
    made = checked(config, dict(options), where=where, beside=beside)
    moved = {
        name: folder_of(options.get(name), base) / value
        for name, value in made
        if isinstance(value, Path) and not value.is_absolute()
    }
    return made.model_copy(update=moved) if moved else made


def section_keys(section: str) -> tuple[str, ...]:
    """Return the keys that a section has beside its part's settings.

    Example:
        >>> section_keys("graph"), section_keys("evaluate.also")
        (('builder',), ())
    """
    field = Experiment.model_fields.get(section)
    model = model_of(field.annotation) if field else None
    if model is None or not issubclass(model, ChoosingSection):
        return ()
    return tuple(name for name in model.model_fields if name != "options")
