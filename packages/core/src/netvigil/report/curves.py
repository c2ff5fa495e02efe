"""Pictures of how well a method ranks: curves, score distributions, recall, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from netvigil.evaluation import MethodResult
from netvigil.evidence.tables import BENIGN, UNKNOWN
from netvigil.report.runs import ReportedRun
from netvigil.report.theme import INK, drawn, figure, named, series

LINES = 10  # methods drawn in one picture, the best ones; the tables have all of them
LOWEST_FPR = 1e-4


@drawn
def precision_recall(*runs: ReportedRun) -> Figure:
    """Draw precision over recall of each method, with base rate and operating point.

    Of one run: its own method in strong colour and every seed of it faintly, the others beside it.
    """
    made, axes = figure()
    _lines(axes, runs, "precision-recall", "auprc")
    rates = {run.headline.prevalence for run in runs if run.headline and run.headline.prevalence}
    for rate in rates:
        axes.axhline(rate, color=INK["attack"], lw=0.9, ls=(0, (2, 2)), zorder=1)
        axes.text(
            1.0, rate, f"base rate {rate:.3f}", ha="right", va="bottom", size=7, color=INK["soft"]
        )
    for run in runs:
        if (point := _operating(run)) is not None:
            recall, precision, _ = point
            _mark(axes, recall, precision)
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    _legend(made, axes)
    return made


@drawn
def roc(*runs: ReportedRun) -> Figure:
    """Draw the true-positive rate over the false-positive rate, whose axis is logarithmic."""
    made, axes = figure()
    _lines(axes, runs, "roc", "auroc")
    chance = np.logspace(np.log10(LOWEST_FPR), 0, 60)
    axes.plot(chance, chance, color=INK["soft"], lw=0.9, ls=(0, (2, 2)), zorder=1)
    for run in runs:
        if (point := _operating(run)) is not None:
            recall, _, fpr = point
            _mark(axes, max(fpr, LOWEST_FPR), recall)
    axes.set(
        xlabel="false-positive rate, logarithmic",
        ylabel="true-positive rate (recall)",
        xscale="log",
        xlim=(LOWEST_FPR, 1.05),
        ylim=(-0.02, 1.05),
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _legend(made, axes)
    return made


@drawn
def score_distribution(run: ReportedRun) -> Figure:
    """Draw how many flows have which score, by class, with the cut.

    Counts and scores are on logarithm-like axes: attacks are few and scores have long tails.
    """
    table = run.evidence.histogram.to_pandas()
    made, axes = figure(5.6, 3.4)
    edges = np.unique(np.concatenate([table["low"], table["high"]]))
    place = {edge: rank for rank, edge in enumerate(edges.tolist())}
    classes = [str(name) for name in table["attack"].unique()]
    shown = 0
    for name in classes:
        part = table[(table["attack"] == name).to_numpy()]
        counts = np.zeros(len(edges) - 1)
        counts[[place[low] for low in part["low"]]] = part["flows"]
        calm = name in {BENIGN, UNKNOWN}
        colour = INK["benign"] if calm else series(shown)
        shown += not calm
        axes.stairs(
            counts,
            np.arange(len(edges)),
            fill=calm,
            color=colour,
            alpha=0.45 if calm else 1.0,
            lw=1.4,
            label=f"{named(name)} ({int(part['flows'].sum()):,})",
            zorder=2 if calm else 3,
        )
    cut = float(np.interp(run.facts.cut, edges, np.arange(len(edges))))
    axes.axvline(cut, color=INK["alert"], lw=1.2, zorder=4)
    axes.text(
        cut,
        0.99,
        " cut" if run.facts.moved is None else " first cut",
        color=INK["alert"],
        size=8,
        va="top",
        transform=axes.get_xaxis_transform(),
    )
    ticks = np.linspace(0, len(edges) - 1, 7).astype(int)
    axes.set_xticks(ticks, [_short(edges[tick]) for tick in ticks])
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel="score (higher is more anomalous)", ylabel="flows", ylim=(0, None))
    _legend(made, axes)
    return made


@drawn
def attack_recall(*runs: ReportedRun) -> Figure:
    """Draw the share of each attack class that every method alerts on, as a table of shades."""
    methods = _rows(runs)
    classes = list(dict.fromkeys(a.attack for _, m in methods for a in m.attacks))
    support = {a.attack: a.support for _, m in methods for a in m.attacks}
    made, axes = figure(max(4.5, 1.9 + 0.62 * len(classes)), max(1.6, 1.1 + 0.27 * len(methods)))
    for row, (_, method) in enumerate(methods):
        recalls = {a.attack: a.recall.mean for a in method.attacks}
        for column, name in enumerate(classes):
            value = recalls.get(name)
            if value is None:
                continue
            axes.add_patch(cell_of(column, row, value))
            axes.text(
                column,
                row,
                f"{value:.0%}".replace("%", ""),
                ha="center",
                va="center",
                size=7,
                color="#ffffff" if value > 0.55 else INK["ink"],
            )
    labels = [f"{named(name, longest=18)}\n({support[name]:,})" for name in classes]
    axes.set_xticks(range(len(classes)), labels, rotation=40, ha="left", size=7)
    axes.xaxis.tick_top()
    names = [named(_full(run, m, runs)) for run, m in methods]
    axes.set_yticks(range(len(methods)), names, size=7)
    axes.set(xlim=(-0.5, max(len(classes), 1) - 0.5), ylim=(len(methods) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return made


def _rows(runs: Sequence[ReportedRun]) -> list[tuple[ReportedRun, MethodResult]]:
    """Return every method, and each baseline once, with the run that it is of."""
    methods = [(run, each) for run in runs for each in _ranked(run) if each.kind == "method"]
    baselines = {
        each.method: (run, each)
        for run in reversed(runs)
        for each in reversed(_ranked(run))
        if each.kind == "baseline"
    }
    return [*methods, *reversed(baselines.values())]


def cell_of(column: int, row: int, value: float) -> Rectangle:
    """Return a shaded cell of a table of shares."""
    return Rectangle(
        (column - 0.47, row - 0.44), 0.94, 0.88, color=INK["own"], alpha=0.06 + 0.94 * value, lw=0
    )


@drawn
def confusion(run: ReportedRun) -> Figure:
    """Draw decisions against truth at the run's cut: counts, and shares of each row."""
    made, axes = figure(3.2, 2.4)
    found = run.own.confusions[0] if run.own else None
    if found is not None:
        rows = [
            ("attack", found.false_negatives, found.true_positives),
            ("benign", found.true_negatives, found.false_positives),
        ]
        for row, (_, quiet, alert) in enumerate(rows):
            total = max(quiet + alert, 1)
            for column, count in enumerate((quiet, alert)):
                share = count / total
                axes.add_patch(cell_of(column, row, share))
                axes.text(
                    column,
                    row,
                    f"{count:,}\n{share:.1%}",
                    ha="center",
                    va="center",
                    size=9,
                    color="#ffffff" if share > 0.55 else INK["ink"],
                )
        axes.set_yticks(range(2), [name for name, *_ in rows])
    axes.set_xticks(range(2), ["no alert", "alert"])
    axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), xlabel="decision", ylabel="truth")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return made


