"""The study on real sources: snapshots, generators, fidelity, learn synthetic and test on real.

Each source is cut into windows of so many flows; the earlier part of each teaches, the later part
is tested. Several sources stand side by side, since excerpts of data sets hold one class each.
Transforms, the dictionary of addresses, the range of features and all generators see the train part
alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.config import Experiment, parse_experiment
from netvigil.contracts import FlowTable, LabelTable, WindowGraphs
from netvigil.errors import RunError
from netvigil.features import extract, select_features
from netvigil.phases import Phases
from netvigil.pipeline import Assembly, apply_transforms, assemble, fit_transforms
from netvigil.plugins import Plugins, load_plugins
from netvigil.sources import choose_reader, open_source
from netvigil.truth import UNKNOWN, label_store
from netvigil_cggm.classifiers import Balance, Model, NodeClassifier, Quality, Settings, quality
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.fidelity import Fidelity, fidelity
from netvigil_cggm.generator import Cggm
from netvigil_cggm.graphsgan import GraphSgan, GraphSganSettings
from netvigil_cggm.plans import plan_labels
from netvigil_cggm.rival_graphrnn import GraphRnn, GraphRnnSettings
from netvigil_cggm.rival_installed import InstalledCtgan, installed
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


@dataclass(frozen=True)
class Study:
    """What to compare, and how long to train."""

    window_flows: int = 500
    train: float = 0.7
    config: CggmConfig = field(default_factory=CggmConfig)
    classifier_steps: int = 400
    rival_steps: int = 600
    told: tuple[float, ...] = (0.1, 1.0)  # shares of labels that GraphSGAN is told


class Parts(NamedTuple):
    """Real snapshots to learn from, and real ones to be judged on."""

    train: Snapshots
    test: Snapshots


class Row(NamedTuple):
    """How a node classifier does on real test snapshots, on all nodes and on active ones."""

    model: str
    taught_by: str
    seed: int
    every: Quality
    active: Quality


class _Source(NamedTuple):
    flows: FlowTable
    labels: LabelTable
    train_flows: int


def load(sources: Sequence[Path], study: Study, work: Path) -> Parts:
    """Read sources of one dialect, with their own labels, into train and test snapshots.

    Flows lie in memory. Names of classes are of all flows, so that test nodes can be numbered;
    which flow is of which class is told of the train part alone.

    Raises:
        SourceError: A source cannot be read.
        RunError: A source without labels, of more than `MOST_FLOWS` flows, or of fewer than two
            windows.
        ContractError: Windows that make no snapshots.
    """
    plugins = load_plugins()
    values: dict[str, Any] = {
        "flows": {"source": str(sources[0])},
        "labels": {},
        "graph": {"builder": "flow-host", "window_flows": study.window_flows},
    }
    experiment = parse_experiment(values, base=work)
    assembly = assemble(experiment, plugins, base=work)
    found = [
        _read(path, study, assembly, plugins, work / f"{number}.parquet")
        for number, path in enumerate(sources)
    ]
    windows = _windows(found, experiment, assembly)
    train = [w[: _cut(len(w), study.train)] for w in windows]
    keys = most_active(train, study.config.nodes)
    names = {n for s in found for n in flow_classes(s.labels, s.flows.flow_id).names}
    classes = (NORMAL, *sorted(names - {NORMAL}))
    parts = []
    for source, graphs in zip(found, windows, strict=True):
        snapshots = take_snapshots(
            graphs,
            source.labels,
            keys,
            ends=study.config.ends,
            rule=study.config.label_rule,
            classes=classes,
        )
        parts.append(chronological(snapshots, study.train))
    return Parts(*(joined(side) for side in zip(*parts, strict=True)))


def generators(parts: Parts, study: Study, *, seed: int) -> Mapping[str, SnapshotGenerator]:
    """Fit `cggm` and its rivals on the train snapshots; a CTGAN only where one is installed."""
    steps, device = study.rival_steps, study.config.device
    made: dict[str, SnapshotGenerator] = {
        "cggm": Cggm(study.config),
        "smote": Smote(),
        "copula": Copula(),
        "block model": BlockModel(),
        "tvae": Tvae(TvaeSettings(steps=steps, device=device)),
        "ctgan": Ctgan(CtganSettings(steps=steps, device=device)),
        "tablegan": TableGan(TableGanSettings(steps=steps, device=device)),
        "graphrnn": GraphRnn(GraphRnnSettings(steps=steps, device=device)),
    }
    if installed():
        made["ctgan, installed"] = InstalledCtgan()
    return {name: one.fit_snapshots(parts.train, seed=seed) for name, one in made.items()}


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
    parts: Parts, fitted: Mapping[str, SnapshotGenerator], study: Study, *, seed: int
) -> Iterable[Row]:
    """Yield how node classifiers do that learnt from real, synthetic and random snapshots."""
    labels = _planned(parts, study, seed)
    made = {name: one.sample(labels, seed=seed) for name, one in fitted.items()}
    rng = np.random.default_rng(seed)
    mixed = rng.permuted(next(iter(made.values())).label.ravel()).reshape(labels.shape)
    made["shuffled labels (control)"] = replace(next(iter(made.values())), label=mixed)
    lessons: list[tuple[str, Snapshots, Balance]] = [
        ("real", parts.train, "none"),
        ("real, class weights", parts.train, "weights"),
        ("real, oversampled", parts.train, "oversample"),
        *((name, snapshots, "none") for name, snapshots in made.items()),
    ]
    models: tuple[Model, ...] = ("gcn", "sage")
    for model in models:
        for name, snapshots, balance in lessons:
            settings = Settings(
                model=model,
                balance=balance,
                steps=study.classifier_steps,
                device=study.config.device,
            )
            guess = NodeClassifier(settings).fit(snapshots, seed=seed).predict(parts.test)
            yield _row(model, name, seed, parts.test, guess)
    for share in study.told:
        few = GraphSganSettings(
            labelled=share, steps=study.classifier_steps, device=study.config.device
        )
        guess = GraphSgan(few).fit(parts.train, seed=seed).predict(parts.test)
        yield _row("graphsgan", f"real, {share:.0%} of labels", seed, parts.test, guess)


def balance(parts: Parts, study: Study) -> list[tuple[str, int, int, int]]:
    """Return each class with its nodes in train, in test, and in as many synthetic snapshots."""
    planned = np.bincount(_planned(parts, study, 0).ravel(), minlength=len(parts.train.classes))
    columns = (parts.train.balance(), parts.test.balance(), planned)
    counts = (column.tolist() for column in columns)
    return list(zip(parts.train.classes, *counts, strict=True))


def _row(model: str, name: str, seed: int, test: Snapshots, guess: NDArray[np.int64]) -> Row:
    every, active = quality(test.label, guess), quality(test.label, guess, test.active)
    return Row(model, name, seed, every, active)


def _planned(parts: Parts, study: Study, seed: int) -> Any:
    """Return the labels of as many snapshots as there are to learn from."""
    present = np.flatnonzero(parts.train.balance())
    names = tuple(parts.train.classes[row] for row in present)
    plan = plan_labels(
        study.config.label_plan,
        names,
        nodes=parts.train.nodes,
        snapshots=len(parts.train),
        seed=seed,
    )
    return present[plan]


def _read(path: Path, study: Study, assembly: Assembly, plugins: Plugins, target: Path) -> _Source:
    """Read the labelled flows of one source."""
    store = open_source(path, choose_reader(path, plugins), target, Phases())
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
        raise RunError(msg, where=str(path), do="Take --window-flows smaller: two windows or more.")
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
