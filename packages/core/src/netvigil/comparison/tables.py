"""A comparison for terminals, READMEs, spreadsheets and machines.

Names come out of folders, traffic and label files, so they are hostile: control characters are
shown as escapes, and each format's own markup is defused.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table

from netvigil.comparison.figures import FIGURES, Figure, brief, cell
from netvigil.comparison.marks import legend_of
from netvigil.comparison.rows import Comparison, Ground, Line, Row
from netvigil.evaluation import Spread, printable
from netvigil.evaluation.table import (
    ABSENT,
    PADDING,
    csv_cell,
    fill_lines,
    markdown_cell,
    markdown_row,
)

FIGURES_ONLY = re.compile(r"[0-9 .,±/\[\]–-]*")  # noqa: RUF001 - the sign for an absent figure
"""Numbers with deviation and interval make no markup, and stay readable in the text of a README."""


@dataclass(frozen=True)
class Grid:
    """Cells of plain text. The first `fixed` columns name a row; `dim` rows are baselines.

    As something rich can print: as many tables below each other as the width asks for, each with
    the fixed columns; no column is squeezed or dropped. `breaks` are rows that begin a section.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    fixed: int
    dim: tuple[bool, ...]
    breaks: frozenset[int] = frozenset()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [
            [escape(printable(c)) for c in column]
            for column in zip(self.header, *self.rows, strict=True)
        ]
        widths = [max(map(cell_len, column)) + PADDING for column in columns]
        room = options.max_width - sum(widths[: self.fixed]) - 1
        for group in fill_lines(widths[self.fixed :], room):
            places = (*range(self.fixed), *(self.fixed + place for place in group))
            table = Table()
            for place in places:
                side: Literal["left", "right"] = "left" if place < self.fixed else "right"
                table.add_column(columns[place][0], justify=side, no_wrap=True)
            for row, dim in enumerate(self.dim):
                if row in self.breaks:
                    table.add_section()
                cells = [columns[place][row + 1] for place in places]
                table.add_row(*cells, style="dim" if dim else "")
            yield table

    def markdown(self) -> str:
        """Return the table for a README; baselines are in italics, methods in bold."""
        rule = ["---"] * self.fixed + ["---:"] * (len(self.header) - self.fixed)
        lines = [markdown_row([_markdown(name) for name in self.header]), markdown_row(rule)]
        for row, dim in zip(self.rows, self.dim, strict=True):
            cells = [_markdown(c) for c in row]
            around = "*" if dim else "**"
            name = self.header.index("method")
            if cells[name]:
                cells[name] = f"{around}{cells[name]}{around}"
            lines.append(markdown_row(cells))
        return "\n".join(lines) + "\n"


def long_grid(comparison: Comparison, figures: Sequence[Figure]) -> Grid:
    """Return one row for each method on each ground."""
    header = ("data", "method", "run", "kind", "base rate", *(f.header for f in figures), "seeds")
    rows = comparison.rows
    grounds = [row.ground for row in rows]
    return Grid(
        header=header,
        rows=tuple(
            (
                row.ground.name,
                marked(row.method.method, row.marks),
                run_words(row),
                row.method.kind,
                _rate(row.ground),
                *(cell(figure, row.method) for figure in figures),
                str(len(row.method.seeds) or ABSENT),
            )
            for row in rows
        ),
        fixed=2,
        dim=tuple(row.baseline for row in rows),
        breaks=frozenset(i for i in range(1, len(rows)) if grounds[i] != grounds[i - 1]),
    )


def wide_grid(comparison: Comparison, figures: Sequence[Figure]) -> Grid:
    """Return methods as rows and grounds as columns; the first row says what the grounds hold."""
    lines = comparison.lines()
    facts = tuple(f"{g.flows:,}, {_rate(g)}" for g in comparison.grounds)
    return Grid(
        header=("method", *(ground.name for ground in comparison.grounds)),
        rows=(
            ("test flows, base rate", *facts),
            *(
                (marked(line.name, line.marks), *_wide_cells(line, comparison.grounds, figures))
                for line in lines
            ),
        ),
        fixed=1,
        dim=(True, *(line.kind == "baseline" for line in lines)),
    )


