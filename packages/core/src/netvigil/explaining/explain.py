"""`explain`: rebuild the windows of a run's highest alerts, and ask explainers about them.

What is explained is what the run scored: the same flows, the same windows, the same scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from netvigil import parts
from netvigil.bundle import load_bundle
from netvigil.contracts import FlowTable, WindowGraphs
from netvigil.errors import ConfigError, RunError
from netvigil.explaining.choose import Made, by_name, fitting
from netvigil.explaining.opening import Scored, find_sources, open_run, recorded_scores
from netvigil.explaining.results import (
    ExplainedFlow,
    ExplainerUse,
    Explanations,
    SourceUse,
    summary,
)
from netvigil.explaining.telling import tell
from netvigil.explaining.words import COLUMNS
from netvigil.outputs import walk
from netvigil.phases import Phases
from netvigil.pipeline import Chosen, Pipeline, encode_checked
from netvigil.plugins import Plugins
from netvigil.protocols import Scoring
from netvigil.runner import require_fit
from netvigil.sources import choose_reader, open_sources
from netvigil.store import FlowStore


@dataclass(frozen=True)
class Request:
    """What is asked: the `top` highest alerts, or the flows named; by which explainers.

    `settings` are `explainer.key=value`.
    """

    top: int = 20
    flows: tuple[int, ...] = ()
    explainers: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


def explain(
    run: Path,
    plugins: Plugins,
    request: Request,
    *,
    sources: Sequence[Path] = (),
    phases: Phases | None = None,
) -> Explanations:
    """Explain a run's highest alerts; `run` may be a bundle too, then one source is what to score.

    Raises:
        ConfigError: This is neither run nor bundle, or a flow was never scored.
        RunError: The run has no bundle any more, or its scores come out differently.
        SourceError: The source is not to be found, or is another than that of the run.
    """
    phases = phases or Phases()
    asked = by_name(request.explainers, request.settings, plugins, base=Path.cwd())
    bundle, receipt = open_run(run)
    pipeline, made = load_bundle(bundle, plugins)
    found = find_sources(run, receipt, sources)
    reader = str(pipeline.reader["name"])
    reading = choose_reader(found[0][0], plugins, name=reader, fitted=pipeline.reader)
    with TemporaryDirectory(prefix="netvigil-explain-") as scratch:
        paths = [path for path, _ in found]
        store, _ = open_sources(paths, reading, Path(scratch) / "flows.parquet", phases)
        require_fit(pipeline, store)
        scored = recorded_scores(run, receipt, made) or _score(pipeline, store, phases)
        chosen = _chosen(scored, request)
        told, used = _explain(
            pipeline, store, scored, chosen, asked, named=bool(request.explainers), phases=phases
        )
    return Explanations(
        sources=tuple(SourceUse(name=path.name, sha256=sha256) for path, sha256 in found),
        bundle=made,
        method=_method(pipeline),
        cut=scored.first_cut,
        seed=pipeline.seed,
        train_flows=pipeline.counts.flows_,
        explainers=tuple(map(_use, used)),
        flows=told,
        summary=summary(told),
    )


def _score(pipeline: Pipeline, store: FlowStore, phases: Phases) -> Scored:
    """Score every flow of a source."""
    ids, scores = [], []
    with phases.phase("score", len(store)) as advance:
        for _, windows in walk(pipeline, store):
            ids.append(windows.flow_id)
            scores.append(_Scorer(pipeline)(windows))
            advance(len(windows.flow_id))
    return Scored(np.concatenate(ids), np.concatenate(scores), pipeline.threshold.cut_)


def _chosen(scored: Scored, request: Request) -> NDArray[np.int64]:
    """Return the rows of `scored` to explain, the highest score first."""
    if request.flows:
        wanted = np.unique(np.array(request.flows, np.int64))
        rows = np.flatnonzero(np.isin(scored.flow_id, wanted))
        missing = sorted(set(wanted.tolist()) - set(scored.flow_id[rows].tolist()))
        if missing:
            listed = ", ".join(map(str, missing))
            msg = f"These flows were not scored: {listed}."
            do = "Only flows of the test part have scores; alerts name theirs as flow_id."
            raise ConfigError(msg, where="--flow", do=do)
    else:
        rows = np.flatnonzero(scored.score > scored.cut)
    ranked = rows[np.argsort(-scored.score[rows], kind="stable")]
    return ranked if request.flows else ranked[: request.top]


class _Scorer:
    """Scores windows; remembers the last ones it was told to, which explainers ask for again."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._last: tuple[WindowGraphs, NDArray[np.float64]] | None = None

    def __call__(self, windows: WindowGraphs) -> NDArray[np.float64]:
        if self._last is not None and windows is self._last[0]:
            return self._last[1]
        name = self._pipeline.assembly.encoder.name
        encoded = encode_checked(self._pipeline.encoder, name, windows)
        return self._pipeline.scorer.score(encoded).score

    def remember(self, windows: WindowGraphs) -> NDArray[np.float64]:
        """Score windows and keep the scores."""
        score = self(windows)
        self._last = (windows, score)
        return score


