"""Make a source ready for learning: read, label, split, fit transforms, spool windows.

After this step nothing that learns can reach a label, or a flow outside its own part of the split.
Within it, transforms that call themselves supervised can, where `run.parity` lets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvigil import protocols
from netvigil.baselines import TrainCounts
from netvigil.config import Experiment
from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.features import FeatureContract, extract, select_features
from netvigil.phases import Advance, Phases
from netvigil.pipeline import Assembly, apply_transforms, fit_transforms, pass_columns
from netvigil.plugins import Plugins
from netvigil.profile import FeatureProfile
from netvigil.protocols import Calibration
from netvigil.sources import Reading, choose_reader, open_source
from netvigil.splits import CALIBRATE, ROLES, Split, make_split
from netvigil.store import FlowStore
from netvigil.truth import ATTACK, UNKNOWN, TrainFilter, Truth, label_store, train_filter
from netvigil.windows import SpooledWindows, spool_windows


@dataclass(frozen=True)
class Prepared:
    """A source made ready: who may see what, and the windows of each part."""

    experiment: Experiment
    assembly: Assembly
    reading: Reading
    store: FlowStore
    truth: Truth
    split: Split
    trained: TrainFilter
    contract: FeatureContract
    transforms: tuple[protocols.FlowTransform, ...]
    profile: FeatureProfile
    builder: protocols.GraphBuilder
    counts: TrainCounts
    windows: Mapping[str, SpooledWindows]

    def calibration(self, score: NDArray[np.float64], *, supervised: bool) -> Calibration:
        """Return what a threshold may see; labels only where it says that it is supervised."""
        inside = self.split.role == CALIBRATE
        state = self.truth.state[inside]
        start = self.split.start_us
        return Calibration(
            score=score,
            start_us=None if start is None else start[inside],
            duration_s=self.split.duration_s("calibrate"),
            is_attack=state == ATTACK if supervised else None,
            known=state != UNKNOWN if supervised else None,
        )


def prepare(
    experiment: Experiment,
    assembly: Assembly,
    plugins: Plugins,
    *,
    work: Path,
    phases: Phases,
    test: bool = True,
) -> Prepared:
    """Read, label and split a source, fit the transforms on its train part, and spool its windows.

    Without `test` the test part is left alone, as `fit` has no use for it.

    Raises:
        SourceError: The source cannot be read.
        IncompatiblePartsError: The builder cannot work on this source.
        RunError: A part of the split is empty, or the labels match nothing.
    """
    assembly.encoder.make()  # a device that is not there is refused before a byte is read
    flows = experiment.flows
    reading = choose_reader(flows.source, plugins, name=flows.reader, options=flows.options)
    store = open_source(flows.source, reading, work / "flows.parquet", phases)
    first = next(store.batches(rows=1))
    builder: protocols.GraphBuilder = assembly.builder.make()
    builder.check(first)
    contract = select_features(
        first.table.column_names,
        first.category_names,
        feature_set=experiment.features.set,
        allow_shortcuts=experiment.features.allow_shortcuts,
    )
    truth = _truth(store, assembly, phases)
    split = make_split(experiment.split, store, classes=truth.classes())
    needed = ("train", "calibrate", "test") if test else ("train", "calibrate")
    for name in needed:
        split.require(name)
    trained = train_filter(experiment.train, split, truth)
    sample = sample_mask(trained.keep, experiment.features.fit_flows, experiment.run.seeds[0])
    with phases.phase("fit transforms", int(sample.sum())) as advance:
        transforms, profile = _fit_transforms(store, sample, assembly, contract, truth, experiment)
        advance(int(sample.sum()))
    counts = TrainCounts()
    windows = {}
    for name in needed:
        mask = trained.keep if name == "train" else split.role == ROLES[name]
        with phases.phase("transform and build", int(mask.sum())) as advance:
            batches = _watched(store.select(mask, columns=pass_columns(contract)), advance)
            windows[name] = _spool(
                _counted(batches, counts) if name == "train" else batches,
                lambda f: apply_transforms(transforms, extract(f, contract)),
                builder,
                work / f"windows-{name}",
            )
    return Prepared(
        experiment=experiment,
        assembly=assembly,
        reading=reading,
        store=store,
        truth=truth,
        split=split,
        trained=trained,
        contract=contract,
        transforms=transforms,
        profile=profile,
        builder=builder,
        counts=counts,
        windows=windows,
    )


def _truth(store: FlowStore, assembly: Assembly, phases: Phases) -> Truth:
    if assembly.labeller is None:
        return Truth.unknown(len(store))
    with phases.phase("label", len(store)) as advance:
        return label_store(store, assembly.labeller.make(), progress=advance)


def _fit_transforms(
    store: FlowStore,
    sample: NDArray[np.bool_],
    assembly: Assembly,
    contract: FeatureContract,
    truth: Truth,
    experiment: Experiment,
) -> tuple[tuple[protocols.FlowTransform, ...], FeatureProfile]:
    """Fit the transforms on a sample of the train flows; only supervised ones ask for labels."""
    flows = [flows for _, flows in store.select(sample, columns=pass_columns(contract))]
    seed = experiment.run.seeds[0]

    def labels() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        state = truth.state[sample]
        return state == ATTACK, state != UNKNOWN

    return fit_transforms(assembly.transforms, flows, contract, seed=seed, labels=labels)


def _spool(
    batches: Iterator[tuple[int, FlowTable]],
    features_of: Callable[[FlowTable], FlowFeatures],
    builder: protocols.GraphBuilder,
    folder: Path,
) -> SpooledWindows:
    spooled = spool_windows(batches, features_of, builder, folder)
    assert spooled is not None  # Split.require and train_filter refuse empty parts
    return spooled


def _watched(
    batches: Iterator[tuple[int, FlowTable]], advance: Advance
) -> Iterator[tuple[int, FlowTable]]:
    for first, flows in batches:
        yield first, flows
        advance(len(flows))


def _counted(
    batches: Iterator[tuple[int, FlowTable]], counts: TrainCounts
) -> Iterator[tuple[int, FlowTable]]:
    for first, flows in batches:
        counts.update(flows)
        yield first, flows


def sample_mask(keep: NDArray[np.bool_], most: int, seed: int) -> NDArray[np.bool_]:
    """Keep at most `most` of the kept flows, drawn uniformly."""
    rows = sample_rows(int(keep.sum()), most, seed)
    if rows is None:
        return keep
    chosen = np.zeros(len(keep), np.bool_)
    chosen[np.flatnonzero(keep)[rows]] = True
    return chosen


def sample_rows(flows: int, most: int, seed: int) -> NDArray[np.int64] | None:
    """Return `most` of `flows` row numbers, increasing, or None where all are taken."""
    if flows <= most:
        return None
    drawn = np.random.default_rng(seed).choice(flows, size=most, replace=False, shuffle=False)
    return np.sort(drawn)
