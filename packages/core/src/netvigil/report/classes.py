"""What a classifier made of each class: a picture of what it was taken for, and a table."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from netvigil.evaluation.class_table import UNTAUGHT, WHOLE
from netvigil.evaluation.results import ClassReport, Spread
from netvigil.evaluation.table import ABSENT
from netvigil.report.curves import cell_of
from netvigil.report.runs import ReportedRun
from netvigil.report.theme import INK, drawn, figure, named

SMALLEST = 0.0005  # of a row: less is drawn as nothing, and stands in the receipt


@drawn
def class_confusion(run: ReportedRun) -> Figure:
    """Draw which class flows of each class were taken for, in percent of the row, first seed.

    A run without a classifier gives a figure that says so.
    """
    report = run.own.classes if run.own else None
    if report is None:
        made, axes = figure(3.2, 1.2)
        axes.text(0.5, 0.5, "no classifier", ha="center", va="center", color=INK["soft"])
        axes.axis("off")
        return made
    taught = [each.name for each in report.classes if each.taught]
    rows = len(report.classes)
    made, axes = figure(max(3.4, 2.0 + 0.5 * len(taught)), max(2.0, 1.3 + 0.3 * rows))
    for row, counts in enumerate(report.confusion):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            if share < SMALLEST:
                continue
            axes.add_patch(cell_of(column, row, share))
            axes.text(
                column,
                row,
                f"{100 * share:.1f}",
                ha="center",
                va="center",
                size=7,
                color="#ffffff" if share > 0.55 else INK["ink"],
            )
    ticks = [named(name, longest=18) for name in taught]
    axes.set_xticks(range(len(taught)), ticks, rotation=40, ha="left", size=7)
    axes.xaxis.tick_top()
    names = [f"{named(each.name, longest=24)} ({each.support:,})" for each in report.classes]
    axes.set_yticks(range(rows), names, size=7)
    axes.set(xlim=(-0.5, len(taught) - 0.5), ylim=(rows - 0.5, -0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return made


def class_rows(run: ReportedRun) -> dict[str, Any] | None:
    """Return the figures over all classes and of each class, as text; None without a classifier."""
    report = run.own.classes if run.own else None
    if report is None:
        return None
    return {
        "whole": [
            (header, _text(report.metrics[key], form)) for key, (header, form) in WHOLE.items()
        ],
        "rows": [
            {
                "name": each.name if each.taught else f"{each.name} ({UNTAUGHT})",
                "support": each.support,
                "figures": [
                    {"text": _text(spread, ".3f"), "value": spread.mean}
                    for spread in (each.precision, each.recall, each.f1)
                ],
            }
            for each in report.classes
        ],
        "words": _words(report),
    }


def _words(report: ClassReport) -> str:
    words = "Each flow goes to its most probable class; mean over seeds."
    if report.unseen_flows:
        words += f" {report.unseen_flows:,} flows are of classes {UNTAUGHT}, and count as errors."
    return words


def _text(spread: Spread, form: str) -> str:
    if spread.mean is None:
        return ABSENT
    return f"{spread.mean:{form}}" + (f" ± {spread.sd:{form}}" if spread.sd else "")
