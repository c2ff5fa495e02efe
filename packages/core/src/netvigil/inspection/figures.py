"""The pictures of an inspection, in the theme's colours. Nothing is measured here."""

from __future__ import annotations

from datetime import UTC

import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from netvigil.inspection import words
from netvigil.inspection.classes import Classes, FlowClass
from netvigil.inspection.correlation import Correlation
from netvigil.inspection.histograms import Histogram
from netvigil.inspection.timeline import Timeline
from netvigil.report.theme import INK, drawn, figure, named, series

LEVELS = (0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
"""Where the strength of a correlation changes its shade; what is below the first stays empty."""
SHADES = (0.10, 0.22, 0.38, 0.56, 0.76, 1.0)
POSITIVE, NEGATIVE = "s1", "s0"
"""Variables of the two directions: orange and blue, which colour-blind readers tell apart."""
CELL = 0.17
"""Inches of a cell of the heat map: a name in small type fits beside it."""
LONGEST = 32
"""Characters of a name beside the heat map."""
SIDES = {"all": "own", "benign": "benign", "attack": "attack", "unknown": "soft"}


def variable(each: FlowClass) -> str:
    """Return the palette's name of a class's colour."""
    if each.side == "attack" and each.place is not None:
        return f"s{each.place % 10}"
    return {"unknown": "line"}.get(each.side) or SIDES[each.side]


def _colour(each: FlowClass) -> str:
    name = variable(each)
    return INK[name] if name in INK else series(int(name[1:]))


@drawn
def distribution(histogram: Histogram, sides: tuple[str, ...]) -> Figure:
    """Draw one feature: for each side the share of its flows in each bin."""
    made, axes = figure(2.7, 1.5)
    made.set_layout_engine("none")  # fixed margins: axes of all features stand in line
    axes.set_position((0.16, 0.24, 0.79, 0.7))
    edges, counts = _with_margin(histogram)
    totals = histogram.totals
    for place, side in enumerate(sides):
        if not totals[place]:
            continue
        heights = counts[place] / totals[place]
        colour = INK[SIDES[side]]
        strong = side in ("attack", "all")
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.18 if strong else 0.32, lw=0)
        axes.stairs(heights, edges, color=colour, linewidth=1.3 if strong else 0.9)
    if histogram.scale.log:
        _log_axis(axes, histogram)
    else:
        _linear_axis(axes, histogram)
    unit = words.unit(histogram.name)
    axes.set_xlabel(f"{unit or 'value'}{', log' if histogram.scale.log else ''}", labelpad=1)
    axes.xaxis.label.set_fontsize(7.5)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.grid(visible=False, axis="x")
    axes.tick_params(left=False, bottom=False, labelsize=7.5, pad=2)
    return made


