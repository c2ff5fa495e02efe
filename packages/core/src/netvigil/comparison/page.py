"""One offline HTML file of a comparison; `netvigil.report.pages` says what makes it harmless."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from netvigil.comparison.figures import LONG, WIDE, Figure, cell, chosen
from netvigil.comparison.marks import LEGEND, legend_of
from netvigil.comparison.rows import Comparison, Row
from netvigil.comparison.tables import caption, run_words
from netvigil.evaluation import Spread, receipt_lines
from netvigil.evaluation.table import ABSENT
from netvigil.report.pages import render

WIDTH = 120
"""The picture's length in its own units: a score of 0 at the left end, 1 at the right."""


@dataclass(frozen=True)
class Picture:
    """A bar of the AUPRC with its interval and base rate, all in units of the picture."""

    bar: float
    base: float
    low: float | None
    high: float | None
    words: str


def to_html(
    comparison: Comparison,
    *,
    wide: Sequence[Figure] | None = None,
    long: Sequence[Figure] | None = None,
) -> str:
    """Return the whole page: methods by data, all figures, and each run's receipt, folded."""
    wide = wide if wide is not None else chosen(None, WIDE)
    long = long if long is not None else chosen(None, LONG)
    axes = _axes(comparison)
    return render(
        "page.html",
        __package__ or "",
        scripts=("sort.js", "filter.js"),
        comparison=comparison,
        legend=legend_of(row.marks for row in comparison.rows),
        wide=wide,
        caption=caption(wide, wide=True),
        lines=comparison.lines(),
        axes=axes,
        receipts=[(run.name, receipt_lines(run.receipt)) for run in comparison.runs],
        parts=parts,
        **table_values(comparison.rows, long),
    )


def _axes(comparison: Comparison) -> list[tuple[str, Markup]]:
    """Return a picture of each axis of a suite; Matplotlib is imported where there is one."""
    if not any(run.at for run in comparison.runs):
        return []
    from netvigil.report.axes import axis_effect, sweeps
    from netvigil.report.theme import to_svg

    drawn = []
    for number, sweep in enumerate(sweeps(comparison)):
        words = f"AUROC, AUPRC and F1 over {sweep.axis}: {', '.join(sweep.values)}"
        svg = to_svg(axis_effect(comparison, sweep), name=f"axis-{number}", words=words)
        drawn.append((sweep.axis, Markup(svg)))  # noqa: S704 - Matplotlib escapes its texts
    return drawn


def table_values(rows: Sequence[Row], figures: Sequence[Figure]) -> dict[str, Any]:
    """Return what `figures.html`, the sortable table of all figures, is filled with."""
    return {
        "rows": [_cells(row, figures) for row in rows],
        "long": figures,
        "meanings": LEGEND,
        "picture": picture,
        "run_words": run_words,
        "width": WIDTH,
        "single": len({run.name for row in rows for run in row.runs}) == 1,
    }


def picture(row: Row) -> Picture | None:
    """Return what the picture of a row shows; None where the AUPRC is undefined."""
    spread = row.method.metrics.get("auprc")
    if spread is None or spread.mean is None:
        return None
    base = row.ground.prevalence or 0.0
    said = f"AUPRC {spread.mean:.3f}"
    low, high = spread.low, spread.high
    if low is not None and high is not None:
        said += f", interval {low:.3f} to {high:.3f}"
    scaled = [None if v is None else round(v * WIDTH, 2) for v in (low, high)]
    return Picture(
        bar=round(spread.mean * WIDTH, 2),
        base=round(base * WIDTH, 2),
        low=scaled[0],
        high=scaled[1],
        words=f"{said}, base rate {base:.3f}",
    )


def parts(figures: Sequence[Figure], row: Row) -> Iterator[tuple[str, str]]:
    """Yield what a cell of the overview holds: each figure's mean, and its deviation or nothing."""
    for place, figure in enumerate(figures):
        value, mean = figure.of(row.method), figure.mean(row.method)
        spread = ""
        if place == 0 and isinstance(value, Spread) and value.sd:
            spread = f"±{value.sd:{figure.form}}".replace("±0.", "±.")
        yield (ABSENT if mean is None else f"{mean:{figure.form}}"), spread


def _cells(row: Row, figures: Sequence[Figure]) -> tuple[Row, list[tuple[Any, str]]]:
    return row, [(figure.mean(row.method), cell(figure, row.method)) for figure in figures]
