"""From single runs to rows: means, deviations over seeds, intervals and paired differences."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.cuts import Cuts
from netvigil.errors import ContractError
from netvigil.evaluation.bootstrap import Resampled, interval, tpr_name
from netvigil.evaluation.classes import ClassFigures, ClassShares
from netvigil.evaluation.metrics import AttackFigures, Confusion, WithinPair
from netvigil.evaluation.promises import realised
from netvigil.evaluation.ranking import BestF1, Figure
from netvigil.evaluation.results import (
    AttackResult,
    ClassReport,
    ClassResult,
    ConfusionResult,
    Difference,
    Kind,
    MethodResult,
    OracleResult,
    PairSupport,
    PpvAt,
    Realised,
    Spread,
    ThresholdUse,
)

LEVEL = 0.95
COMPARED = ("auroc", "auprc", tpr_name(0.01), tpr_name(0.05))
"""Metrics in which methods are compared with the reference baseline."""


@dataclass(frozen=True)
class MethodScores:
    """One method's scores of the test flows for one seed.

    Shapes:
        score: float64 [flows], in the order of `evaluate`'s `flow_id`, higher is more anomalous
        cut: scores strictly above it are alerts; float64 [flows] where it moves; None where no
        threshold was set
        clusters: int64 [flows], -1 in none, of a method that makes clusters
        seed: None for a method without randomness; fit_s, score_s: seconds, None where not measured
        classes: what a classifier says of the same flows, None for any other method

    Raises:
        ContractError: A cut that is NaN. An infinite cut means no alert (or only alerts).
    """

    method: str
    score: NDArray[np.float64]
    cut: Cuts | None = None
    seed: int | None = None
    kind: Kind = "method"
    threshold: ThresholdUse | None = None
    clusters: NDArray[np.int64] | None = None
    fit_s: float | None = None
    score_s: float | None = None
    classes: ClassShares | None = None

    def __post_init__(self) -> None:
        if self.cut is None:
            return
        if np.isnan(self.cut).any():
            msg = f"The cut of '{self.method}' is not a number."
            raise ContractError(msg, do="Pass None where no threshold was set.")
        # Scores are finite, so the largest float decides like infinity, and JSON can hold it.
        finite = np.clip(self.cut, -sys.float_info.max, sys.float_info.max)
        moves = isinstance(self.cut, np.ndarray)
        object.__setattr__(self, "cut", finite if moves else float(finite))

    def forget(self) -> MethodScores:
        """Return the run without its arrays; of a cut that moves the first is kept."""
        cut = self.cut
        if isinstance(cut, np.ndarray):
            cut = float(cut[0]) if len(cut) else None
        return replace(self, score=np.empty(0), clusters=None, classes=None, cut=cut)


class Flagged(NamedTuple):
    """Alerts among the flows that a threshold's promise is about."""

    alerts: int
    flows: int


@dataclass(frozen=True)
class Judged:
    """One run's figures; the scores themselves are gone."""

    run: MethodScores
    figures: Mapping[str, Figure]
    ppv: tuple[Figure, ...]
    attacks: tuple[AttackFigures, ...]
    confusion: Confusion | None
    flagged: Flagged | None
    moved: tuple[float, float] | None
    within: WithinPair
    oracle: BestF1 | None
    oracle_reason: str
    resampled: Resampled
    classes: ClassFigures | None = None


def method_result(
    runs: Sequence[Judged], prevalences: Sequence[float], seconds: float | None
) -> MethodResult:
    """Sum up one method's runs, one per seed, all on the same flows, which last `seconds`."""
    first = runs[0]
    metrics = {
        name: _spread([r.figures[name] for r in runs], [r.resampled.get(name) for r in runs])
        for name in first.figures
    }
    return MethodResult(
        method=first.run.method,
        kind=first.run.kind,
        seeds=tuple(r.run.seed for r in runs if r.run.seed is not None),
        metrics=metrics,
        within_pair=PairSupport(
            pairs=first.within.pairs,
            flows=first.within.flows,
            comparisons=first.within.comparisons,
        ),
        attacks=tuple(_attack(place, runs) for place in range(len(first.attacks))),
        threshold=first.run.threshold,
        cuts=tuple(None if r.run.cut is None else float(r.run.cut) for r in runs),
        moved=tuple(r.moved for r in runs) if any(r.moved for r in runs) else (),
        confusions=tuple(
            None if r.confusion is None else ConfusionResult(**asdict(r.confusion)) for r in runs
        ),
        ppv=tuple(
            PpvAt(prevalence=p, ppv=_spread([r.ppv[place] for r in runs]))
            for place, p in enumerate(prevalences)
        ),
        oracle=_oracle(runs),
        realised=_realised(runs, seconds),
        fit_s=_median([r.run.fit_s for r in runs]),
        score_s=_median([r.run.score_s for r in runs]),
        classes=_class_report([r.classes for r in runs if r.classes is not None]),
    )


