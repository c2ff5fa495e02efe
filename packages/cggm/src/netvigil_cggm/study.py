"""The study on real sources: snapshots, generators, fidelity, learn synthetic and test on real.

Each source is cut into windows of so many flows; the earlier part of each teaches, the later part
is tested. Several sources stand side by side, since excerpts of data sets hold one class each.
Transforms, the dictionary of addresses, the range of features and all generators see the train part
alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from netvigil.config import Experiment, parse_experiment
from netvigil.contracts import FlowTable, LabelTable, WindowGraphs
from netvigil.errors import ConfigError, RunError, nearest
from netvigil.features import extract, select_features
from netvigil.phases import Phases
from netvigil.pipeline import Assembly, apply_transforms, assemble, fit_transforms
from netvigil.plugins import Plugins, load_plugins
from netvigil.protocols import Watch
from netvigil.sources import choose_reader, open_source
from netvigil.truth import UNKNOWN, label_store
from netvigil_cggm.classifiers import Balance, Model, NodeClassifier, Quality, Settings, quality
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.fidelity import Fidelity, fidelity
from netvigil_cggm.generator import Cggm
from netvigil_cggm.graphsgan import GraphSgan, GraphSganSettings
from netvigil_cggm.plans import plan_labels
from netvigil_cggm.rival_graphrnn import GraphRnn, GraphRnnSettings
from netvigil_cggm.rival_installed import InstalledCtgan
from netvigil_cggm.rival_tablegan import TableGan, TableGanSettings
from netvigil_cggm.rival_tabular import Ctgan, CtganSettings, Tvae, TvaeSettings
from netvigil_cggm.rivals import BlockModel, Copula, Smote, SnapshotGenerator
from netvigil_cggm.snapshots import (
    NORMAL,
    Snapshots,
    chronological,
    flow_classes,
    joined,
    most_active,
    take_snapshots,
)

MOST_FLOWS = 3_000_000  # about 2 GB of 50 features, table and windows; UNSW-NB15 has 2.54 million
NAMES = ("normal", "attack")


class Study(BaseModel):
    """What to compare, and how long to train; written as a TOML file.

    `densities` repeat `cggm` with that share of all possible links, `backbones` with another map
    from noise to features; both are judged by the classes that a node classifier learns from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Path, ...] = ()
    window_flows: int = Field(500, ge=1, description="flows per snapshot")
    train: float = Field(0.7, gt=0, lt=1, description="share of each source's windows to learn")
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    rivals: tuple[str, ...] = Field(("smote", "copula", "block model"), description="beside cggm")
    rival_steps: int = Field(600, ge=1, description="steps of rivals with a network")
    classifier_steps: int = Field(400, ge=1, description="steps of node classifiers")
    told: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (), description="shares of train labels that GraphSGAN, a classifier, is told"
    )
    densities: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    backbones: tuple[Literal["attention", "linear"], ...] = ()
    cggm: CggmConfig = CggmConfig()


class Parts(NamedTuple):
    """Real snapshots to learn from, and real ones to be judged on."""

    train: Snapshots
    test: Snapshots


Task = Literal["classes", "binary"]


class Row(NamedTuple):
    """How a node classifier does on real test snapshots, on all nodes and on active ones."""

    task: Task
    model: str
    taught_by: str
    seed: int
    every: Quality
    active: Quality


class _Source(NamedTuple):
    flows: FlowTable
    labels: LabelTable
    train_flows: int


def load(study: Study, work: Path, phases: Phases) -> Parts:
    """Read sources of one dialect, with their own labels, into train and test snapshots.

    Flows lie in memory. Names of classes are of all flows, so that test nodes can be numbered;
    which flow is of which class is told of the train part alone.

    Raises:
        SourceError: A source cannot be read.
        RunError: A source without labels, of more than `MOST_FLOWS` flows, or of fewer than two
            windows.
        ContractError: Windows that make no snapshots.
    """
    sources, plugins = study.sources, load_plugins()
    if not sources:
        msg = "A study names at least one source of labelled flows."
        raise RunError(msg, where="sources", do='Write sources = ["flows.csv"].')
    values: dict[str, Any] = {
        "flows": {"source": str(sources[0])},
        "labels": {},
        "graph": {"builder": "flow-host", "window_flows": study.window_flows},
    }
    experiment = parse_experiment(values, base=work)
    assembly = assemble(experiment, plugins, base=work)
    found = [
        _read(path, study, assembly, plugins, work / f"{number}.parquet", phases)
        for number, path in enumerate(sources)
    ]
    windows = _windows(found, experiment, assembly)
    train = [w[: _cut(len(w), study.train)] for w in windows]
    keys = most_active(train, study.cggm.nodes)
    names = {n for s in found for n in flow_classes(s.labels, s.flows.flow_id).names}
    classes = (NORMAL, *sorted(names - {NORMAL}))
    parts = []
    for source, graphs in zip(found, windows, strict=True):
        snapshots = take_snapshots(
            graphs,
            source.labels,
            keys,
            ends=study.cggm.ends,
            rule=study.cggm.label_rule,
            classes=classes,
        )
        parts.append(chronological(snapshots, study.train))
    return Parts(*(joined(side) for side in zip(*parts, strict=True)))


