"""Fit and score, one seed at a time: the method, the scorers beside it, and the baselines.

Nothing here sees a label, except a threshold whose part says that it is supervised. Classifiers are
fitted in `netvigil.supervise`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvigil import parts, protocols
from netvigil.contracts import EncodedFlows, WindowGraphs
from netvigil.cuts import follow
from netvigil.phases import Advance, Phases
from netvigil.pipeline import Chosen, Pipeline, encode_checked
from netvigil.prepare import HELD_OUT, Prepared, sample_rows
from netvigil.seeds import Kind, MethodRun, SeedResults
from netvigil.splits import CALIBRATE, TEST
from netvigil.windows import SpooledWindows

Encode = Callable[[WindowGraphs], EncodedFlows]


@dataclass
class Learnt:
    """One seed's encoder with the encoding that scorers are fitted on."""

    encoder: protocols.Encoder
    train: EncodedFlows
    fit_s: float
    held_out: EncodedFlows | None = None


def learn(
    prepared: Prepared, seed: int, phases: Phases, *, checkpoints: Path | None = None
) -> Learnt:
    """Fit the encoder on the train windows and encode (a seeded sample of) them.

    An encoder that trains for long goes on from what it left in the folder `checkpoints`.
    """
    chosen, windows = prepared.assembly.encoder, prepared.windows["train"]
    encoder: protocols.Encoder = chosen.make()
    begin = time.perf_counter()
    if not (isinstance(chosen.part, parts.Encoder) and chosen.part.passes == "none"):
        with watched(encoder, windows.flows, seed, phases, "fit encoder", checkpoints):
            encoder = encoder.fit(windows, seed=seed)
    else:
        encoder = encoder.fit(windows, seed=seed)
    took = time.perf_counter() - begin
    rows = sample_rows(windows.flows, prepared.experiment.features.fit_flows, seed)
    with phases.phase("encode train", windows.flows) as advance:
        train = encode_rows(lambda w: encode_checked(encoder, chosen.name, w), windows, rows)
        advance(windows.flows)
    held_out = _encode_held_out(prepared, encoder, seed)
    if held_out is not None and isinstance(encoder, protocols.Refits):
        encoder = encoder.refit(prepared.whole_train, seed=seed)
    return Learnt(encoder, train, took, held_out)


def _encode_held_out(
    prepared: Prepared, encoder: protocols.Encoder, seed: int
) -> EncodedFlows | None:
    """Encode (a seeded sample of) the train flows that were held out, where there are any."""
    windows, name = prepared.windows.get(HELD_OUT), prepared.assembly.encoder.name
    if windows is None:
        return None
    rows = sample_rows(windows.flows, prepared.experiment.features.fit_flows, seed)
    return encode_rows(lambda w: encode_checked(encoder, name, w), windows, rows)


@contextmanager
def watched(
    part: object, flows: int, seed: int, phases: Phases, name: str, checkpoints: Path | None
) -> Iterator[None]:
    """Show a fit as a phase; a part that trains for long reports itself and keeps checkpoints."""
    if not isinstance(part, protocols.Watched):
        with phases.phase(name, flows) as advance:
            yield
            advance(flows)
        return

    def write(**values: object) -> None:
        phases.write(**{"seed": seed} | values)

    with phases.phase(name, flows * part.passes) as advance:
        part.watch(protocols.Watch(advance, write, checkpoints))
        yield


def fit_pipeline(prepared: Prepared, seed: int, phases: Phases) -> Pipeline:
    """Fit everything for one seed, threshold included."""
    learnt = learn(prepared, seed, phases)
    task = next(_tasks(prepared, learnt, seed))
    scorer, _ = _fit_scorer(task, seed, phases)
    calibrate = prepared.windows["calibrate"]
    with phases.phase("score", calibrate.flows) as advance:
        score = _score(scorer, task.encode, calibrate, advance)
    threshold = fit_threshold(prepared, score, seed)
    assert threshold is not None
    return make_pipeline(prepared, learnt.encoder, scorer, threshold, seed)


def make_pipeline(
    prepared: Prepared,
    encoder: protocols.Encoder,
    scorer: protocols.Scorer,
    threshold: protocols.Threshold,
    seed: int,
) -> Pipeline:
    """Put fitted parts together as what a bundle carries."""
    return Pipeline(
        contract=prepared.contract,
        info=prepared.store.info,
        assembly=prepared.assembly,
        transforms=prepared.transforms,
        builder=prepared.builder,
        encoder=encoder,
        scorer=scorer,
        threshold=threshold,
        counts=prepared.counts,
        profile=prepared.profile,
        seed=seed,
        reader=prepared.reading.reader.describe(),
    )


