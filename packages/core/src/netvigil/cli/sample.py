"""`netvigil data sample`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from netvigil.cli.shared import EXISTING, as_json, print_facts, print_json


@click.command(epilog="Example: netvigil data sample --to office")
@click.option("--to", type=EXISTING, required=True, help="New or empty folder to write to.")
@click.option("--name", help="Which of the installed samples. Default: the first.")
@as_json
def sample(to: Path, name: str | None, *, as_json: bool) -> None:
    """Write out a small recorded network with attacks: capture, events, flows and labels."""
    from netvigil.plugins import load_plugins
    from netvigil.samples import write_sample

    written = asdict(write_sample(load_plugins(), to, name=name))
    if as_json:
        print_json(written)
        return
    print_facts(written)
    click.echo(f"\nNext: netvigil data inspect {written['flows']}")