def _explain(
    pipeline: Pipeline,
    store: FlowStore,
    scored: Scored,
    chosen: NDArray[np.int64],
    asked: Sequence[Chosen],
    *,
    named: bool,
    phases: Phases,
) -> tuple[tuple[ExplainedFlow, ...], list[Chosen]]:
    """Explain the chosen rows of `scored`; returns the flows in that order, and who explained."""
    scorer = _Scorer(pipeline)
    scoring = _scoring(pipeline, scorer)
    told: dict[int, ExplainedFlow] = {}
    explainers: list[Made] = []
    recorded = dict(
        zip(scored.flow_id[chosen].tolist(), scored.score[chosen].tolist(), strict=True)
    )
    raised = scored.flow_id[scored.score > scored.cut]
    with phases.phase("explain", len(chosen)) as advance:
        for flows, window, rows in _windows(pipeline, store, scored, np.array(list(recorded))):
            score = scorer.remember(window)[rows]
            here = window.flow_id[rows].tolist()
            _require_same(score, np.array([recorded[i] for i in here]))
            explainers = explainers or fitting(asked, scoring, window, named=named)
            found = []
            for each, made in explainers:
                last = each is explainers[-1][0]
                watched = replace(scoring, advance=advance) if last else scoring
                found.append((_part(each), made.explain(watched, window, rows)))
            alert = np.isin(here, raised)
            for flow in tell(pipeline, flows, window, rows, score, found, alert=alert):
                told[flow.flow_id] = flow
    return tuple(told[i] for i in recorded), [chosen for chosen, _ in explainers]


def _scoring(pipeline: Pipeline, score: Callable[[WindowGraphs], NDArray[np.float64]]) -> Scoring:
    profile = pipeline.profile
    width = len(profile.names)
    none = np.empty((0, width), np.float32)
    return Scoring(
        score=score,
        encoder=pipeline.encoder,
        groups=profile.groups(),
        background=none if profile.background is None else profile.background,
        median=profile.mean.astype(np.float32) if profile.median is None else profile.median,
        seed=pipeline.seed,
    )


def _windows(
    pipeline: Pipeline, store: FlowStore, scored: Scored, ids: NDArray[np.int64]
) -> Iterator[tuple[FlowTable, WindowGraphs, NDArray[np.int64]]]:
    """Yield each window that holds one of some flows: its flows, itself, and their rows in it."""
    keep = np.isin(store.column("flow_id").to_numpy(), scored.flow_id)
    also = [name for name in COLUMNS if name in store.schema.names]
    left = len(ids)
    for flows, windows in walk(pipeline, store, keep, also=also) if left else ():
        here = np.flatnonzero(np.isin(windows.flow_id, ids))
        number = np.searchsorted(windows.flow_ptr, here, side="right") - 1
        for each in np.unique(number).tolist():
            first, last = windows.flow_ptr[each : each + 2].tolist()
            rows = here[number == each] - first
            yield flows.slice(first, last - first), windows[each : each + 1], rows
        left -= len(here)
        if not left:
            return


def _require_same(score: NDArray[np.float64], recorded: NDArray[np.float64]) -> None:
    """Refuse to explain other scores than those of the run; a GPU's differ in the last digits."""
    if not np.allclose(score, recorded, rtol=1e-3, atol=1e-6):
        worst = int(np.argmax(np.abs(score - recorded)))
        msg = "The run's flows score differently now, so an explanation would be of something else."
        where = f"recorded {recorded[worst]:.6g}, now {score[worst]:.6g}"
        do = "Explain with the versions that the run was made with; its receipt lists them."
        raise RunError(msg, where=where, do=do)


def _method(pipeline: Pipeline) -> str:
    """Return what tables call the method."""
    assembly = pipeline.assembly
    if assembly.classifier is not None:
        return assembly.classifier.row
    return f"{assembly.encoder.row} + {assembly.scorer.row}"


def _use(chosen: Chosen) -> ExplainerUse:
    part = _part(chosen)
    return ExplainerUse(about=part.about, unit=part.unit, **chosen.describe())


def _part(chosen: Chosen) -> parts.Explainer:
    assert isinstance(chosen.part, parts.Explainer)
    return chosen.part
