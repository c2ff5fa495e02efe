"""A comparison of two revisions as one offline page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from netvigil.bench import machine
from netvigil.bench.gate import Compared, Outcome
from netvigil.bench.shown import COLUMNS, cells, lines
from netvigil.report.pages import render
from netvigil.report.theme import INK, drawn, named, to_svg


def to_html(outcome: Outcome) -> str:
    """Return the page: what came of it, a picture of every case's interval, and all figures."""
    timed = [case for case in outcome.cases if case.facts]
    svg = to_svg(_picture(timed), name="cases", words="Time of each case with its interval")
    about = machine.fingerprint()
    said = f"{about['cpu']}, {about['cores']} cores, {about['platform']}, Python {about['python']}"
    return render(
        "compared.html",
        __package__ or "",
        scripts=("sort.js",),
        outcome=outcome,
        lines=list(lines(outcome)),
        picture=Markup(svg),  # noqa: S704 - Matplotlib escapes its texts
        columns=COLUMNS,
        rows=[cells(case) for case in outcome.cases],
        machines=[("Machine", said)],
    )


@drawn
def _picture(cases: Sequence[Compared]) -> Figure:
    made = Figure(figsize=(9.6, 1.0 + 0.24 * max(len(cases), 1)))
    axes = made.subplots()
    for row, case in enumerate(reversed(cases)):
        if case.facts is None:
            continue
        found, floor = case.facts.change, 1 + case.facts.floor
        axes.plot([1 / floor, floor], [row, row], color=INK["line"], linewidth=7)
        colour = INK["attack"] if case.reasons else INK["own"]
        axes.plot([found.low, found.high], [row, row], color=colour)
        axes.plot([found.ratio], [row], "o", color=colour, markersize=4)
    axes.axvline(1, color=INK["soft"], linewidth=0.8)
    axes.set_yticks(range(len(cases)), [named(case.name) for case in reversed(cases)])
    axes.set_xscale("log")
    axes.set_xlabel("time of head / time of base; grey: what does not count")
    axes.minorticks_off()
    ends = [0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0]
    axes.set_xticks(ends, [f"{end:g}" for end in ends])
    return made
