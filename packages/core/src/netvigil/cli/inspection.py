"""`netvigil data inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netvigil.cli.shared import (
    EXISTING,
    SOURCE,
    as_json,
    in_words,
    labeller_options,
    phases,
    print_facts,
    print_json,
    print_table,
    reader_options,
)


@click.command(epilog="Example: netvigil data inspect capture.pcap --html capture.html")
@SOURCE
@reader_options
@click.option("--labels", type=EXISTING, help="Label file. Default: SOURCE's .labels.parquet")
@labeller_options
@click.option(
    "--html",
    type=EXISTING,
    help="Also write a page: columns, distributions by class, correlation, rare values, memory.",
)
@as_json
def inspect(
    source: Path,
    reader: str,
    settings: tuple[str, ...],
    labels: Path | None,
    labeller: str | None,
    truth: Path | None,
    label_settings: tuple[str, ...],
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say what SOURCE is: dialect and why, rows, times, hosts, columns, row accounting, labels."""
    from netvigil import dataset

    choice = dataset.labeller_choice(labeller, truth, label_settings)
    watch = phases(quiet=as_json)
    with dataset.opened(source, reader, settings, watch) as opened:
        found = dataset.inspect(opened, labels)
        if html is not None or choice is not None:
            from netvigil.inspection import look_into

            found |= look_into(opened, found, watch, html=html, labels=labels, choice=choice)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    columns, attacks = found.pop("columns"), found.pop("labels")
    print_facts({name: in_words(value) for name, value in found.items()})
    rows = [(c["name"], c["type"], f"{c['missing']:,}", c["use"]) for c in columns]
    print_table("", ("column", "type", "missing", "use"), rows)
    if attacks:
        classes = [(name, f"{count:,}") for name, count in attacks.items()]
        print_table("labels", ("class", "flows"), classes)