def run_seed(
    prepared: Prepared,
    seed: int,
    phases: Phases,
    *,
    save: Callable[[Pipeline], None] | None = None,
    checkpoints: Path | None = None,
) -> SeedResults:
    """Fit and score the method, the scorers beside it and the baselines on raw features, one seed.

    With the first of the experiment's seeds every scorer is run, and `save` is called with the
    fitted pipeline of the experiment's own scorer; with the others only those in which something is
    random. `checkpoints` is a folder of this seed's own, see `learn`.
    """
    learnt = learn(prepared, seed, phases, checkpoints=checkpoints)
    results = []
    for task in _wanted(prepared, _tasks(prepared, learnt, seed), seed):
        scorer, threshold, run = _run(prepared, task, seed, phases)
        results.append(run)
        if save is not None and task.kind == "method":
            assert threshold is not None
            save(make_pipeline(prepared, learnt.encoder, scorer, threshold, seed))
    results += run_baselines(prepared, seed, phases)
    # Encoders that train on a GPU say its name; the others have no such word.
    return SeedResults(seed, tuple(results), getattr(learnt.encoder, "accelerator", None))


def run_baselines(prepared: Prepared, seed: int, phases: Phases) -> list[MethodRun]:
    """Fit and score the raw-feature baselines, with later seeds those that draw random numbers."""
    tasks = _wanted(prepared, _baselines(prepared, seed), seed)
    return [_run(prepared, task, seed, phases)[2] for task in tasks]


def _wanted(prepared: Prepared, tasks: Iterable[_Task], seed: int) -> Iterator[_Task]:
    first = seed == prepared.experiment.run.seeds[0]
    return (task for task in tasks if first or task.seeded)


def _run(
    prepared: Prepared, task: _Task, seed: int, phases: Phases
) -> tuple[protocols.Scorer, protocols.Threshold | None, MethodRun]:
    """Fit one scorer, score both later parts with it, and set its cut."""
    scorer, fit_s = _fit_scorer(task, seed, phases)
    with phases.phase("score", _to_score(prepared)) as advance:
        begin = time.perf_counter()
        calibrate, test = (
            _score(scorer, task.encode, prepared.windows[part], advance)
            for part in ("calibrate", "test")
        )
        took = time.perf_counter() - begin
    threshold = fit_threshold(prepared, calibrate, seed, kind=task.kind)
    run = MethodRun(
        method=task.name,
        kind=task.kind,
        calibrate=calibrate,
        test=test,
        cut=None if threshold is None else threshold.cut_,
        provenance=NO_CUT if threshold is None else threshold.provenance(),
        seeded=task.seeded,
        fit_s=task.before_s + fit_s,
        score_s=took,
        cuts=moving_cuts(prepared, threshold, test),
        clusters=_clusters(scorer, task.encode, prepared.windows["test"]),
    )
    return scorer, threshold, run


def run_rules(prepared: Prepared, phases: Phases) -> SeedResults:
    """Score calibrate and test by novelty and rarity of endpoints, and by the all-benign rule."""
    with phases.phase("score", _to_score(prepared)) as advance:
        begin = time.perf_counter()
        scores: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
        for part, role in (("calibrate", CALIBRATE), ("test", TEST)):
            mask = prepared.split.role == role
            for _, flows in prepared.store.select(mask, columns=_RULE_COLUMNS):
                for rule, score in prepared.counts.scores(flows).items():
                    scores.setdefault(rule, {}).setdefault(part, []).append(score)
                advance(len(flows))
        took = time.perf_counter() - begin
    results = []
    for rule, pieces in scores.items():
        calibrate, test = _whole(pieces.get("calibrate", [])), _whole(pieces["test"])
        threshold = fit_threshold(prepared, calibrate, 0, kind="baseline")
        results.append(
            MethodRun(
                method=rule,
                kind="baseline",
                calibrate=calibrate,
                test=test,
                cut=None if threshold is None else threshold.cut_,
                provenance=NO_CUT if threshold is None else threshold.provenance(),
                seeded=False,
                fit_s=None,
                score_s=took / len(scores),
                cuts=moving_cuts(prepared, threshold, test),
            )
        )
    return SeedResults(None, tuple(results))


_RULE_COLUMNS = ["flow_id", "src_ip", "dst_ip", "src_port", "dst_port", "protocol"]


@dataclass(frozen=True)
class _Task:
    """A scorer to fit and what it reads: the encoding, or the plain features for a baseline."""

    name: str
    kind: Kind
    chosen: Chosen
    train: EncodedFlows
    encode: Encode
    seeded: bool
    before_s: float = 0.0
    held_out: EncodedFlows | None = None


def _tasks(prepared: Prepared, learnt: Learnt, seed: int) -> Iterator[_Task]:
    """Yield the experiment's method, then the scorers beside it."""
    assembly, windows = prepared.assembly, prepared.windows["train"]
    encoder = assembly.encoder
    rows = sample_rows(windows.flows, prepared.experiment.features.fit_flows, seed)
    random_encoding = _random_encoder(encoder) or rows is not None

    def encode(batch: WindowGraphs) -> EncodedFlows:
        return encode_checked(learnt.encoder, encoder.name, batch)

    named = (assembly.scorer, *assembly.also)
    for chosen in named:
        yield _Task(
            name=f"{encoder.row} + {chosen.row}",
            kind="method" if chosen is assembly.scorer else "also",
            chosen=chosen,
            train=learnt.train,
            encode=encode,
            seeded=random_encoding or _random_scorer(chosen),
            before_s=learnt.fit_s,
            held_out=learnt.held_out,
        )


