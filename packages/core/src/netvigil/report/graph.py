"""The traffic graph of a window: hosts as nodes, pairs of hosts as edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netvigil.evaluation import printable
from netvigil.evidence.tables import BENIGN, UNKNOWN
from netvigil.report.runs import Edge, ReportedRun
from netvigil.report.theme import INK, drawn, named

Layout = Literal["force", "circle"]
WHOLE = -1
NAMED = 14  # hosts that a printed graph names: the busiest and those with alerts


def drawn_bins(run: ReportedRun) -> list[int]:
    """Return the numbers of the bins that have a graph; `WHOLE` first where all is small enough."""
    return sorted(run.edges)


def telling_bins(run: ReportedRun) -> tuple[int, int] | None:
    """Return a quiet bin and the loudest one, both drawn; None where no graph is.

    The loudest has most alerts (the highest score where there is none), the quiet one neither
    alerts nor known attacks, and of those the most flows.
    """
    bins = [number for number in drawn_bins(run) if number != WHOLE]
    if not bins:
        return None
    table = run.timeline
    table = table[table["bin"].isin(bins).to_numpy()]
    loud = table.sort_values(["alerts", "score_max"], ascending=False, kind="stable").iloc[0]
    quiet = table.sort_values(
        ["alerts", "attacks", "flows"], ascending=[True, True, False], kind="stable"
    ).iloc[0]
    return int(quiet["bin"]), int(loud["bin"])


@drawn
def traffic_graph(run: ReportedRun, bin: int | None = None, layout: Layout = "force") -> Figure:  # noqa: A002
    """Draw the traffic of one bin, the loudest where none is named.

    Width grows with bytes, colour says whether a flow of the pair lies above the cut.

    Raises:
        ValueError: That bin has no graph.
    """
    if bin is None:
        bins = telling_bins(run)
        bin = bins[1] if bins else WHOLE  # noqa: A001
    made = Figure(figsize=(5.6, 5.0))
    _draw(made.subplots(), run, bin, layout)
    return made


@drawn
def traffic_side_by_side(run: ReportedRun, layout: Layout = "force") -> Figure:
    """Draw a quiet bin beside the loudest one."""
    made = Figure(figsize=(9.6, 4.6))
    axes = made.subplots(1, 2)
    bins = telling_bins(run)
    for place, number in enumerate(bins or ()):
        _draw(axes[place], run, number, layout)
    return made


def positions(edges: Sequence[Edge], layout: Layout) -> dict[str, tuple[float, float]]:
    """Return where each host lies, within a circle of radius one."""
    hosts = sorted({host for e in edges for host in (e.src, e.dst)}, key=_by_address)
    around = {
        host: (math.cos(2 * math.pi * k / len(hosts)), math.sin(2 * math.pi * k / len(hosts)))
        for k, host in enumerate(hosts)
    }
    if layout == "circle" or len(hosts) < 3:
        return around
    graph = nx.Graph()
    graph.add_nodes_from(hosts)
    graph.add_edges_from((e.src, e.dst) for e in edges)
    # Of networkx's layouts this one keeps apart what is not connected, and hosts that are.
    begin = {host: np.array(place) for host, place in around.items()}
    placed = nx.arf_layout(graph, pos=begin, seed=0, max_iter=300)
    middle = np.mean(list(placed.values()), axis=0)
    placed = {host: place - middle for host, place in placed.items()}
    reach = max(float(np.hypot(*p)) for p in placed.values()) or 1.0
    return {host: (float(p[0]) / reach, float(p[1]) / reach) for host, p in placed.items()}


def _by_address(host: str) -> tuple[int, list[int], str]:
    """Sort IPv4 addresses by number, and whatever else by its text, after them."""
    parts = host.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return 0, [int(part) for part in parts], host
    return 1, [], host


def _draw(axes: Axes, run: ReportedRun, number: int, layout: Layout) -> None:
    edges = run.edges.get(number)
    if not edges:
        msg = f"The run keeps no graph of bin {number}."
        raise ValueError(msg)
    place = positions(edges, layout)
    biggest = math.log1p(max(edge.bytes for edge in edges)) or 1.0
    for edge in sorted(edges, key=lambda edge: edge.alerts):
        (x0, y0), (x1, y1) = place[edge.src], place[edge.dst]
        loud = edge.alerts > 0
        width = 0.5 + 2.6 * math.log1p(edge.bytes) / biggest
        colour = INK["alert"] if loud else INK["benign"]
        arrow = {
            "arrowstyle": "-|>,head_width=0.18,head_length=0.35",
            "color": colour,
            "lw": width,
            "alpha": 0.95 if loud else 0.45,
            "shrinkA": 5,
            "shrinkB": 6,
            "connectionstyle": "arc3,rad=0.12",
            "zorder": 3 if loud else 2,
        }
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
    hosts = _hosts(edges)
    for host, (flows, alerts) in hosts.items():
        axes.scatter(
            [place[host][0]],
            [place[host][1]],
            s=20 + 12 * math.log1p(flows),
            zorder=4,
            color=INK["alert"] if alerts else INK["own"],
            edgecolor="#ffffff",
            linewidth=0.8,
        )
    for host in sorted(hosts, key=lambda host: (-hosts[host][1], -hosts[host][0]))[:NAMED]:
        axes.annotate(
            named(host, longest=24),
            place[host],
            (0, 7),
            textcoords="offset points",
            ha="center",
            size=6.5,
            color=INK["ink"],
            zorder=5,
        )
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.2, 1.2), aspect="equal")
    axes.set_axis_off()
    axes.set_title(named(title(run, number), longest=90), size=9)


def _hosts(edges: Sequence[Edge]) -> dict[str, tuple[int, int]]:
    """Return each host's flows and alerts."""
    hosts: dict[str, tuple[int, int]] = {}
    for edge in edges:
        for host in dict.fromkeys((edge.src, edge.dst)):
            flows, alerts = hosts.get(host, (0, 0))
            hosts[host] = flows + edge.flows, alerts + edge.alerts
    return hosts


def title(run: ReportedRun, number: int) -> str:
    """Say which bin this is and what happened in it, as far as is known."""
    if number == WHOLE:
        return f"whole test part: {run.facts.test_flows:,} flows, {run.facts.alerts:,} alerts"
    row = run.timeline[(run.timeline["bin"] == number).to_numpy()].iloc[0]
    names = sorted({e.attack for e in run.edges.get(number, ())} - {BENIGN, UNKNOWN})
    truth = f", truly: {', '.join(names[:3])}" if names else ""
    flows, alerts = int(row["flows"]), int(row["alerts"])
    said = f"{moment(run, int(row['start']))}: {flows:,} flows, {alerts:,} alerts{truth}"
    return printable(said)


def moment(run: ReportedRun, value: int) -> str:
    """Return a moment in words: time of day with its date, or the row number."""
    if not run.facts.clock:
        return f"row {value:,}"
    return f"{np.datetime64(value, 'us').astype('datetime64[s]')}".replace("T", " ")
