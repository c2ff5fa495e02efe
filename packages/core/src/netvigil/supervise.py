"""Fit and score classifiers, one seed at a time: the sibling of `netvigil.learn` that reads labels.

A classifier gets the labels of the train part and of nothing else. What is computed without labels
beside it, the baselines, is left to `netvigil.learn`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import parts, protocols
from netvigil.classes import AttackProbability, Classes, class_names, probabilities
from netvigil.contracts import EncodedFlows, LabelTable
from netvigil.errors import ContractError
from netvigil.generators import Lesson, lesson_of
from netvigil.learn import fit_threshold, make_pipeline, moving_cuts, run_baselines, watched
from netvigil.phases import Advance, Phases
from netvigil.pipeline import Chosen, Pipeline, encode_checked
from netvigil.prepare import Prepared
from netvigil.seeds import MethodRun, SeedResults
from netvigil.truth import UNKNOWN


def train_labels(prepared: Prepared) -> LabelTable:
    """Return the labels of the known train flows; where classes are binary no attack has a name."""
    ids = np.asarray(prepared.windows["train"].whole.flow_id)
    keep, truth = prepared.trained.keep, prepared.truth
    known = keep & (truth.state != UNKNOWN)
    aligned = truth.aligned(known)
    names = pa.nulls(len(aligned.attack), pa.string()) if _binary(prepared) else aligned.attack
    return LabelTable.of(ids[known[keep]], aligned.is_attack, pa.array(names, pa.string()))


def fit_pipeline(prepared: Prepared, seed: int, phases: Phases) -> Pipeline:
    """Fit everything for one seed, threshold included."""
    chosen = prepared.assembly.classifier
    assert chosen is not None
    lesson = lesson_of(prepared, train_labels(prepared), seed, phases)
    classifier, _ = _fit(chosen, lesson, seed, phases, None)
    with phases.phase("score", prepared.windows["calibrate"].flows) as advance:
        score = _classified(prepared, chosen, classifier, "calibrate", advance).score
    threshold = fit_threshold(prepared, score, seed)
    assert threshold is not None
    return _pipeline(prepared, classifier, threshold, seed)


def run_seed(
    prepared: Prepared,
    seed: int,
    phases: Phases,
    *,
    save: Callable[[Pipeline], None] | None = None,
    checkpoints: Path | None = None,
) -> SeedResults:
    """Fit and score the classifier, those beside it and the raw-feature baselines for one seed.

    With the first of the experiment's seeds every one of them is run, and `save` is called with the
    fitted pipeline of the experiment's own classifier; with the others only those in which
    something is random. `checkpoints` is a folder of this seed's own.

    Raises:
        ContractError: The train part has one class only.
    """
    assembly, labels = prepared.assembly, train_labels(prepared)
    assert assembly.classifier is not None
    class_names(labels)  # one class only is refused before anything is made
    lesson = lesson_of(prepared, labels, seed, phases)
    first = seed == prepared.experiment.run.seeds[0]
    results, accelerator = [], None
    for number, chosen in enumerate((assembly.classifier, *assembly.also)):
        if not (first or _random(prepared, chosen)):
            continue
        folder = None if checkpoints is None else checkpoints / str(number)
        classifier, fit_s = _fit(chosen, lesson, seed, phases, folder)
        threshold, run = _judgeable(prepared, chosen, classifier, seed, phases, fit_s=fit_s)
        results.append(run)
        if number == 0:
            accelerator = getattr(classifier, "accelerator", None)
            if save is not None:
                save(_pipeline(prepared, classifier, threshold, seed))
    results += run_baselines(prepared, seed, phases)
    return SeedResults(seed, tuple(results), accelerator)


def _fit(
    chosen: Chosen, lesson: Lesson, seed: int, phases: Phases, checkpoints: Path | None
) -> tuple[protocols.Classifier, float]:
    """Fit a classifier and say how long it took."""
    class_names(lesson.labels)  # one class only is refused before anything is made
    classifier: protocols.Classifier = chosen.make()
    begin = time.perf_counter()
    with watched(classifier, lesson.flows, seed, phases, "fit classifier", checkpoints):
        classifier = classifier.fit(lesson.windows, lesson.labels, seed=seed)
    return classifier, time.perf_counter() - begin


def _judgeable(
    prepared: Prepared,
    chosen: Chosen,
    classifier: protocols.Classifier,
    seed: int,
    phases: Phases,
    *,
    fit_s: float,
) -> tuple[protocols.Threshold, MethodRun]:
    """Score both later parts with a fitted classifier, set its cut, and keep what it says."""
    flows = sum(prepared.windows[part].flows for part in ("calibrate", "test"))
    with phases.phase("score", flows) as advance:
        begin = time.perf_counter()
        calibrate, test = (
            _classified(prepared, chosen, classifier, part, advance)
            for part in ("calibrate", "test")
        )
        took = time.perf_counter() - begin
    threshold = fit_threshold(prepared, calibrate.score, seed)
    assert threshold is not None
    run = MethodRun(
        method=_row(prepared, chosen),
        kind="method" if chosen is prepared.assembly.classifier else "also",
        calibrate=calibrate.score,
        test=test.score,
        cut=threshold.cut_,
        provenance=threshold.provenance(),
        seeded=_random(prepared, chosen),
        fit_s=fit_s,
        score_s=took,
        cuts=moving_cuts(prepared, threshold, test.score),
        classes=test.names,
        binary=_binary(prepared),
        share=test.share,
    )
    return threshold, run


class _Classified(NamedTuple):
    """What a classifier says of one part: score [flows], share [flows, classes], their names."""

    score: NDArray[np.float64]
    share: NDArray[np.float32]
    names: tuple[str, ...]


def _classified(
    prepared: Prepared,
    chosen: Chosen,
    classifier: protocols.Classifier,
    part: str,
    advance: Advance,
) -> _Classified:
    pieces = []
    for batch in prepared.windows[part]:
        pieces.append(encode_checked(Classes(classifier), chosen.name, batch))
        advance(len(batch.flow_id))
    if not pieces:  # there may be no calibration part
        return _Classified(np.empty(0), np.empty((0, 0), np.float32), ())
    encoded = EncodedFlows.concat(pieces)
    share = probabilities(encoded)
    if share.min() < 0 or np.abs(share.sum(axis=1) - 1).max() > 1e-3:
        msg = f"The probabilities of classifier '{chosen.name}' do not add up to 1."
        raise ContractError(msg, do="Each must be from 0 to 1, one for every class.")
    score = AttackProbability(parts.NoConfig()).score(encoded).score
    return _Classified(score, share, tuple(encoded.terms))


def _pipeline(
    prepared: Prepared,
    classifier: protocols.Classifier,
    threshold: protocols.Threshold,
    seed: int,
) -> Pipeline:
    scorer = AttackProbability(parts.NoConfig())
    return make_pipeline(prepared, Classes(classifier), scorer, threshold, seed)


def _random(prepared: Prepared, chosen: Chosen) -> bool:
    """Say whether other seeds give other results; generated flows are drawn anew with each."""
    augmented = prepared.assembly.augment is not None
    return augmented or (isinstance(chosen.part, parts.Classifier) and chosen.part.seeded)


def _row(prepared: Prepared, chosen: Chosen) -> str:
    """Return what tables call a classifier: they say who made flows for it to learn from."""
    augment = prepared.assembly.augment
    return chosen.row if augment is None else f"{chosen.row} (augmented by {augment.row})"


def _binary(prepared: Prepared) -> bool:
    section = prepared.experiment.classifier
    return section is not None and section.classes == "binary"
