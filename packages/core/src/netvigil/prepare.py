"""Make a source ready for learning: read, label, split, fit transforms, spool windows.

After this step nothing that learns without labels can reach one, or a flow outside its own part of
the split. Within it, transforms that call themselves supervised can, for classifiers and at parity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvigil import protocols
from netvigil.baselines import TrainCounts
from netvigil.config import Experiment
from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.errors import RunError
from netvigil.features import FeatureContract, extract, select_features
from netvigil.phases import Advance, Phases
from netvigil.pipeline import (
    Assembly,
    Lesson,
    apply_transforms,
    fit_transforms,
    pass_columns,
)
from netvigil.plugins import Plugins
from netvigil.profile import FeatureProfile
from netvigil.protocols import Calibration
from netvigil.sources import Reading, SourceRows, choose_reader, open_sources
from netvigil.splits import CALIBRATE, ROLES, TRAIN, Split, make_split
from netvigil.store import FlowStore
from netvigil.truth import ATTACK, UNKNOWN, TrainFilter, Truth, label_store, train_filter
from netvigil.windows import ChainedWindows, SpooledWindows, spool_windows

HELD_OUT = "held_out"


@dataclass(frozen=True)
class Prepared:
    """A source made ready: who may see what, and the windows of each part.

    `sources` are the one or two sources in the store, the tested one last.
    """

    experiment: Experiment
    assembly: Assembly
    reading: Reading
    sources: tuple[SourceRows, ...]
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

    @property
    def whole_train(self) -> ChainedWindows:
        """The windows of the train part, what is held out of it for calibrated scorers included."""
        found = (self.windows.get(name) for name in ("train", HELD_OUT))
        return ChainedWindows(tuple(windows for windows in found if windows is not None))

    def calibration(self, score: NDArray[np.float64], *, supervised: bool) -> Calibration:
        """Return what a threshold may see; labels only where it says that it is supervised.

        Raises:
            RunError: Labelled attacks are to be left out, and nothing else is there.
        """
        inside = self.split.role == CALIBRATE
        state = self.truth.state[inside]
        if self.experiment.train.benign_calibration:
            kept = state != ATTACK
            inside[inside] = kept
            score, state = score[kept], state[kept]
            if not len(score):
                msg = "Every flow of the calibration part is an attack: nothing can set the cut."
                do = "Move the split, or set train.benign_calibration = false."
                raise RunError(msg, where="[train] benign_calibration", do=do)
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
    paths = list(flows.sources().values())[: None if test else 1]
    store, sources = open_sources(paths, reading, work / "flows.parquet", phases)
    first = next(store.batches(rows=1))
    builder: protocols.GraphBuilder = assembly.builder.make()
    builder.check(first)
    contract = _contract(first, experiment)
    truth = _truth(store, assembly, phases)
    tested = _tested(store, sources, truth, assembly)
    split = make_split(experiment.split, store, classes=truth.classes(), tested=tested)
    needed = _needed(experiment, split, test=test)
    trained = train_filter(experiment.train, split, truth)
    sample = _fit_sample(experiment, trained.keep)
    with phases.phase("fit transforms", int(sample.sum())) as advance:
        transforms, profile = fit_transforms(
            assembly.transforms,
            _flows(store, sample, contract),
            contract,
            seed=experiment.run.seeds[0],
            lesson=partial(_lesson, store, experiment, contract, split, truth),
        )
        advance(int(sample.sum()))
    counts = TrainCounts()
    masks = {name: split.role == ROLES[name] for name in needed}
    masks |= _train_masks(trained.keep, experiment.train.hold_out if assembly.calibrated else 0.0)
    windows = {}
    for name, mask in masks.items():
        with phases.phase("transform and build", int(mask.sum())) as advance:
            batches = _watched(store.select(mask, columns=pass_columns(contract)), advance)
            batches = _counted(batches, counts) if name in {"train", HELD_OUT} else batches
            windows[name] = _spool(batches, contract, transforms, builder, work / f"windows-{name}")
    windows.setdefault("calibrate", SpooledWindows(windows["train"].whole[0:0]))  # of no flow
    return Prepared(
        experiment=experiment,
        assembly=assembly,
        reading=reading,
        sources=sources,
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


def _needed(experiment: Experiment, split: Split, *, test: bool) -> list[str]:
    """Name the parts that are used; none of them may be empty."""
    calibrated = experiment.split.protocol == "ranges" or experiment.split.calibrate > 0
    needed = ["train", *["calibrate"] * calibrated, *["test"] * test]
    for name in needed:
        split.require(name)
    return needed


def _contract(first: FlowTable, experiment: Experiment) -> FeatureContract:
    """Choose the features of a source by its first flow."""
    return select_features(
        first.table.column_names,
        first.category_names,
        feature_set=experiment.features.set,
        allow_shortcuts=experiment.features.allow_shortcuts,
        origin_us=int(first.start_us[0]) if first.info.time_basis == "clock" else None,
    )


def _train_masks(keep: NDArray[np.bool_], share: float) -> dict[str, NDArray[np.bool_]]:
    """Return which flows to fit on, and where a share is held out, the latest that make it up.

    Raises:
        RunError: There are too few train flows to hold any out.
    """
    if not share:
        return {"train": keep}
    rows = np.flatnonzero(keep)
    held = round(share * len(rows))
    if not 0 < held < len(rows):
        msg = f"A scorer wants {share:.0%} of {len(rows):,} train flows held out, which is none."
        raise RunError(msg, where="[train] hold_out", do="Widen the train part.")
    masks = {name: np.zeros(len(keep), np.bool_) for name in ("train", HELD_OUT)}
    masks["train"][rows[:-held]] = True
    masks[HELD_OUT][rows[-held:]] = True
    return masks


def _truth(store: FlowStore, assembly: Assembly, phases: Phases) -> Truth:
    if assembly.labeller is None:
        return Truth.unknown(len(store))
    with phases.phase("label", len(store)) as advance:
        return label_store(store, assembly.labeller.make(), progress=advance)


def _tested(
    store: FlowStore, sources: tuple[SourceRows, ...], truth: Truth, assembly: Assembly
) -> NDArray[np.bool_] | None:
    """Return which flows are the test source's, bool [flows]; None without such a source.

    Raises:
        RunError: Something labels the flows, but none of these: truth that finds flows by their id
            knows those of one source only.
    """
    if len(sources) == 1:
        return None
    tested: NDArray[np.bool_] = store.column("flow_id").to_numpy() >= sources[-1].first_id
    if assembly.labeller is not None and not truth.state[tested].any():
        msg = "The labels say nothing about any flow of the test source."
        do = "Label both sources by one rule; a label table knows the flow ids of one source only."
        raise RunError(msg, where=str(sources[-1].source), do=do)
    return tested


def _fit_sample(experiment: Experiment, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the flows that transforms are fitted on: of `keep`, or at parity of all of them."""
    wanted = np.ones_like(keep) if experiment.features.fit_on == "all" else keep
    return sample_mask(wanted, experiment.features.fit_flows, experiment.run.seeds[0])


def _lesson(
    store: FlowStore,
    experiment: Experiment,
    contract: FeatureContract,
    split: Split,
    truth: Truth,
) -> Lesson:
    """Read what supervised transforms learn from: the whole train part, filtered or not."""
    sample = _fit_sample(experiment, split.role == TRAIN)
    state = truth.state[sample]
    return Lesson(_flows(store, sample, contract), state == ATTACK, state != UNKNOWN)


def _flows(
    store: FlowStore, chosen: NDArray[np.bool_], contract: FeatureContract
) -> list[FlowTable]:
    return [flows for _, flows in store.select(chosen, columns=pass_columns(contract))]


def _spool(
    batches: Iterator[tuple[int, FlowTable]],
    contract: FeatureContract,
    transforms: tuple[protocols.FlowTransform, ...],
    builder: protocols.GraphBuilder,
    folder: Path,
) -> SpooledWindows:
    def features_of(flows: FlowTable) -> FlowFeatures:
        return apply_transforms(transforms, extract(flows, contract))

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
