"""What commands share: options, the progress display, and printing for people or machines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from netvigil.phases import Advance, Display, Phases, Quiet

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
EXISTING = click.Path(path_type=Path)
SOURCE = click.argument("source", type=EXISTING)


def reader_options(function: F) -> F:
    """Add `--format` and `--reader-set`, which every command that reads a source has."""
    settings = click.option(
        "--reader-set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting of the reader, such as idle_timeout_s=60; may be repeated.",
    )
    chosen = click.option(
        "--format", "reader", default="auto", show_default=True, help="Dialect; auto detects it."
    )
    return chosen(settings(function))


def labeller_options(function: F) -> F:
    """Add `--labeller`, `--truth` and `--labeller-set`."""
    settings = click.option(
        "--labeller-set",
        "label_settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting of the labeller, such as tolerance_s=1; may be repeated.",
    )
    truth = click.option("--truth", type=EXISTING, help="The labeller's file of truth.")
    return click.option("--labeller", help="Who labels: inline, events, ground-truth, table.")(
        truth(settings(function))
    )


def options_option(function: F) -> F:
    """Add `--set section.key=value`."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Override one setting of the experiment file; may be repeated.",
    )(function)


@dataclass(frozen=True)
class Bars:
    """Progress bars on standard error, through rich; without `keep` a finished one vanishes."""

    keep: bool = True

    @contextmanager
    def phase(self, name: str, total: int | None) -> Iterator[Advance]:
        """Show one bar while a phase runs."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            SpinnerColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            SpinnerColumn(finished_text="[green]done"),
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TextColumn("{task.fields[counted]:>18}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=not self.keep) as progress:
            task = progress.add_task(name, total=total, counted="")

            def advance(flows: int) -> None:
                done = progress.tasks[0].completed + flows
                progress.update(task, completed=done, counted=f"{done:,.0f} flows")

            yield advance
            done = max(progress.tasks[0].completed, 1)
            progress.update(task, total=done, completed=done)


@contextmanager
def telling(title: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, in one line that changes, where a person is looking."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(title) as status:
        yield lambda text: status.update(f"{title}: {escape(text)}")


def phases(*, quiet: bool = False, keep: bool = True) -> Phases:
    """Return phases with bars where a person is looking, else without."""
    display: Display = Quiet() if quiet or not sys.stderr.isatty() else Bars(keep)
    return Phases(display)


def print_json(value: object) -> None:
    """Print a value as JSON on standard output; JSON has no infinity, so null stands for it."""
    click.echo(json.dumps(_finite(value), indent=2, default=str, allow_nan=False))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; every cell is escaped, as it may hold text from traffic."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from netvigil.evaluation.table import printable

    table = Table(title=title or None, title_justify="left", show_edge=False)
    for name in columns:
        table.add_column(escape(name))
    for row in rows:
        table.add_row(*(escape(printable(str(cell))) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def print_facts(facts: Mapping[str, object] | Sequence[tuple[str, object]]) -> None:
    """Print `name  value` lines; values are escaped."""
    from netvigil.evaluation.table import printable

    lines = list(facts.items()) if isinstance(facts, Mapping) else facts
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{name:<{width}}  {printable(str(value))}")


def print_result(values: Mapping[str, object], *, as_json: bool) -> None:
    """Print what a command did, for machines or people."""
    if as_json:
        print_json(values)
    else:
        print_facts({name: in_words(value) for name, value in values.items()})


def in_words(value: object) -> str:
    """Return a value as people write it; nothing is "none"."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {in_words(v)}" for name, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(str(v) for v in value) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