def caption(figures: Sequence[Figure], *, wide: bool) -> str:
    """Say what stands in the cells."""
    if wide:
        names = " / ".join(figure.header for figure in figures)
        return f"{names}: the mean over seeds, ± the deviation of the first over seeds."
    return "Mean over seeds ± deviation over seeds, [95 % interval from resampled test flows]."


def words(comparison: Comparison) -> list[str]:
    """Return the notes and the legend of the signs, a line each."""
    legend = legend_of(row.marks for row in comparison.rows)
    lines = [*comparison.notes, *(f"{{{sign}}} {meaning}." for sign, meaning in legend.items())]
    return [printable(line) for line in lines]


def to_markdown(comparison: Comparison, figures: Sequence[Figure], *, wide: bool) -> str:
    """Return a table with its caption, notes and legend."""
    grid = (wide_grid if wide else long_grid)(comparison, figures)
    below = [_markdown(line) for line in (caption(figures, wide=wide), *words(comparison))]
    return f"{grid.markdown()}\n" + "\n\n".join(below) + "\n"


def to_csv(comparison: Comparison, figures: Sequence[Figure] = ()) -> str:
    """Return the long table; mean, deviation and interval have columns of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, row in enumerate(to_rows(comparison, figures)):
        if number == 0:
            writer.writerow(row)
        writer.writerow([csv_cell(value) for value in row.values()])
    return out.getvalue()


def to_rows(comparison: Comparison, figures: Sequence[Figure] = ()) -> list[dict[str, Any]]:
    """Return plain values, one mapping per row, missing figures as None; without names, all.

    `axis_<name>` is the row's value on an axis of a suite, None where it has none or several.
    """
    axes = dict.fromkeys(axis for run in comparison.runs for axis in run.at)
    return [
        {
            "data": row.ground.name,
            "source": row.ground.data,
            "sha256": " ".join(row.ground.sha256),
            "excluded": ", ".join(row.ground.excluded),
            "test_first": row.ground.first,
            "test_last": row.ground.last,
            "method": row.method.method,
            "kind": row.method.kind,
            "marks": " ".join(row.marks),
            "seeds": len(row.method.seeds),
            "runs": ", ".join(run.name for run in row.runs),
            **{f"axis_{axis}": _value(row, axis) for axis in axes},
            "flows": row.ground.flows,
            "attacks": row.ground.attacks,
            "prevalence": row.ground.prevalence,
            **dict(_values(row, figures or tuple(FIGURES.values()))),
        }
        for row in comparison.rows
    ]


def marked(name: str, marks: Sequence[str]) -> str:
    """Return a method's name with its signs: `anomal-e + hbos {P F}`."""
    return f"{name} {{{' '.join(marks)}}}" if marks else name


def run_words(row: Row) -> str:
    """Name a row's run; a baseline that several share says how many."""
    return row.runs[0].name if len(row.runs) == 1 else f"{len(row.runs)} runs"


def _values(row: Row, figures: Sequence[Figure]) -> Iterator[tuple[str, float | None]]:
    for figure in figures:
        yield figure.key, figure.mean(row.method)
        if not figure.timed:
            value = figure.of(row.method)
            for end in ("sd", "low", "high"):
                yield (
                    f"{figure.key}_{end}",
                    getattr(value, end) if isinstance(value, Spread) else None,
                )


def _value(row: Row, axis: str) -> str | None:
    values = {run.at.get(axis) for run in row.runs}
    return values.pop() if len(values) == 1 else None


def _wide_cells(line: Line, grounds: Sequence[Ground], figures: Sequence[Figure]) -> Iterator[str]:
    for ground in grounds:
        row = line.cells.get(ground)
        yield "" if row is None else brief(figures, row.method)


def _rate(ground: Ground) -> str:
    return ABSENT if ground.prevalence is None else f"{ground.prevalence:.4f}"


def _markdown(text: str) -> str:
    if FIGURES_ONLY.fullmatch(text):
        return text
    return markdown_cell(text)
