"""What each axis of a suite changes: figures over its values, every seed a point.

Of a suite run one at a time, an axis is drawn from the runs in which nothing else moves; of a full
grid from all of them, whatever the other axes are at.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netvigil.comparison.figures import FIGURES
from netvigil.comparison.figures import Figure as Measure
from netvigil.comparison.rows import Comparison, Row
from netvigil.comparison.runs import Run
from netvigil.evaluation import Spread
from netvigil.report.theme import INK, drawn, named, series

SHOWN = ("auroc", "auprc", "f1")
WIDTH = 0.6  # of the space between two values that points of several data take up


@dataclass(frozen=True)
class Sweep:
    """One axis: its values in the suite's order, and the runs that show it."""

    axis: str
    values: tuple[str, ...]
    runs: tuple[Run, ...]


def sweeps(comparison: Comparison) -> list[Sweep]:
    """Return the axes that have something to show: two values at least, other than the data."""
    judged = [run for run in comparison.runs if run.receipt.evaluation is not None]
    told = comparison.data_axes()
    found = []
    for axis in dict.fromkeys(axis for run in judged for axis in run.at):
        runs = [run for run in judged if axis in run.at and set(run.moved) <= {axis}]
        values = tuple(dict.fromkeys(run.at[axis] for run in runs))
        if len(values) > 1 and axis not in told:
            found.append(Sweep(axis, values, tuple(runs)))
    return found


@drawn
def axis_effect(comparison: Comparison, sweep: Sweep) -> Figure:
    """Draw AUROC, AUPRC and F1 of the own method over one axis, a colour for each test part.

    Points are seeds; the dot is their mean, the bar one standard deviation to either side.
    """
    rows = _own_rows(comparison, sweep)
    grounds = list(dict.fromkeys(row.ground.name for _, row in rows))
    made = Figure(figsize=(9.6, 2.9 + 0.2 * len(grounds)))
    panels = made.subplots(1, len(SHOWN), sharex=True)
    for panel, key in zip(panels, SHOWN, strict=True):
        for number, ground in enumerate(grounds):
            at = [(value, row) for value, row in rows if row.ground.name == ground]
            shift = WIDTH * ((number + 0.5) / len(grounds) - 0.5)
            _points(panel, FIGURES[key], sweep.values, at, shift=shift, color=series(number))
        panel.set_title(FIGURES[key].header, size=9)
        names = [named(value, longest=18) for value in sweep.values]
        tilted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        panel.set_xticks(range(len(names)), names, **(tilted if len(names) > 3 else {}))
        panel.set_xlim(-0.5, len(names) - 0.5)
        panel.grid(visible=False, axis="x")
    handles = [
        panels[0].plot([], [], "o", color=series(number), label=named(ground))[0]
        for number, ground in enumerate(grounds)
    ]
    made.legend(handles=handles, loc="outside lower left", ncols=3)
    return made


def _points(
    panel: Axes,
    measure: Measure,
    values: Sequence[str],
    rows: Sequence[tuple[str, Row]],
    *,
    shift: float,
    color: str,
) -> None:
    """Draw each value's seeds, their mean and deviation, and a line through the means."""
    means = []
    for place, value in enumerate(values):
        found = [figure for at, row in rows if at == value for figure in _per_seed(measure, row)]
        if not found:
            continue
        where, mean = place + shift, statistics.fmean(found)
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        panel.plot([where] * len(found), found, "o", ms=3, color=color, alpha=0.45, mew=0)
        panel.errorbar(where, mean, yerr=spread, fmt="o", ms=5, color=color, capsize=3, zorder=3)
        means.append((where, mean))
    if means:
        panel.plot(*zip(*means, strict=True), lw=0.8, color=color, alpha=0.6, zorder=1)
    else:
        panel.text(0.02, 0.5, "undefined", transform=panel.transAxes, color=INK["soft"], size=8)


def _per_seed(measure: Measure, row: Row) -> list[float]:
    value = measure.of(row.method)
    assert isinstance(value, Spread)  # none of the figures shown is a time
    return [each for each in value.per_seed if each is not None]


def _own_rows(comparison: Comparison, sweep: Sweep) -> list[tuple[str, Row]]:
    """Return each run's row of its own method on all known flows, with its value on the axis."""
    placed = []
    for run in sweep.runs:
        evaluation = run.receipt.evaluation
        assert evaluation is not None  # `sweeps` leaves the others out
        methods = evaluation.headline.methods
        own = next((m.method for m in methods if m.kind == "method"), None)
        placed += [
            (run.at[sweep.axis], row)
            for row in comparison.rows
            if row.method.method == own and not row.ground.excluded and run in row.runs
        ]
    return placed
