"""`netvigil report`."""

from __future__ import annotations

from pathlib import Path

import click

from netvigil.cli.shared import EXISTING, as_json, phases, print_json


@click.command(epilog="Example: netvigil report netvigil-runs/unsw --png figures")
@click.argument("runs", type=EXISTING, nargs=-1, required=True)
@click.option(
    "--to", "page", type=EXISTING, help="Page to write. Default: report.html in the run's folder"
)
@click.option(
    "--png", "folder", type=EXISTING, help="Write every figure as PNG to this folder too."
)
@as_json
def report(
    runs: tuple[Path, ...], page: Path | None, folder: Path | None, *, as_json: bool
) -> None:
    """Draw finished RUNS as one offline page: run folders, or folders that hold some.

    Of several runs the page compares all and has a tab for each; --to is needed then, unless they
    lie in one folder.
    """
    from netvigil.report.runs import open_runs
    from netvigil.report.write import page_path, write_page, write_pngs

    path = page or page_path(runs)
    found, notes = open_runs(runs)
    watch = phases(quiet=as_json)
    write_page(found, path, notes=notes, phases=watch)
    pngs = write_pngs(found, folder, phases=watch) if folder else []
    if as_json:
        print_json({"report": str(path), "figures": [str(png) for png in pngs]})
        return
    click.echo(f"Report: {path}")
    if folder:
        click.echo(f"Figures: {len(pngs)} in {folder}")
