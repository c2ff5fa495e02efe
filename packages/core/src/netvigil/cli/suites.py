"""What `netvigil run` does with a suite."""

from __future__ import annotations

from pathlib import Path

import click

from netvigil.cli.shared import phases, print_json


def run_suite(
    file: Path,
    out: Path,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    *,
    resume: bool,
    as_json: bool,
) -> None:
    """Run a suite, write its comparison, print both; exit with 1 where something failed."""
    from netvigil import comparison, suite
    from netvigil.cli.compare import show as show_comparison
    from netvigil.plugins import load_plugins

    outcomes = suite.run_suite(
        suite.load_suite(file, overrides).only(only),
        load_plugins(),
        out=out,
        make_phases=lambda: phases(quiet=as_json),
        resume=resume,
        say=lambda text: None if as_json else _say(text),
    )
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    written = []
    if any(outcome.folder.exists() for outcome in outcomes):
        runs, notes = comparison.find_runs([out])
        compared = comparison.compare(runs, notes=notes)
        written = comparison.write_all(compared, out)
        if not as_json:
            show_comparison(compared, comparison.chosen(None, comparison.WIDE), wide=True)
    if as_json:
        rows = [{"name": o.name, "state": o.state, "reason": o.reason} for o in outcomes]
        print_json({"suite": str(out), "combinations": rows, "files": [str(p) for p in written]})
    else:
        click.echo(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} runs are whole. {out}")
        for path in written:
            click.echo(f"Written: {path}")
        for outcome in failed:
            _say(f"Failed: {outcome.name}: {outcome.reason}")
    if failed:
        click.get_current_context().exit(1)


def _say(text: str) -> None:
    """Tell the person who waits, without what a terminal would obey."""
    from netvigil.evaluation import printable

    click.echo(printable(text), err=True)