RIVALS: Mapping[str, Callable[[int, str], SnapshotGenerator]] = {
    "smote": lambda _steps, _device: Smote(),
    "copula": lambda _steps, _device: Copula(),
    "block model": lambda _steps, _device: BlockModel(),
    "tvae": lambda steps, device: Tvae(TvaeSettings(steps=steps, device=device)),
    "ctgan": lambda steps, device: Ctgan(CtganSettings(steps=steps, device=device)),
    "tablegan": lambda steps, device: TableGan(TableGanSettings(steps=steps, device=device)),
    "graphrnn": lambda steps, device: GraphRnn(GraphRnnSettings(steps=steps, device=device)),
    "ctgan, installed": lambda _steps, _device: InstalledCtgan(),
}
"""Name -> how it is made, given steps of training and a device."""


def generators(
    parts: Parts, study: Study, *, seed: int, phases: Phases | None = None
) -> Mapping[str, SnapshotGenerator]:
    """Fit `cggm` and its rivals on the train snapshots.

    Raises:
        ConfigError: A rival that nobody knows.
    """
    made: dict[str, SnapshotGenerator] = {"cggm": Cggm(study.cggm)}
    for name in study.rivals:
        if name not in RIVALS:
            msg = f"No rival is called '{name}'."
            do = f"{nearest(name, RIVALS)} Known: {', '.join(RIVALS)}."
            raise ConfigError(msg, where="rivals", do=do.strip())
        made[name] = RIVALS[name](study.rival_steps, study.cggm.device)
    steps = {"cggm": study.cggm.steps}
    return {
        name: _fit(one, name, parts, seed, phases or Phases(), steps.get(name, study.rival_steps))
        for name, one in made.items()
    }


def variants(
    parts: Parts, study: Study, *, seed: int, phases: Phases | None = None
) -> Mapping[str, SnapshotGenerator]:
    """Fit `cggm` with other densities and backbones."""
    changed: dict[str, dict[str, Any]]
    changed = {f"density {share:g}": {"density": share} for share in study.densities}
    changed |= {f"{kind} backbone": {"backbone": kind} for kind in study.backbones}
    return {
        name: _fit(
            Cggm(study.cggm.model_copy(update=update)),
            name,
            parts,
            seed,
            phases or Phases(),
            study.cggm.steps,
        )
        for name, update in changed.items()
    }


def _fit(
    one: SnapshotGenerator, name: str, parts: Parts, seed: int, phases: Phases, steps: int
) -> SnapshotGenerator:
    """Fit one; what trains step by step shows each."""
    watch = getattr(one, "watch", None)
    with phases.phase(f"fit {name}", None if watch is None else steps) as advance:
        if watch is not None:
            watch(Watch(advance))
        return one.fit_snapshots(parts.train, seed=seed)


def fidelities(
    parts: Parts, fitted: Mapping[str, SnapshotGenerator], *, seed: int
) -> dict[str, Fidelity]:
    """Compare with real test snapshots: the train ones, and what is made for the same labels.

    Labels are those of the train snapshots, so that no row is judged by another balance.
    """
    found = {"real (train)": fidelity(parts.test, parts.train, seed=seed)}
    for name, one in fitted.items():
        made = one.sample(parts.train.label, seed=seed)
        found[name] = fidelity(parts.test, made, seed=seed)
    return found


def taught(
    parts: Parts,
    fitted: Mapping[str, SnapshotGenerator],
    study: Study,
    *,
    seed: int,
    task: Task = "classes",
    real: bool = True,
) -> Iterator[Row]:
    """Yield how node classifiers do that learnt from real, synthetic and random snapshots.

    With the task "binary" all attacks are one class, and half of the synthetic nodes are attacks,
    of each kind as many. Without `real`, only what generators teach is looked at.
    """
    labels = _planned(parts, study, seed, task)
    made = {name: one.sample(labels, seed=seed) for name, one in fitted.items()}
    lessons: list[tuple[str, Snapshots, Balance]] = []
    if real:
        rng, first = np.random.default_rng(seed), next(iter(made.values()))
        mixed = rng.permuted(first.label.ravel()).reshape(labels.shape)
        made["shuffled labels (control)"] = replace(first, label=mixed)
        lessons = [
            ("real", parts.train, "none"),
            ("real, class weights", parts.train, "weights"),
            ("real, oversampled", parts.train, "oversample"),
        ]
    lessons += [(name, snapshots, "none") for name, snapshots in made.items()]
    models: tuple[Model, ...] = ("gcn", "sage")
    test = merged(parts.test) if task == "binary" else parts.test
    for model in models:
        for name, snapshots, balance in lessons:
            settings = Settings(
                model=model,
                balance=balance,
                steps=study.classifier_steps,
                device=study.cggm.device,
            )
            lesson = merged(snapshots) if task == "binary" else snapshots
            guess = NodeClassifier(settings).fit(lesson, seed=seed).predict(test)
            yield _row(task, model, name, seed, test, guess)
    lesson = merged(parts.train) if task == "binary" else parts.train
    for share in study.told if real else ():
        few = GraphSganSettings(
            labelled=share, steps=study.classifier_steps, device=study.cggm.device
        )
        guess = GraphSgan(few).fit(lesson, seed=seed).predict(test)
        yield _row(task, "graphsgan", f"real, {share:.0%} of labels", seed, test, guess)