def _with_margin(histogram: Histogram) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return where bars begin and end on paper: left of a log scale stand "<0" and "0"."""
    scale = histogram.scale
    if not scale.log:
        return scale.edges, histogram.counts
    edges, counts = np.log10(scale.edges), histogram.counts
    step = (edges[-1] - edges[0]) / 18
    for extra in (histogram.zero, histogram.negative):
        if extra.any():
            gap = np.zeros_like(extra)
            counts = np.column_stack([extra, gap, counts])
            edges = np.concatenate([[edges[0] - 1.6 * step, edges[0] - 0.6 * step], edges])
    return edges, counts


def _log_axis(axes: Axes, histogram: Histogram) -> None:
    edges, _ = _with_margin(histogram)
    first, last = np.log10(histogram.scale.edges[[0, -1]])
    powers = list(range(int(np.ceil(first)), int(np.floor(last)) + 1))
    powers = powers[:: max(-(-len(powers) // 5), 1)]
    ticks = {float(p): words.tick(p) for p in powers}
    place = 2 if histogram.negative.any() and histogram.zero.any() else 0
    if histogram.zero.any():
        ticks[float(edges[place : place + 2].mean())] = "0"
    if histogram.negative.any():
        ticks[float(edges[:2].mean())] = "<0"
    axes.set_xticks(list(ticks), list(ticks.values()))


def _linear_axis(axes: Axes, histogram: Histogram) -> None:
    whole = bool((histogram.scale.edges % 1 == 0.5).all())
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=whole))
    axes.xaxis.set_major_formatter(_short(float(np.abs(histogram.scale.edges).max())))


def _short(largest: float) -> FuncFormatter:
    """Return a format for an axis up to some number; all its ticks share one unit."""
    signs = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
    unit, sign = next(((u, s) for u, s in signs if largest >= 10 * u), (1.0, ""))
    return FuncFormatter(lambda value, _: f"{value / unit:g}{sign if value else ''}")


@drawn
def heat_map(found: Correlation) -> Figure:
    """Draw the lower half of the matrix, one path for each shade."""
    count, width = len(found.names), heat_map_size(found)
    made = Figure(figsize=(width, width))
    made.set_layout_engine("none")
    part = count * CELL / width
    axes = made.add_axes((1 - part, 1 - part, part, part))
    for sign, name in ((1, POSITIVE), (-1, NEGATIVE)):
        for low, high, shade in zip(LEVELS[:-1], LEVELS[1:], SHADES, strict=True):
            strength = np.tril(sign * np.nan_to_num(found.rho))
            top = high if high < 1 else 2
            rows, columns = np.nonzero((strength >= low) & (strength < top))
            if len(rows):
                path = _cells(rows, columns)
                axes.add_patch(PathPatch(path, facecolor=series(int(name[1])), lw=0, alpha=shade))
    axes.set_xlim(0, count)
    axes.set_ylim(count, 0)
    texts = [named(name, longest=LONGEST) for name in found.names]
    centres = np.arange(count) + 0.5
    axes.set_xticks(centres, texts, rotation=90)
    axes.set_yticks(centres, texts)
    axes.tick_params(left=False, bottom=False, labelsize=7, pad=2)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_color(INK["line"])
    return made


def heat_map_size(found: Correlation) -> float:
    """Return the inches of either side of the heat map, its names included."""
    longest = max((min(len(name), LONGEST) for name in found.names), default=0)
    return len(found.names) * CELL + 0.066 * longest + 0.1  # 7 points high, so 0.066 inches wide


def _cells(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Path:
    gap = 0.04  # of a cell, so that cells stay countable
    corners = np.array([[gap, gap], [1 - gap, gap], [1 - gap, 1 - gap], [gap, 1 - gap], [gap, gap]])
    places = np.column_stack([columns, rows]).astype(np.float64)
    vertices = (places[:, None, :] + corners).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], len(rows))
    return Path(vertices, codes)


@drawn
def over_time(timeline: Timeline, classes: Classes) -> Figure:
    """Draw the classes' shares of each bin, and how many flows there are in it."""
    made = Figure(figsize=(9, 3.6 if classes.labelled else 1.8))
    edges = _places(timeline)
    counts = timeline.counts
    flows = counts.sum(axis=0)
    if classes.labelled:
        above, below = made.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
        base = np.zeros(len(flows))
        for each, row in zip(classes.listed, counts, strict=True):
            top = base + np.divide(row, flows, out=np.zeros(len(flows)), where=flows > 0)
            if row.any():
                calm = 0.6 if each.side == "benign" else 1
                above.stairs(
                    top, edges, baseline=base, fill=True, color=_colour(each), alpha=calm, lw=0
                )
            base = top
        above.set_ylim(0, 1)
        above.yaxis.set_major_formatter(PercentFormatter(1))
        above.set_ylabel("share of flows")
        above.grid(visible=False)
    else:
        below = made.subplots()
    below.stairs(flows, edges, fill=True, color=INK["own"], alpha=0.75, lw=0)
    below.set_ylim(bottom=0)
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    below.yaxis.set_major_formatter(_short(float(flows.max())))
    below.set_ylabel(f"flows per\n{words.span(timeline.width) if timeline.clock else 'bin'}")
    below.grid(visible=False, axis="x")
    below.set_xlim(edges[0], edges[-1])
    _time_axis(below, timeline)
    made.align_ylabels()
    return made


def _places(timeline: Timeline) -> NDArray[np.float64]:
    """Return bin edges in the axis's own units: days since 1970, or rows."""
    edges = timeline.edges.astype(np.float64)
    return edges / 86_400e6 if timeline.clock else edges


def _time_axis(axes: Axes, timeline: Timeline) -> None:
    if not timeline.clock:
        axes.set_xlabel("row of the source")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        return
    axes.set_xlabel("start of the flow, UTC")
    locator = dates.AutoDateLocator(minticks=4, maxticks=9, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    words_of = dates.ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(words_of)