def _class_report(runs: Sequence[ClassFigures]) -> ClassReport | None:
    if not runs:
        return None
    # Every run was taught the same classes and sees the same flows.
    first, metrics = runs[0], [run.metrics() for run in runs]
    return ClassReport(
        metrics={name: _spread([figures[name] for figures in metrics]) for name in metrics[0]},
        classes=tuple(
            ClassResult(
                name=name,
                taught=place < first.taught,
                support=int(first.support[place]),
                precision=_spread([run.precision(place) for run in runs]),
                recall=_spread([run.recall(place) for run in runs]),
                f1=_spread([run.f1(place) for run in runs]),
            )
            for place, name in enumerate(first.names)
        ),
        confusion=tuple(tuple(row) for row in first.confusion.tolist()),
        unseen_flows=first.unseen,
    )


def _realised(runs: Sequence[Judged], seconds: float | None) -> Realised | None:
    threshold = runs[0].run.threshold
    flagged = [r.flagged for r in runs if r.flagged is not None]
    if threshold is None or not flagged:
        return None
    return realised(
        threshold.promise,
        [each.alerts for each in flagged],
        flows=flagged[0].flows,
        seconds=seconds,
    )


def _attack(place: int, runs: Sequence[Judged]) -> AttackResult:
    # Every run sees the same flows, so classes stand in the same order with the same support.
    same = [r.attacks[place] for r in runs]
    return AttackResult(
        attack=same[0].attack,
        support=same[0].support,
        recall=_spread([a.recall for a in same]),
        auroc=_spread([a.auroc for a in same]),
    )


def _oracle(runs: Sequence[Judged]) -> OracleResult:
    def column(name: str) -> Spread:
        return _spread(
            [
                Figure(getattr(r.oracle, name)) if r.oracle else Figure(None, r.oracle_reason)
                for r in runs
            ]
        )

    return OracleResult(
        f1=column("f1"),
        precision=column("precision"),
        recall=column("recall"),
        cuts=tuple(r.oracle.cut if r.oracle else None for r in runs),
    )


def _spread(
    figures: Sequence[Figure], resampled: Sequence[NDArray[np.float64] | None] = ()
) -> Spread:
    values = [figure.value for figure in figures if figure.value is not None]
    reason = next((figure.reason for figure in figures if figure.value is None), "")
    if values and len(values) < len(figures):
        reason = f"undefined for {len(figures) - len(values)} of {len(figures)} seeds: {reason}"
    draws = [draw for draw in resampled if draw is not None]
    span = interval(np.mean(draws, axis=0), level=LEVEL) if draws and values else None
    return Spread(
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        per_seed=tuple(figure.value for figure in figures),
        low=span.low if span else None,
        high=span.high if span else None,
        resamples=span.used if span else 0,
        reason=reason,
    )


def differences(judged: Mapping[str, Sequence[Judged]], reference: str) -> Iterable[Difference]:
    """Yield each method minus the reference baseline, on the same resamples; baselines are not."""
    if reference not in judged:
        return
    for method, runs in judged.items():
        if method == reference or runs[0].run.kind == "baseline":
            continue
        for metric in COMPARED:
            mine = _mean([r.figures[metric].value for r in runs])
            theirs = _mean([r.figures[metric].value for r in judged[reference]])
            if mine is None or theirs is None:
                continue
            mine_drawn = np.mean([r.resampled[metric] for r in runs], axis=0)
            theirs_drawn = np.mean([r.resampled[metric] for r in judged[reference]], axis=0)
            span = interval(mine_drawn - theirs_drawn, level=LEVEL)
            yield Difference(
                method=method,
                reference=reference,
                metric=metric,
                mean=mine - theirs,
                low=span.low if span else None,
                high=span.high if span else None,
                resamples=span.used if span else 0,
            )


def _median(values: Sequence[float | None]) -> float | None:
    """Return the median: what is imported and compiled at the first call is no part of a method."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