def _ranked(run: ReportedRun) -> list[MethodResult]:
    """Return the methods by AUPRC, the run's own first."""
    methods = run.headline.methods if run.headline else ()

    def key(method: MethodResult) -> tuple[bool, float]:
        spread = method.metrics.get("auprc")
        return method.method != run.facts.method, -(spread.mean if spread and spread.mean else 0.0)

    return sorted(methods, key=key)


def _lines(axes: Axes, runs: Sequence[ReportedRun], kind: str, metric: str) -> None:
    place = 0
    for run in runs:
        # Of several runs each shows what is no baseline, which would be the same line many times.
        results = [r for r in _ranked(run) if len(runs) == 1 or r.kind == "method"][:LINES]
        found: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
        for method, _, x, y in run.curves(kind):
            found.setdefault(method, []).append((x, y))
        for result in results:
            own = result.method == run.facts.method
            strong = own and len(runs) == 1
            colour = INK["own"] if strong else series(place)
            dashes = "-" if result.kind == "method" else (0, (4, 1.5))
            curves = found.get(result.method, [])
            for number, (x, y) in enumerate(curves if own else curves[:1]):
                axes.plot(
                    np.maximum(x, LOWEST_FPR) if kind == "roc" else x,
                    y,
                    color=colour,
                    drawstyle="steps-pre" if kind == "precision-recall" else "default",
                    zorder=4 if own else 3,
                    lw=2.0 if strong else 1.2,
                    alpha=0.25 if number else 1.0,
                    ls=dashes,
                    label="_" if number else _label(run, result, runs, metric),
                )
            place += not strong
    if not axes.lines:
        _say(axes, "no curve: it takes labelled attacks and benign flows")


def _say(axes: Axes, words: str) -> None:
    middle = {"ha": "center", "va": "center"}
    axes.text(0.5, 0.5, words, middle, transform=axes.transAxes, color=INK["soft"])


def _full(run: ReportedRun, result: MethodResult, runs: Sequence[ReportedRun]) -> str:
    if result.kind == "baseline":
        return result.method
    same = [other for other in runs if other.result(result.method) is not None]
    return result.method if len(same) <= 1 else f"{result.method} ({run.name})"


def _label(run: ReportedRun, result: MethodResult, runs: Sequence[ReportedRun], metric: str) -> str:
    spread = result.metrics.get(metric)
    mean = "" if spread is None or spread.mean is None else f"  {spread.mean:.3f}"
    return f"{named(_full(run, result, runs), longest=30)}{mean}"


def _operating(run: ReportedRun) -> tuple[float, float, float] | None:
    """Return recall, precision and FPR at the first seed's cut; None where one is undefined."""
    found = run.own.confusions[0] if run.own and run.own.confusions else None
    if found is None:
        return None
    attacks = found.true_positives + found.false_negatives
    alerts = found.true_positives + found.false_positives
    benign = found.false_positives + found.true_negatives
    if not attacks or not alerts or not benign:
        return None
    return (
        found.true_positives / attacks,
        found.true_positives / alerts,
        found.false_positives / benign,
    )


def _mark(axes: Axes, x: float, y: float) -> None:
    axes.scatter(
        [x],
        [y],
        s=42,
        color=INK["alert"],
        edgecolor="#ffffff",
        linewidth=1.2,
        zorder=6,
        clip_on=False,
    )


def _legend(made: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        made.legend(
            handles, labels, loc="outside lower left", ncols=2, columnspacing=1.2, handlelength=1.8
        )


def _short(value: float) -> str:
    if 1e3 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.3g}"