def _baselines(prepared: Prepared, seed: int) -> Iterator[_Task]:
    """Yield the raw-feature baselines that are no row of the table already."""
    assembly = prepared.assembly
    raw = assembly.encoder.name == "raw"
    shown = [(c.name, c.config) for c in (assembly.scorer, *assembly.also)] if raw else []
    wanted = [c for c in assembly.baselines if (c.name, c.config) not in shown]
    if not wanted:
        return
    # Baselines need no calibration, so nothing is held out from them.
    whole = prepared.whole_train
    rows = sample_rows(whole.flows, prepared.experiment.features.fit_flows, seed)
    train = encode_rows(_plain, whole, rows)
    for chosen in wanted:
        seeded = rows is not None or _random_scorer(chosen)
        yield _Task(f"raw + {chosen.row}", "baseline", chosen, train, _plain, seeded)


def _random_encoder(chosen: Chosen) -> bool:
    part = chosen.part
    return not (isinstance(part, parts.Encoder) and (part.passes == "none" or not part.seeded))


def _random_scorer(chosen: Chosen) -> bool:
    return isinstance(chosen.part, parts.Scorer) and chosen.part.seeded


def _fit_scorer(task: _Task, seed: int, phases: Phases) -> tuple[protocols.Scorer, float]:
    """Fit a scorer; what `make` imports is not counted as fitting."""
    scorer: protocols.Scorer = task.chosen.make()
    begin = time.perf_counter()
    with phases.phase("fit scorer", len(task.train)) as advance:
        scorer = scorer.fit(task.train, seed=seed)
        if isinstance(scorer, protocols.CalibratedScorer):
            assert task.held_out is not None  # the part says `calibrated`: see prepare
            scorer = scorer.calibrate(task.held_out, seed=seed)
        advance(len(task.train))
    return scorer, time.perf_counter() - begin


def _score(
    scorer: protocols.Scorer, encode: Encode, windows: SpooledWindows, advance: Advance
) -> NDArray[np.float64]:
    pieces = []
    for batch in windows:
        pieces.append(scorer.score(encode(batch)).score)
        advance(len(batch.flow_id))
    return _whole(pieces)


def _whole(pieces: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(pieces) if pieces else np.empty(0)  # there may be no calibration part


def _clusters(
    scorer: protocols.Scorer, encode: Encode, windows: SpooledWindows
) -> NDArray[np.int64] | None:
    """Return the cluster of each flow, for the few scorers that make clusters."""
    if not isinstance(scorer, protocols.Clustering):
        return None
    return np.concatenate([scorer.clusters(encode(batch)) for batch in windows])


def _plain(windows: WindowGraphs) -> EncodedFlows:
    starts = np.repeat(windows.window_start, np.diff(windows.flow_ptr))
    return EncodedFlows(windows.flow_id, starts, embedding=windows.flow_x)


def encode_rows(
    encode: Encode, windows: Iterable[WindowGraphs], rows: NDArray[np.int64] | None
) -> EncodedFlows:
    """Encode all windows, batch by batch, and keep the chosen rows (all where None).

    Shapes:
        rows: int64, increasing numbers of flows of all windows
    """
    pieces, offset = [], 0
    for batch in windows:
        encoded = encode(batch)
        last = offset + len(encoded)
        if rows is not None:
            low, high = np.searchsorted(rows, (offset, last))
            encoded = encoded.take(rows[low:high] - offset)
        pieces.append(encoded)
        offset = last
    return EncodedFlows.concat(pieces)


def fit_threshold(
    prepared: Prepared, score: NDArray[np.float64], seed: int, *, kind: Kind = "method"
) -> protocols.Threshold | None:
    """Set a cut on the calibration part's scores.

    A baseline gets none where the threshold looks at no score: a cut given by hand was meant for
    the scores of the method.
    """
    part = prepared.assembly.threshold.part
    assert isinstance(part, parts.Threshold)
    if kind == "baseline" and not part.needs_scores:
        return None
    calibration = prepared.calibration(score, supervised=part.supervised)
    threshold: protocols.Threshold = prepared.assembly.threshold.make()
    return threshold.fit(calibration, seed=seed)


NO_CUT = "No cut: it was given by hand for the scores of the method."


def moving_cuts(
    prepared: Prepared, threshold: protocols.Threshold | None, score: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the cut of each test flow where it moves, from these scores of the test part."""
    if threshold is None:
        return None
    start = prepared.split.start_us
    when = None if start is None else start[prepared.split.role == TEST]
    cuts = follow(threshold)(when, score)
    return cuts if isinstance(cuts, np.ndarray) else None


def _to_score(prepared: Prepared) -> int:
    return prepared.windows["calibrate"].flows + prepared.windows["test"].flows
