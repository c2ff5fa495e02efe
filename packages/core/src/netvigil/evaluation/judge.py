"""`evaluate`: the one place where scores meet labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import AlignedLabels, LabelTable
from netvigil.cuts import Cuts, at, cut_range
from netvigil.errors import ContractError
from netvigil.evaluation.bootstrap import By, Resampler, tpr_name
from netvigil.evaluation.classes import ClassFigures, ClassShares, class_figures
from netvigil.evaluation.clusters import adjusted_rand
from netvigil.evaluation.metrics import (
    FPR_LIMITS,
    Confusion,
    WithinPair,
    alerts_per_hour,
    per_attack,
    within_pair,
)
from netvigil.evaluation.ranking import (
    Figure,
    Ranking,
    auprc,
    auroc,
    best_f1,
    one_class,
    tpr_at_fpr,
)
from netvigil.evaluation.results import BootstrapUse, Evaluation, Headline
from netvigil.evaluation.summary import (
    LEVEL,
    Flagged,
    Judged,
    MethodScores,
    differences,
    method_result,
)

RARE = (1e-3, 1e-5)
"""Prevalences for the PPV where the user states none: a noisy and a quiet network."""
AT_CUT = ("precision", "recall", "f1", "macro_f1", "mcc", "ari", "fpr")


def evaluate(
    *,
    flow_id: NDArray[np.int64],
    labels: LabelTable,
    runs: Iterable[MethodScores],
    start_us: NDArray[np.int64] | None = None,
    pair: NDArray[np.uint64] | None = None,
    window_start: NDArray[np.int64] | None = None,
    exclude: Sequence[str] = (),
    prevalences: Sequence[float] = RARE,
    seconds: float | None = None,
    resamples: int = 200,
    bootstrap_seed: int = 0,
    bootstrap_by: By = "auto",
    reference: str = "pair-rarity",
) -> Evaluation:
    """Judge every method and baseline on the same test flows.

    `runs` is walked through once, one score array at a time, so it may be lazy; runs of one method
    share its name and differ in their seed. Flows without a label are counted and left out.
    `exclude` names attack classes (letter case and separators do not matter) that a second headline
    leaves out. `seconds` is the length of the test range, by default from the first to the last
    start. Methods are compared with the baseline `reference` where it is among the runs.

    Shapes:
        flow_id: int64 [flows], the test flows; every other array follows its order
        start_us: int64 [flows], None without a clock
        pair: uint64 [flows], `combine(flow_keys(src_ip), flow_keys(dst_ip))`, None without
        addresses
        window_start: int64 [flows], None without windows

    Raises:
        ContractError: Arrays of other lengths, scores that are not finite, a seed that occurs
        twice.
        ConfigError: A bootstrap that cannot be done.
    """
    _require_lengths(len(flow_id), start_us=start_us, pair=pair, window_start=window_start)
    truth = labels.align(flow_id)
    if seconds is None and start_us is not None and len(start_us):
        seconds = float(start_us.max() - start_us.min()) / 1e6

    def view(keep: NDArray[np.bool_], excluded: Mapping[str, int]) -> _View:
        rows = np.flatnonzero(keep)
        draws = Resampler(
            len(rows),
            window=None if window_start is None else window_start[rows],
            resamples=resamples,
            seed=bootstrap_seed,
            by=bootstrap_by,
        )
        near = None if pair is None else pair[rows]
        return _View.of(truth, rows, near, draws, excluded, seconds, tuple(prevalences))

    left_out, excluded, unmatched = _excluded(truth, exclude)
    views = [view(truth.known, {})]
    if excluded:
        views.append(view(truth.known & ~left_out, excluded))
    for run in runs:
        of_run: dict[str, NDArray[Any] | None] = {
            "score": run.score,
            "clusters": run.clusters,
            "cut": run.cut if isinstance(run.cut, np.ndarray) else None,
            "classes": None if run.classes is None else run.classes.share[:, 0],
        }
        of_run = {f"{name} of {run.method}": array for name, array in of_run.items()}
        _require_lengths(len(flow_id), **of_run)
        for each in views:
            each.add(run)
    return Evaluation(
        test_flows=len(flow_id),
        unknown=int(len(flow_id) - truth.known.sum()),
        seconds=seconds,
        headline=views[0].headline(reference),
        without_excluded=views[1].headline(reference) if excluded else None,
        exclude_unmatched=unmatched,
    )


@dataclass(frozen=True)
class _View:
    """Some of the known test flows, and what the methods reach on them."""

    rows: NDArray[np.int64]
    is_attack: NDArray[np.bool_]
    attack: NDArray[np.str_]
    pair: NDArray[np.uint64] | None
    draws: Resampler
    excluded: Mapping[str, int]
    seconds: float | None
    prevalences: tuple[float, ...]
    judged: dict[str, list[Judged]] = field(default_factory=dict)

    @staticmethod
    def of(
        truth: AlignedLabels,
        rows: NDArray[np.int64],
        pair: NDArray[np.uint64] | None,
        draws: Resampler,
        excluded: Mapping[str, int],
        seconds: float | None,
        prevalences: tuple[float, ...],
    ) -> _View:
        is_attack, attack = truth.is_attack[rows], truth.attack[rows]
        return _View(rows, is_attack, attack, pair, draws, excluded, seconds, prevalences)

    def add(self, run: MethodScores) -> None:
        """Measure one run; only small results are kept."""
        runs = self.judged.setdefault(run.method, [])
        if any(run.seed == other.run.seed for other in runs):
            msg = f"Method '{run.method}' was scored twice with seed {run.seed}."
            raise ContractError(msg, do="One set of scores per method and seed.")
        runs.append(self._measure(run))

    def _measure(self, run: MethodScores) -> Judged:
        score = run.score[self.rows]
        ranking = Ranking.of(score, self.is_attack)
        oracle_cut = run.threshold is not None and run.threshold.mode == "oracle"
        cut = None if oracle_cut else run.cut
        no_cut = Figure(None, "the cut is an oracle: see there" if oracle_cut else "no cut was set")
        known_cut = None if cut is None else at(cut, self.rows)
        confusion = None if known_cut is None else Confusion.at(score, self.is_attack, known_cut)
        within = self._within(ranking)
        oracle, why = best_f1(ranking)
        return Judged(
            run=run.forget(),
            figures=_by_rank(ranking)
            | self._clusters(run.clusters)
            | {"within_pair_auroc": Figure(within.value, within.reason)}
            | {name: getattr(confusion, name)() if confusion else no_cut for name in AT_CUT}
            | {"alerts_per_hour": no_cut if cut is None else self._alert_rate(run.score, cut)},
            ppv=tuple(confusion.ppv(p) if confusion else no_cut for p in self.prevalences),
            moved=None if cut is None else cut_range(cut),
            flagged=None if cut is None else self._flagged(run, cut, confusion),
            attacks=per_attack(
                ranking, score=score, is_attack=self.is_attack, attack=self.attack, cut=known_cut
            ),
            confusion=confusion,
            within=within,
            oracle=oracle,
            oracle_reason=why,
            resampled=self.draws.figures(ranking, self.is_attack),
            classes=None if run.classes is None else self._classes(run.classes),
        )

    def _flagged(self, run: MethodScores, cut: Cuts, confusion: Confusion | None) -> Flagged:
        """Count the alerts that the threshold's promise is about."""
        promise = run.threshold.promise if run.threshold else None
        if promise is not None and promise.kind == "fpr" and confusion is not None:
            return Flagged(confusion.false_positives, confusion.benign)
        return Flagged(int(np.count_nonzero(run.score > cut)), len(run.score))

    def _classes(self, shares: ClassShares) -> ClassFigures:
        known = np.ones(len(self.rows), np.bool_)
        truth = AlignedLabels(known, self.is_attack, self.attack)
        return class_figures(shares.take(self.rows), truth)

    def _alert_rate(self, score: NDArray[np.float64], cut: Cuts) -> Figure:
        # Of all test flows, known or not, excluded or not: an operator gets those alerts too.
        return alerts_per_hour(int(np.count_nonzero(score > cut)), self.seconds)

    def _clusters(self, clusters: NDArray[np.int64] | None) -> dict[str, Figure]:
        """Count a method's clusters and compare them with attack and benign, if it has any."""
        if clusters is None:
            return {}
        seen = clusters[self.rows]
        reason = one_class(int(self.is_attack.sum()), int((~self.is_attack).sum()))
        index = Figure(None, reason) if reason else Figure(adjusted_rand(seen, self.is_attack))
        return {"clusters": Figure(float(len(np.unique(seen[seen >= 0])))), "cluster_ari": index}

    def _within(self, ranking: Ranking) -> WithinPair:
        if self.pair is None:
            return WithinPair(None, "the flows have no addresses", 0, 0, 0)
        return within_pair(ranking, is_attack=self.is_attack, pair=self.pair)

    def headline(self, reference: str) -> Headline:
        """Sum up over seeds."""
        flows, attacks, draws = len(self.rows), int(self.is_attack.sum()), self.draws
        return Headline(
            flows=flows,
            attacks=attacks,
            benign=flows - attacks,
            prevalence=attacks / flows if flows else None,
            excluded=dict(self.excluded),
            bootstrap=BootstrapUse(
                by=draws.by,
                units=draws.units,
                why=draws.why,
                resamples=draws.resamples,
                level=LEVEL,
                seed=draws.seed,
            ),
            methods=tuple(
                method_result(runs, self.prevalences, self.seconds) for runs in self.judged.values()
            ),
            differences=tuple(differences(self.judged, reference)),
        )


