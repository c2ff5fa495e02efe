"""Pictures of traffic weights; every function takes graphs and returns a Matplotlib figure.

Size and colour of a node are the sum of the weights at it: the total data transfer. Scales are the
same for all graphs of one picture, so that a burst looks like one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from netvigil.report.theme import INK, drawn, figure, named, series
from netvigil_tabular.weights.generate import NORMAL, TrafficWeights

TRANSFER = "total data transfer"
COLOURS = "viridis"
MOST = 1500  # points drawn of the normal graphs; more of them only cover one another
BINS = 40
GRID = 12  # columns of the frequency plot along either axis
PAIRS = 5


@drawn
def weight_graph(weights: TrafficWeights, row: int = 0) -> Figure:
    """Draw one graph on a circle, with a bar that says what its colours mean."""
    made = Figure(figsize=(5.2, 4.4))
    axes = made.subplots()
    scale = _scale(weights)
    _graph(axes, weights, row, scale)
    axes.set_title(f"graph {row:,}: {named(weights.kind[row])}", size=9)
    made.colorbar(ScalarMappable(scale, COLOURS), ax=axes, label=TRANSFER, shrink=0.8)
    return made


@drawn
def anomalies_and_normals(weights: TrafficWeights) -> Figure:
    """Draw five anomalous graphs beside five normal ones, as many kinds as there are first."""
    made = Figure(figsize=(6.0, 2.4 * PAIRS))
    grid = made.subplots(PAIRS, 2)
    scale = _scale(weights)
    columns = (_telling(weights), np.flatnonzero(~weights.y)[:PAIRS])
    for side, rows in enumerate(columns):
        for place, axes in enumerate(grid[:, side]):
            if place >= len(rows):
                axes.set_visible(False)
                continue
            row = int(rows[place])
            _graph(axes, weights, row, scale)
            axes.set_title(f"graph {row:,}: {named(weights.kind[row])}", size=8)
    made.colorbar(ScalarMappable(scale, COLOURS), ax=grid, label=TRANSFER, shrink=0.4)
    return made


@drawn
def edges_3d(weights: TrafficWeights) -> Figure:
    """Draw graphs as points: by their three edges, or else by the first three components."""
    x, labels = three_dimensions(weights)
    made = Figure(figsize=(5.6, 4.8))
    axes: Any = made.add_subplot(projection="3d")
    for place, kind in enumerate(_names(weights)):
        rows = np.flatnonzero(weights.kind == kind)[:MOST]
        calm = kind == NORMAL
        axes.scatter(
            *x[rows].T,
            s=4 if calm else 9,
            lw=0,
            alpha=0.4 if calm else 0.9,
            color=INK["benign"] if calm else series(place),
            label=f"{named(kind)} ({len(rows):,} of {int((weights.kind == kind).sum()):,})",
        )
    for name, label in zip("xyz", labels, strict=True):
        getattr(axes, f"set_{name}label")(label)
    made.legend(loc="outside lower left", ncols=3, markerscale=2)
    return made


@drawn
def edge_histogram(weights: TrafficWeights, edge: int = 0) -> Figure:
    """Draw how often one edge has which weight, normal and anomalous graphs over one another."""
    made, axes = figure(5.6, 3.4)
    values = weights.x[:, edge]
    bins = np.linspace(0, max(float(values.max()), 1e-9), BINS + 1).tolist()
    for name, rows, colour in (
        (NORMAL, ~weights.y, INK["benign"]),
        ("anomalous", weights.y, INK["attack"]),
    ):
        axes.hist(
            values[rows], bins, color=colour, alpha=0.6, label=f"{name} ({int(rows.sum()):,})"
        )
    axes.set(xlabel=f"weight of edge {_edge(weights, edge)}", ylabel="graphs", yscale="symlog")
    axes.legend()
    return made


@drawn
def frequency(weights: TrafficWeights) -> Figure:
    """Draw how often the first two edges have which weights together, as bars; one edge: flat."""
    if weights.x.shape[1] < 2:
        made, axes = figure()
        axes.hist(weights.x[:, 0], BINS, color=INK["own"])
        axes.set(xlabel=f"weight of edge {_edge(weights, 0)}", ylabel="graphs", yscale="symlog")
        return made
    counts, first, second = np.histogram2d(weights.x[:, 0], weights.x[:, 1], GRID)
    made = Figure(figsize=(5.6, 4.8))
    solid: Any = made.add_subplot(projection="3d")
    at = np.argwhere(counts > 0)
    height = np.log10(1 + counts[at[:, 0], at[:, 1]])
    solid.bar3d(
        first[at[:, 0]],
        second[at[:, 1]],
        np.zeros(len(at)),
        first[1] - first[0],
        second[1] - second[0],
        height,
        color=INK["own"],
        alpha=0.85,
        shade=True,
    )
    solid.set_xlabel(f"weight of edge {_edge(weights, 0)}")
    solid.set_ylabel(f"weight of edge {_edge(weights, 1)}")
    solid.set_zlabel("graphs, log10(1 + n)")
    return made


def three_dimensions(weights: TrafficWeights) -> tuple[NDArray[np.float64], list[str]]:
    """Return a point for each graph, float64 [graphs, 3], and what its axes are.

    Of three edges their weights; else the first principal components, of fewer edges zeros beside.
    """
    if weights.x.shape[1] == 3:
        return weights.x, [f"edge {_edge(weights, number)}" for number in range(3)]
    x = weights.x - weights.x.mean(axis=0)
    _, _, components = np.linalg.svd(x, full_matrices=False)
    components = components[:3]
    # A component's sign is arbitrary: its largest entry is made positive.
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    points = x @ components.T
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    return points, [f"component {number}" for number in (1, 2, 3)]


def _graph(axes: Axes, weights: TrafficWeights, row: int, scale: Normalize) -> None:
    around = 2 * math.pi * np.arange(weights.nodes) / weights.nodes + math.pi / 2
    place = np.stack([np.cos(around), np.sin(around)], axis=1)
    most = float(weights.x.max()) or 1.0
    for (one, other), weight in zip(weights.edges.tolist(), weights.x[row].tolist(), strict=True):
        if weight > 0:
            line = place[[one, other]]
            axes.plot(*line.T, color=INK["soft"], lw=0.4 + 3.6 * weight / most, alpha=0.7, zorder=1)
    totals = weights.totals()[row]
    size = 60 + 500 * scale(totals)
    across, up = place.T
    dots = axes.scatter(
        across, up, s=size, c=totals, norm=scale, cmap=COLOURS, edgecolor="#ffffff", zorder=2
    )
    dots.set_clip_on(False)
    for node, (x, y) in enumerate((place * 1.32).tolist()):
        axes.text(x, y, str(node), ha="center", va="center", size=8)
    axes.set(xlim=(-1.6, 1.6), ylim=(-1.5, 1.5), aspect="equal")
    axes.set_axis_off()


def _scale(weights: TrafficWeights) -> Normalize:
    return Normalize(0, float(weights.totals().max()) or 1.0)


def _names(weights: TrafficWeights) -> list[str]:
    """Return normal first, then the kinds, so that anomalies are drawn on top."""
    return [NORMAL, *sorted({*weights.kind.tolist()} - {NORMAL})]


def _telling(weights: TrafficWeights) -> NDArray[np.int64]:
    """Choose anomalous graphs: one of each kind in turn."""
    kinds = [np.flatnonzero(weights.kind == kind) for kind in _names(weights)[1:]]
    rounds = [rows[turn] for turn in range(PAIRS) for rows in kinds if turn < len(rows)]
    return np.array(rounds[:PAIRS], np.int64)


def _edge(weights: TrafficWeights, number: int) -> str:
    one, other = weights.edges[number].tolist()
    return f"{one}-{other}"
