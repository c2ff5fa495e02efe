"""One offline HTML file of an inspection; `netvigil.report.pages` says what makes it harmless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netvigil.inspection import figures, words
from netvigil.inspection.columns import Column
from netvigil.inspection.histograms import Histogram
from netvigil.inspection.measure import Inspection, numeric_features
from netvigil.inspection.memory import totals
from netvigil.phases import Phases
from netvigil.report.files import write_file
from netvigil.report.pages import render
from netvigil.report.theme import to_svg

PANELS = 60
"""Distributions on a page: more would make it long and large, and the first tell the most."""
BAR = 44
"""Length of the bar of missing values, in its own units."""


@dataclass(frozen=True)
class Panel:
    """One distribution: its feature, its picture, the distance of benign flows and attacks."""

    column: Column
    svg: str
    distance: float | None


def to_html(found: Inspection, facts: Mapping[str, Any], labels: str) -> str:
    """Return the page.

    `facts` are what `dataset.inspect` says about the source, `labels` where its labels come from.
    """
    classes = found.classes
    columns = {column.name: column for column in found.columns}
    stored, plain, small = totals(found.memory)
    return render(
        "page.html",
        __package__ or "",
        scripts=("sort.js",),
        style="page.css",
        found=found,
        facts=facts,
        labels=labels,
        name=Path(facts["source"]).name,
        columns=columns,
        classes=[(each, figures.variable(each)) for each in classes.listed],
        sides=[(side, figures.SIDES[side]) for side in classes.sides],
        panels=_panels(found, columns),
        left_out=_left_out(found, columns),
        over_time=_svg(
            figures.over_time(found.timeline, classes),
            "over-time",
            "Share of each class over time" if classes.labelled else "Flows over time",
        ),
        heat_map=_heat_map(found),
        shades=_shades(),
        memory={"stored": stored, "plain": plain, "small": small},
        summary=list(summary(found)),
        words=words,
        bar=BAR,
        layout=_layout(found),
    )


def write_page(
    path: Path, found: Inspection, facts: Mapping[str, Any], labels: str, phases: Phases
) -> None:
    """Write the page, in place of an older one."""
    with phases.phase("draw", len(found.histograms)):
        text = to_html(found, facts, labels)
    write_file(path, text)


def summary(found: Inspection) -> list[str]:
    """Return what a reader should know first, in sentences; names are left to the page's tables."""
    columns = found.columns
    said = []
    used = sum(c.use == "feature" for c in columns)
    denied = sum(c.use == "denied" for c in columns)
    said.append(
        f"{len(columns)} columns, {used} of them features by default"
        + (f"; {denied} more are denied as shortcuts." if denied else ".")
    )
    partly = sum(0 < c.missing < c.flows for c in columns)
    empty = sum(c.empty for c in columns)
    constant = sum(c.constant for c in columns)
    if partly or empty:
        said.append(
            f"{_some(partly)} with some values missing, {empty or 'none'} with all of them."
        )
    if constant:
        said.append(f"{_some(constant)} with one value only.")
    if found.classes.labelled:
        attacks = sum(c.flows for c in found.classes.listed if c.side == "attack")
        unknown = sum(c.flows for c in found.classes.listed if c.side == "unknown")
        sentence = f"{words.share(attacks, found.flows)} of the flows are attacks"
        if unknown:
            sentence += f", {words.share(unknown, found.flows)} are unknown"
        said.append(f"{sentence}.")
    strong = sum(abs(pair.rho) >= 0.95 for pair in found.correlation.pairs)
    if strong:
        most = "at least " if strong == len(found.correlation.pairs) else ""
        said.append(
            f"{most}{strong} pairs of features rank flows nearly alike (correlation 0.95 or more)."
        )
    _, plain, small = totals(found.memory)
    said.append(
        f"Down-cast, the flows take {words.size(small)} in memory instead of"
        f" {words.size(plain)} in plain pandas."
    )
    return [sentence[0].upper() + sentence[1:] for sentence in said]


def _some(count: int) -> str:
    return f"{count} column{'s' if count != 1 else ''}"


def _panels(found: Inspection, columns: Mapping[str, Column]) -> list[Panel]:
    sides = found.classes.sides
    panels = []
    for place, histogram in enumerate(found.histograms[:PANELS]):
        apart = distance(histogram, sides)
        said = f"Distribution of {histogram.name}"
        if apart is not None:
            said += f", distance of benign flows and attacks {apart:.2f}"
        svg = _svg(figures.distribution(histogram, sides), f"d{place}", said)
        panels.append(Panel(columns[histogram.name], svg, apart))
    return panels


def distance(histogram: Histogram, sides: tuple[str, ...]) -> float | None:
    """Return how far benign flows and attacks lie apart, None where one of them is absent."""
    if "benign" not in sides or "attack" not in sides:
        return None
    return histogram.distance(sides.index("benign"), sides.index("attack"))


def _left_out(found: Inspection, columns: Mapping[str, Column]) -> list[str]:
    shown = {histogram.name for histogram in found.histograms}
    return [name for name in numeric_features(list(columns)) if name not in shown]


def _heat_map(found: Inspection) -> str | None:
    if len(found.correlation.names) < 2:
        return None
    return _svg(figures.heat_map(found.correlation), "heat", "Rank correlation of all features")


def _svg(made: Any, name: str, said: str) -> str:
    return to_svg(made, name=name, words=said)


def _shades() -> list[tuple[str, float, str]]:
    """Return the heat map's legend: variable, opacity, range."""
    steps = list(zip(figures.LEVELS[:-1], figures.LEVELS[1:], figures.SHADES, strict=True))
    below = [(figures.NEGATIVE, s, f"{-high:g} to {-low:g}") for low, high, s in reversed(steps)]
    above = [(figures.POSITIVE, s, f"{low:g} to {high:g}") for low, high, s in steps]
    return [*below, ("card", 1.0, f"within ±{figures.LEVELS[0]:g}"), *above]


def _layout(found: Inspection) -> dict[str, float]:
    """Return the heat map's width on a wide screen, pixels, and on a small one."""
    inches = figures.heat_map_size(found.correlation)
    return {"wide": round(inches * 118), "narrow": round(inches * 78)}