def _by_rank(ranking: Ranking) -> dict[str, Figure]:
    figures = {"auroc": auroc(ranking), "auprc": auprc(ranking)}
    return figures | {tpr_name(limit): tpr_at_fpr(ranking, limit) for limit in FPR_LIMITS}


def _excluded(
    truth: AlignedLabels, exclude: Sequence[str]
) -> tuple[NDArray[np.bool_], dict[str, int], tuple[str, ...]]:
    """Return which flows are left out, how many of each class, and which names matched nothing."""
    left_out = np.zeros(len(truth.known), np.bool_)
    if not exclude:
        return left_out, {}, ()
    wanted = {_plain(name): name for name in exclude}
    counts = {}
    for name in np.unique(truth.attack[truth.is_attack]).tolist():
        if _plain(name) in wanted:
            rows = truth.is_attack & (truth.attack == name)
            counts[name] = int(rows.sum())
            left_out |= rows
    matched = {_plain(name) for name in counts}
    return left_out, counts, tuple(n for plain, n in wanted.items() if plain not in matched)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower())


def _require_lengths(flows: int, **arrays: NDArray[np.generic] | None) -> None:
    for name, array in arrays.items():
        if array is not None and array.shape != (flows,):
            msg = f"{name} has the shape {array.shape} for {flows:,} test flows."
            raise ContractError(msg, do="Align every array with flow_id.")
