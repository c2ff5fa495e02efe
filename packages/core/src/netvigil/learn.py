"""Fit and score, one seed at a time: the experiment's method, the scorers beside it, and the baselines.

Nothing here sees a label, except a threshold whose part says that it is supervised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvigil import parts, protocols
from netvigil.contracts import EncodedFlows, WindowGraphs
from netvigil.phases import Advance, Phases
from netvigil.pipeline import Chosen, Pipeline, encode_checked
from netvigil.prepare import Prepared, sample_rows
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


def learn(prepared: Prepared, seed: int, phases: Phases) -> Learnt:
    """Fit the encoder on the train windows and encode (a seeded sample of) them."""
    part = prepared.assembly.encoder.part
    assert isinstance(part, parts.Encoder)
    windows = prepared.windows["train"]
    begin = time.perf_counter()
    encoder: protocols.Encoder = prepared.assembly.encoder.make()
    with phases.phase("fit encoder", windows.flows) as advance:
        encoder = encoder.fit(windows, seed=seed)
        advance(windows.flows)
    took = time.perf_counter() - begin
    rows = sample_rows(windows.flows, prepared.experiment.features.fit_flows, seed)
    with phases.phase("encode train", windows.flows) as advance:
        train = _encode_rows(encoder, part.name, windows, rows)
        advance(windows.flows)
    return Learnt(encoder, train, took)


def fit_pipeline(prepared: Prepared, seed: int, phases: Phases) -> Pipeline:
    """Fit everything for one seed, threshold included."""
    learnt = learn(prepared, seed, phases)
    scorer: protocols.Scorer = prepared.assembly.scorer.make()
    with phases.phase("fit scorer", len(learnt.train)) as advance:
        scorer = scorer.fit(learnt.train, seed=seed)
        advance(len(learnt.train))
    encoder = prepared.assembly.encoder.name
    method = _Method(
        "", "method", scorer, lambda w: encode_checked(learnt.encoder, encoder, w), 0.0
    )
    calibrate = prepared.windows["calibrate"]
    with phases.phase("score", calibrate.flows) as advance:
        score = _score(method, calibrate, advance)
    threshold = _fit_threshold(prepared, score, seed)
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
    )


def run_seed(
    prepared: Prepared, seed: int, phases: Phases, *, save: Callable[[Pipeline], None] | None = None
) -> SeedResults:
    """Fit and score the method, the scorers beside it and the raw-feature baselines for one seed.

    `save` is called once with the fitted pipeline of the experiment's own scorer.
    """
    learnt = learn(prepared, seed, phases)
    results = []
    for method in _methods(prepared, learnt, seed, phases):
        with phases.phase("score", _to_score(prepared)) as advance:
            begin = time.perf_counter()
            calibrate, test = (
                _score(method, prepared.windows[part], advance) for part in ("calibrate", "test")
            )
            took = time.perf_counter() - begin
        threshold = _fit_threshold(prepared, calibrate, seed)
        results.append(
            MethodRun(
                method=method.name,
                kind=method.kind,
                calibrate=calibrate,
                test=test,
                cut=threshold.cut_,
                provenance=threshold.provenance(),
                fit_s=method.fit_s,
                score_s=took,
            )
        )
        if save is not None and method.kind == "method":
            save(make_pipeline(prepared, learnt.encoder, method.scorer, threshold, seed))
    return SeedResults(seed, tuple(results))


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
        calibrate = np.concatenate(pieces["calibrate"])
        threshold = _fit_threshold(prepared, calibrate, 0)
        results.append(
            MethodRun(
                method=rule,
                kind="baseline",
                calibrate=calibrate,
                test=np.concatenate(pieces["test"]),
                cut=threshold.cut_,
                provenance=threshold.provenance(),
                fit_s=None,
                score_s=took / len(scores),
            )
        )
    return SeedResults(None, tuple(results))


_RULE_COLUMNS = ["flow_id", "src_ip", "dst_ip", "src_port", "dst_port", "protocol"]


@dataclass
class _Method:
    """A fitted scorer and what it scores: the encoding, or the plain features for a baseline."""

    name: str
    kind: Kind
    scorer: protocols.Scorer
    encode: Encode
    fit_s: float


def _score(method: _Method, windows: SpooledWindows, advance: Advance) -> NDArray[np.float64]:
    pieces = []
    for batch in windows:
        pieces.append(method.scorer.score(method.encode(batch)).score)
        advance(len(batch.flow_id))
    return np.concatenate(pieces)


def _methods(prepared: Prepared, learnt: Learnt, seed: int, phases: Phases) -> Iterator[_Method]:
    """Yield the experiment's method, then the scorers beside it, then the raw-feature baselines."""
    assembly = prepared.assembly
    encoder = assembly.encoder

    def encode(windows: WindowGraphs) -> EncodedFlows:
        return encode_checked(learnt.encoder, encoder.name, windows)

    for chosen in (assembly.scorer, *assembly.also):
        kind: Kind = "method" if chosen is assembly.scorer else "also"
        yield _fit_scorer(
            _label(encoder, chosen), kind, chosen, learnt.train, encode, seed, phases, learnt.fit_s
        )
    taken = [(c.name, c.config) for c in (assembly.scorer, *assembly.also)]
    raw = prepared.windows["train"]
    rows = sample_rows(raw.flows, prepared.experiment.features.fit_flows, seed)
    wanted = [
        c for c in assembly.baselines if encoder.name != "raw" or (c.name, c.config) not in taken
    ]
    train = _plain_rows(raw, rows) if wanted else None
    for chosen in wanted:
        assert train is not None
        yield _fit_scorer(
            f"raw + {chosen.name}", "baseline", chosen, train, _plain, seed, phases, 0.0
        )


