"""`netvigil compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netvigil.cli.shared import EXISTING, as_json, print_json

if TYPE_CHECKING:
    from netvigil.comparison import Comparison, Figure


@click.command(epilog="Example: netvigil compare netvigil-runs/unsw netvigil-runs/westermo --wide")
@click.argument("runs", type=EXISTING, nargs=-1, required=True)
@click.option("--csv", "csv_file", type=EXISTING, help="Write every row and figure to this file.")
@click.option("--html", "html_file", type=EXISTING, help="Write one offline page to this file.")
@click.option("--wide", is_flag=True, help="Methods as rows, data as columns.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--metrics", help="Figures to show, with commas: auroc,auprc,f1.")
@click.option("--sort", default="name", show_default=True, help="`name`, or a figure's name.")
@as_json
def compare(
    runs: tuple[Path, ...],
    csv_file: Path | None,
    html_file: Path | None,
    metrics: str | None,
    sort: str,
    *,
    wide: bool,
    markdown: bool,
    as_json: bool,
) -> None:
    """Put finished RUNS side by side: run folders, or folders that hold some, such as a suite's.

    Rows compare where they were judged on the same test flows; a note says where they were not.
    """
    from netvigil import comparison as compared

    if markdown and as_json:
        msg = "--markdown and --json exclude each other."
        raise click.UsageError(msg)
    figures = compared.chosen(metrics, compared.WIDE if wide else compared.LONG)
    by = None if sort == "name" else compared.chosen(sort, (), option="--sort")[0]
    found, notes = compared.find_runs(runs)
    result = compared.compare(found, sort=by, notes=notes)
    if csv_file is not None:
        compared.write_file(csv_file, compared.to_csv(result, figures if metrics else ()))
    if html_file is not None:
        shown = figures if metrics else None
        compared.write_file(html_file, compared.to_html(result, wide=shown, long=shown))
    if as_json:
        rows = compared.to_rows(result, figures if metrics else ())
        print_json({"rows": rows, "notes": list(result.notes)})
    elif markdown:
        click.echo(compared.to_markdown(result, figures, wide=wide), nl=False)
    else:
        show(result, figures, wide=wide)
        for path in (csv_file, html_file):
            if path is not None:
                click.echo(f"Written: {path}")


def show(result: Comparison, figures: tuple[Figure, ...], *, wide: bool) -> None:
    """Print a comparison for people."""
    from rich.console import Console

    from netvigil import comparison as compared

    grid = (compared.wide_grid if wide else compared.long_grid)(result, figures)
    Console(width=None if sys.stdout.isatty() else 160).print(grid)
    for line in (compared.caption(figures, wide=wide), *compared.words(result)):
        click.echo(line)
