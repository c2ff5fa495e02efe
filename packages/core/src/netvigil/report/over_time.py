"""Pictures over time: scores, true events, alerts, and how well a promised rate is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from netvigil.report.runs import ReportedRun
from netvigil.report.theme import INK, drawn, figure, named, series

CLASSES = 16  # attacks with a lane of their own below the scores


@drawn
def timeline(run: ReportedRun) -> Figure:
    """Draw the scores of the test part over time, true events shaded, bins with alerts marked."""
    table = _part(run, "test")
    events = run.evidence.events.to_pandas().sort_values("start", kind="stable")
    lanes = list(dict.fromkeys(events["attack"].astype(str)))[:CLASSES]
    made = Figure(figsize=(9.6, 2.7 + 0.17 * len(lanes)))
    ratio = [3.0, 0.25 + 0.2 * len(lanes)] if lanes else [1.0]
    rows = made.subplots(len(ratio), 1, sharex=True, squeeze=False, height_ratios=ratio).ravel()
    axes = rows[0]
    x, scale = _axis(run, table)
    _scores(axes, run, table, x)
    for place, name in enumerate(lanes):
        for event in events[(events["attack"] == name).to_numpy()].itertuples():
            begin, end = scale(event.start), scale(event.end)
            colour = series(place)
            rows[1].plot([begin, end], [place, place], color=colour, lw=5, solid_capstyle="butt")
            rows[1].plot([begin], [place], color=colour, marker="s", ms=3)  # however short it was
    for begin, end in _united(events):
        axes.axvspan(scale(begin), scale(end), color=INK["shade"], lw=0, alpha=0.45, zorder=0)
    if lanes:
        rows[1].set_yticks(range(len(lanes)), [named(name, longest=22) for name in lanes], size=7)
        rows[1].set(ylim=(len(lanes) - 0.4, -0.6))
        rows[1].grid(visible=False)
        rows[1].tick_params(axis="y", length=0)
    _label(rows[-1], run)
    _legend(made, axes)
    return made


def _united(events: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the moments covered by any event, which come in the order of their starts."""
    united: list[tuple[int, int]] = []
    for start, end in zip(events["start"].tolist(), events["end"].tolist(), strict=True):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def extent(run: ReportedRun, made: Figure) -> dict[str, float]:
    """Return where the time axis of a drawn `timeline` lies: shares of its width, and its ends.

    The ends are microseconds since 1970 UTC, or rows; a page finds the bin under the pointer by it.
    """
    axes = made.axes[0]
    place, (begin, end) = axes.get_position(), axes.get_xlim()
    unit = 86_400e6 if run.facts.clock else 1.0  # Matplotlib counts days
    return {
        "left": float(place.x0),
        "right": float(place.x1),
        "top": float(1 - place.y1),
        "from": float(begin * unit),
        "to": float(end * unit),
    }


def _scores(axes: Axes, run: ReportedRun, table: pd.DataFrame, x: Any) -> None:
    axes.fill_between(
        x,
        table["score_median"],
        table["score_q95"],
        color=INK["own"],
        alpha=0.25,
        lw=0,
        label="median to 95th percentile of each bin",
    )
    axes.plot(x, table["score_max"], color=INK["own"], lw=1.1, label="highest score")
    if run.facts.moved is None:
        axes.axhline(run.facts.cut, color=INK["alert"], lw=1.1, label="cut")
    else:
        axes.step(x, table["cut"], where="mid", color=INK["alert"], lw=1.1, label="cut, moving")
    loud = (table["alerts"] > 0).to_numpy()
    axes.scatter(
        x[loud],
        table["score_max"][loud],
        color=INK["alert"],
        zorder=4,
        edgecolor="#ffffff",
        linewidth=0.5,
        s=14 + 22 * np.log10(np.maximum(table["alerts"][loud], 1)),
        label="bins with alerts",
    )
    spread = float(table["score_max"].max() - table["score_median"].min())
    unit = float(np.median(table["score_q95"] - table["score_median"])) or spread or 1.0
    if spread > 50 * unit:
        axes.set_yscale("symlog", linthresh=10 * unit)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.set_ylabel("score")


@drawn
def drift(run: ReportedRun) -> Figure:
    """Draw the share of flows above the cut over time, beside the share on the calibration part.

    A cut promises a rate of alerts. Where the traffic drifts, benign flows alone break the promise,
    and the line of benign flows leaves the promised one.
    """
    made, axes = figure(9.6, 2.5)
    # Bins of a few flows have no rate; neighbours are joined until each has enough.
    promised = run.facts.calibrate_flows > 0
    parts = (("calibrate", INK["soft"]), ("test", INK["own"]))
    for part, colour in parts if promised else parts[1:]:
        rows = _joined(_part(run, part), run.facts.test_flows)
        x, _ = _axis(run, rows)
        axes.plot(
            x,
            rows["alerts"] / rows["flows"],
            color=colour,
            lw=1.3,
            marker=".",
            label=f"{'calibration' if part == 'calibrate' else 'test'} part, all flows",
        )
        benign = rows["known"] - rows["attacks"]
        if part == "test" and run.facts.labelled:
            known = (benign > 0).to_numpy()
            axes.plot(
                x[known],
                (rows["false_alerts"] / benign.where(benign > 0))[known],
                color=INK["benign"],
                lw=1.3,
                ls=(0, (3, 1.5)),
                label="test part, benign flows",
            )
    if promised:
        axes.axhline(
            run.facts.above_on_calibration,
            color=INK["alert"],
            lw=1.0,
            label=f"on the calibration part: {run.facts.above_on_calibration:.3%}",
        )
    axes.set_yscale("symlog", linthresh=0.01)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.set(ylabel="share above the cut", ylim=(0, None))
    _label(axes, run)
    _legend(made, axes)
    return made


def _joined(rows: pd.DataFrame, flows: int) -> pd.DataFrame:
    least = max(50, flows // 60)
    group = (rows["flows"].cumsum() - rows["flows"]) // least
    sums = ["flows", "known", "attacks", "alerts", "false_alerts"]
    how = dict.fromkeys(sums, "sum") | {"start": "min", "end": "max"}
    return rows.groupby(group.to_numpy()).agg(how).reset_index(drop=True)


def _part(run: ReportedRun, part: str) -> pd.DataFrame:
    table = run.timeline
    return table[(table["part"] == part).to_numpy()].reset_index(drop=True)


def _axis(run: ReportedRun, table: pd.DataFrame) -> tuple[Any, Callable[[int], Any]]:
    """Return the middle of each bin on the axis, and what puts any moment there."""
    middle = ((table["start"] + table["end"]) // 2).to_numpy()
    if not run.facts.clock:
        return middle, int
    return middle.astype("datetime64[us]"), lambda moment: np.datetime64(int(moment), "us")


def _label(axes: Axes, run: ReportedRun) -> None:
    if not run.facts.clock:
        axes.set_xlabel("row of the source, which has no clock")
        return
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("time, UTC")


def _legend(made: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    made.legend(
        handles, labels, loc="outside upper left", ncols=5, handlelength=1.6, columnspacing=1.2
    )
