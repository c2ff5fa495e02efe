"""What a classifier says of each class, for terminals and READMEs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from netvigil.evaluation.results import ClassReport, ClassResult, Headline, MethodResult, Spread
from netvigil.evaluation.table import (
    ABSENT,
    PADDING,
    fill_lines,
    markdown_cell,
    markdown_row,
    printable,
)

WHOLE: Mapping[str, tuple[str, str]] = {
    "accuracy": ("accuracy", ".4f"),
    "balanced_accuracy": ("balanced accuracy", ".4f"),
    "class_macro_f1": ("macro F1", ".4f"),
    "log_loss": ("log loss", ".4f"),
    "brier": ("Brier", ".4f"),
    "ece": ("calibration error", ".4f"),
}
"""Figure over all classes -> its header and form."""
UNTAUGHT = "only in the test part"


@dataclass(frozen=True)
class ClassView:
    """The classifiers of a headline over all classes, and the first of them class by class.

    The confusion matrix stands beside the classes: how many flows of a row's class were taken for
    the class of each number, with the first seed. Nothing is squeezed or dropped.
    """

    headline: Headline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        methods = _classifiers(self.headline)
        if not methods:
            return
        yield Text("Classes by arg max; mean ± sd over seeds", style="italic")
        headers = [header for header, _ in WHOLE.values()]
        rows = [[m.title, *_whole(m)] for m in methods]
        yield from _tables(["classifier", *headers], rows, 1, options.max_width)
        own, report = methods[0], _report(methods[0])
        unseen = f"; {report.unseen_flows:,} flows of classes {UNTAUGHT}" * bool(
            report.unseen_flows
        )
        title = f"{printable(own.title)}: each class, and what its flows were taken for{unseen}"
        yield Text(title, style="italic")
        taught = sum(each.taught for each in report.classes)
        headers = ["#", "class", "flows", "precision", "recall", "F1"]
        headers += [f"as {place + 1}" for place in range(taught)]
        rows = [
            [str(place + 1), *_row(each), *(f"{n:,}" if n else "·" for n in counts)]
            for place, (each, counts) in enumerate(
                zip(report.classes, report.confusion, strict=True)
            )
        ]
        yield from _tables(headers, rows, 2, options.max_width)


def classes_to_markdown(headline: Headline) -> str:
    """Return the classifiers over all classes, and recall by class, as two tables for a README."""
    methods = _classifiers(headline)
    if not methods:
        return ""
    headers = ["classifier", *(header for header, _ in WHOLE.values())]
    lines = [markdown_row(headers), _rule(len(headers))]
    lines += [markdown_row([markdown_cell(m.title), *_whole(m)]) for m in methods]
    headers = ["recall of", "flows", *(markdown_cell(m.method) for m in methods)]
    lines += ["", markdown_row(headers), _rule(len(headers))]
    for each in _report(methods[0]).classes:
        found = {m.method: _of(m, each.name) for m in methods}
        cells = [ABSENT if c is None else _spread(c.recall, ".3f") for c in found.values()]
        lines.append(markdown_row([markdown_cell(_name(each)), f"{each.support:,}", *cells]))
    return "\n".join(lines) + "\n"


def _tables(
    headers: Sequence[str], rows: Sequence[Sequence[str]], fixed: int, width: int
) -> Iterator[Table]:
    """Yield as many tables below each other as the width asks for; the first columns repeat."""
    widths = [
        max(map(cell_len, (header, *(row[place] for row in rows)))) + PADDING
        for place, header in enumerate(headers)
    ]
    for group in fill_lines(widths[fixed:], width - sum(widths[:fixed]) - 1):
        table = Table()
        places = [*range(fixed), *(place + fixed for place in group)]
        for place in places:
            left = "left" if headers[place] in {"classifier", "class"} else "right"
            table.add_column(headers[place], justify=left, no_wrap=True)  # type: ignore[arg-type]
        for row in rows:
            table.add_row(*(escape(printable(row[place])) for place in places))
        yield table


def _row(each: ClassResult) -> list[str]:
    figures = [_spread(s, ".3f") for s in (each.precision, each.recall, each.f1)]
    return [_name(each), f"{each.support:,}", *figures]


def _name(each: ClassResult) -> str:
    return each.name if each.taught else f"{each.name} ({UNTAUGHT})"


def _whole(method: MethodResult) -> list[str]:
    report = _report(method)
    return [_spread(report.metrics[key], form) for key, (_, form) in WHOLE.items()]


def _classifiers(headline: Headline) -> list[MethodResult]:
    return [method for method in headline.methods if method.classes is not None]


def _report(method: MethodResult) -> ClassReport:
    assert method.classes is not None
    return method.classes


def _of(method: MethodResult, name: str) -> ClassResult | None:
    return next((each for each in _report(method).classes if each.name == name), None)


def _rule(columns: int) -> str:
    return markdown_row(["---", *["---:"] * (columns - 1)])


def _spread(spread: Spread, form: str) -> str:
    if spread.mean is None:
        return ABSENT
    return f"{spread.mean:{form}}" + (f" ± {spread.sd:{form}}" if spread.sd else "")
