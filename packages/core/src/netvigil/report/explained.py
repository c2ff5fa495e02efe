"""Pictures of explanations: which features matter over many alerts, and in one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from netvigil.explaining.lines import signed
from netvigil.explaining.results import FeaturePart, Told
from netvigil.report.runs import ReportedRun
from netvigil.report.theme import INK, SERIES, drawn, figure, named

FEATURES = 12  # rows of a picture: the leading ones; the file has all
FAR = 1.0  # train deviations from which a value counts as high or low
_PLACES = {
    "high value": SERIES["s1"],
    "usual value": INK["benign"],
    "low value": SERIES["s0"],
    "no order": SERIES["s3"],
}


def explained(run: ReportedRun) -> bool:
    """Say whether there is a feature to draw."""
    return bool(_leading(run))


@drawn
def feature_amounts(run: ReportedRun) -> Figure:
    """Draw each explained flow as a point per feature: its amount, coloured by the value."""
    names = _leading(run)
    made, axes = figure(6.4, max(1.8, 0.9 + 0.27 * len(names)))
    for row, name in enumerate(names):
        parts = [part for told in _told(run) for part in told.features if part.name == name]
        amount = np.array([part.amount for part in parts])
        up = _swarm(amount, _extent(run))
        for place, colour in _PLACES.items():
            here = [k for k, part in enumerate(parts) if _place(part) == place]
            axes.scatter(
                amount[here],
                row + up[here],
                s=16,
                color=colour,
                edgecolor="#ffffff",
                linewidth=0.4,
                zorder=3,
            )
    seen = {_place(part) for told in _told(run) for part in told.features if part.name in names}
    for place, colour in _PLACES.items():
        if place in seen:
            axes.scatter([], [], s=16, color=colour, label=place)
    _rows(axes, names)
    axes.axvline(0, color=INK["soft"], lw=0.8, zorder=2)
    axes.set(xlabel=_unit(run))
    if seen:
        made.legend(loc="outside lower left", ncols=4, handletextpad=0.2, columnspacing=1.0)
    return made


@drawn
def feature_importance(run: ReportedRun) -> Figure:
    """Draw the mean absolute amount of each feature over all explained flows."""
    names = _leading(run)
    made, axes = figure(5.6, max(1.8, 0.8 + 0.27 * len(names)))
    amounts = _summary(run)
    axes.barh(range(len(names)), [amounts[name] for name in names], color=INK["own"], height=0.62)
    _rows(axes, names)
    axes.set(xlabel=f"mean absolute {_unit(run)}")
    return made


@drawn
def one_explained(run: ReportedRun, number: int = 0) -> Figure:
    """Draw what raises and lowers the score of one explained flow, the n-th highest."""
    told = _told(run)
    parts = sorted(
        told[number].features if number < len(told) else (), key=lambda part: -abs(part.amount)
    )
    shown, rest = parts[:FEATURES], parts[FEATURES:]
    names = [part.name or "all other features" for part in shown]
    amounts = [part.amount for part in shown]
    if told and told[number].unit != "score" and rest:
        # Shares of an error add up, so what is not shown can be.
        names, amounts = [*names, "all others"], [*amounts, sum(part.amount for part in rest)]
    made, axes = figure(5.6, max(1.8, 0.8 + 0.27 * len(names)))
    colours = [INK["alert"] if amount > 0 else INK["own"] for amount in amounts]
    axes.barh(range(len(names)), amounts, color=colours, height=0.62)
    for row, amount in enumerate(amounts):
        side = "left" if amount >= 0 else "right"
        axes.annotate(
            signed(amount),
            (amount, row),
            xytext=(3 if amount >= 0 else -3, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            size=7,
            color=INK["soft"],
        )
    _rows(axes, names)
    axes.axvline(0, color=INK["soft"], lw=0.8)
    axes.margins(x=0.18)
    axes.set(xlabel=_unit(run))
    return made


def _told(run: ReportedRun) -> list[Told]:
    """Return what the first explainer of features says of each flow."""
    if run.explanations is None:
        return []
    return [told for _, told in run.explanations.told("features")]


def _summary(run: ReportedRun) -> dict[str, float]:
    told = _told(run)
    if run.explanations is None or not told:
        return {}
    return run.explanations.summary.get(told[0].explainer, {})


def _leading(run: ReportedRun) -> list[str]:
    return list(_summary(run))[:FEATURES]


def _unit(run: ReportedRun) -> str:
    told = _told(run)
    unit = told[0].unit if told else "score"
    return "amount of the score" if unit == "score" else f"part of the {unit}"


def _place(part: FeaturePart) -> str:
    if part.deviations is None:
        return "no order"
    if abs(part.deviations) < FAR:
        return "usual value"
    return "high value" if part.deviations > 0 else "low value"


def _extent(run: ReportedRun) -> float:
    amounts = [abs(part.amount) for told in _told(run) for part in told.features]
    return max(amounts, default=1.0) or 1.0


def _swarm(amount: NDArray[np.float64], extent: float) -> NDArray[np.float64]:
    """Return how far each point moves off its row, so that near ones do not hide each other."""
    near = np.round(amount / extent * 40)
    up = np.zeros(len(amount))
    for value in np.unique(near):
        here = np.flatnonzero(near == value)
        side = np.where(np.arange(len(here)) % 2, 1, -1)
        step = min(0.12, 0.7 / max(len(here), 1))
        up[here] = side * ((np.arange(len(here)) + 1) // 2) * step
    return up


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [named(name) for name in names], size=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