def _label(encoder: Chosen, scorer: Chosen) -> str:
    return f"{encoder.name} + {scorer.name}"


def _fit_scorer(
    name: str,
    kind: Kind,
    chosen: Chosen,
    train: EncodedFlows,
    encode: Encode,
    seed: int,
    phases: Phases,
    before_s: float,
) -> _Method:
    begin = time.perf_counter()
    with phases.phase("fit scorer", len(train)) as advance:
        scorer: protocols.Scorer = chosen.make().fit(train, seed=seed)
        advance(len(train))
    return _Method(name, kind, scorer, encode, before_s + time.perf_counter() - begin)


def _plain(windows: WindowGraphs) -> EncodedFlows:
    starts = np.repeat(windows.window_start, np.diff(windows.flow_ptr))
    return EncodedFlows(windows.flow_id, starts, embedding=windows.flow_x)


def _plain_rows(windows: SpooledWindows, rows: NDArray[np.int64] | None) -> EncodedFlows:
    whole = _plain(windows.whole)
    return whole if rows is None else whole.take(rows)


def _encode_rows(
    encoder: protocols.Encoder, name: str, windows: SpooledWindows, rows: NDArray[np.int64] | None
) -> EncodedFlows:
    """Encode all windows and keep the chosen rows (all where None)."""
    pieces, offset = [], 0
    for batch in windows:
        encoded = encode_checked(encoder, name, batch)
        if rows is not None:
            low, high = np.searchsorted(rows, (offset, offset + len(encoded)))
            inside = rows[low:high] - offset
            offset += len(encoded)
            encoded = encoded.take(inside)
        pieces.append(encoded)
    return EncodedFlows.concat(pieces)


def _fit_threshold(
    prepared: Prepared, score: NDArray[np.float64], seed: int
) -> protocols.Threshold:
    part = prepared.assembly.threshold.part
    assert isinstance(part, parts.Threshold)
    calibration = prepared.calibration(score, supervised=part.supervised)
    threshold: protocols.Threshold = prepared.assembly.threshold.make()
    return threshold.fit(calibration, seed=seed)


def _to_score(prepared: Prepared) -> int:
    return prepared.windows["calibrate"].flows + prepared.windows["test"].flows