def _row(
    task: Task, model: str, name: str, seed: int, test: Snapshots, guess: NDArray[np.int64]
) -> Row:
    every, active = quality(test.label, guess), quality(test.label, guess, test.active)
    return Row(task, model, name, seed, every, active)


def merged(snapshots: Snapshots) -> Snapshots:
    """Make one class of all attacks."""
    return replace(snapshots, classes=NAMES, label=(snapshots.label > 0).astype(np.int64))


def balance(parts: Parts, study: Study) -> list[tuple[str, int, int, int]]:
    """Return each class with its nodes in train, in test, and in as many synthetic snapshots."""
    planned = _planned(parts, study, study.seeds[0], "classes")
    counts = np.bincount(planned.ravel(), minlength=len(parts.train.classes))
    columns = (parts.train.balance(), parts.test.balance(), counts)
    return list(zip(parts.train.classes, *(column.tolist() for column in columns), strict=True))


def _planned(parts: Parts, study: Study, seed: int, task: Task) -> NDArray[np.int64]:
    """Return the labels of as many snapshots as there are to learn from."""
    present = np.flatnonzero(parts.train.balance())
    shape = (len(parts.train), parts.train.nodes)
    if task == "binary":
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(10,)))
        attacks = present[present > 0]
        if not len(attacks):
            msg = "No node of the train snapshots is an attack: there is nothing to balance."
            raise RunError(msg, do="Take more windows, or label_rule = 'any-touch'.")
        dealt = attacks[np.arange(math.prod(shape)) % len(attacks)].reshape(shape)
        half = np.broadcast_to(np.arange(shape[1]) % 2 == 1, shape)
        return np.where(rng.permuted(half, axis=1), dealt, 0)
    names = tuple(parts.train.classes[row] for row in present)
    plan = plan_labels(study.cggm.label_plan, names, nodes=shape[1], snapshots=shape[0], seed=seed)
    return np.asarray(present[plan], np.int64)


def _read(
    path: Path, study: Study, assembly: Assembly, plugins: Plugins, target: Path, phases: Phases
) -> _Source:
    """Read the labelled flows of one source."""
    store = open_source(path, choose_reader(path, plugins), target, phases)
    if len(store) > MOST_FLOWS:
        msg = f"{len(store):,} flows; a study takes at most {MOST_FLOWS:,}, all of them in memory."
        raise RunError(msg, where=str(path), do="Cut the source into shorter ones.")
    assert assembly.labeller is not None
    truth = label_store(store, assembly.labeller.make())
    table = pa.concat_tables([flows.table for flows in store.batches()]).unify_dictionaries()
    known = truth.state != UNKNOWN
    flows = FlowTable.trusted(table.filter(pa.array(known)), store.info)
    many = math.ceil(len(flows) / study.window_flows)
    if many < 2:
        msg = f"{len(flows):,} labelled flows make {many} window of {study.window_flows:,}."
        raise RunError(msg, where=str(path), do="Take window_flows smaller: two windows or more.")
    return _Source(flows, truth.table(store), _cut(many, study.train) * study.window_flows)


def _cut(windows: int, share: float) -> int:
    """Return how many windows are learnt from, as `chronological` does."""
    return min(max(round(share * windows), 1), windows - 1)


def _windows(
    found: Sequence[_Source], experiment: Experiment, assembly: Assembly
) -> list[WindowGraphs]:
    """Fit transforms on the train flows of all sources, and build the windows of each."""
    first = found[0].flows
    contract = select_features(
        first.table.column_names,
        first.category_names,
        feature_set=experiment.features.set,
        allow_shortcuts=experiment.features.allow_shortcuts,
        origin_us=int(first.start_us[0]) if first.info.time_basis == "clock" else None,
    )
    lesson = [source.flows.slice(0, source.train_flows) for source in found]
    transforms, _ = fit_transforms(assembly.transforms, lesson, contract, seed=0)
    builder = assembly.builder.make()
    windows = []
    for source in found:
        builder.check(source.flows)
        features = apply_transforms(transforms, extract(source.flows, contract))
        number = builder.window_of(source.flows, first_row=0)
        windows.append(builder.build(source.flows, features, number))
    return windows
