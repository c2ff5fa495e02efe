"""`netvigil generate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from netvigil.cli.shared import (
    EXISTING,
    as_json,
    options_option,
    phases,
    print_result,
)


@click.command(epilog="Example: netvigil generate unsw.toml --to synthetic --windows 100")
@click.argument("file", type=EXISTING)
@click.option("--to", type=EXISTING, required=True, help="Folder to write to.")
@click.option("--windows", type=click.IntRange(1), help="How many. Default: as the train part.")
@click.option("--class", "condition", help="Make this class alone. Default: the generator's plan.")
@click.option("--seed", type=int, help="Of fitting and drawing. Default: the first of run.seeds.")
@options_option
@as_json
def generate(
    file: Path,
    to: Path,
    windows: int | None,
    condition: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Learn the train part of experiment FILE and make new traffic like it, with any balance.

    Writes synthetic flows with their labels (a source for every other command), the windows they
    stand in as arrays, a picture of real and synthetic flows, and a receipt. The generator is that
    of the section [generator], by default cggm; the test part of the split is left alone.
    """
    from netvigil import generating
    from netvigil.config import load_experiment
    from netvigil.plugins import load_plugins

    own = {
        "generator.windows": windows,
        "generator.condition": condition,
        "run.seeds": None if seed is None else [seed],
    }
    # A text in JSON is one in TOML too.
    given = tuple(f"{key}={json.dumps(value)}" for key, value in own.items() if value is not None)
    experiment = load_experiment(file, (*overrides, *given))
    watch = phases(quiet=as_json)
    done = generating.generate(experiment, load_plugins(), base=file.parent, out=to, phases=watch)
    print_result(done, as_json=as_json)
    if not as_json:
        click.echo(f"Next: netvigil data inspect {to / generating.FLOWS}")
