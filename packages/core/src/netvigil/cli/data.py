"""`netvigil data inspect`, `convert`, `label`, `join`, `audit`, `sample`."""

from __future__ import annotations

from pathlib import Path

import click

from netvigil.cli.sample import sample
from netvigil.cli.shared import (
    EXISTING,
    F,
    as_json,
    in_words,
    phases,
    print_facts,
    print_json,
    print_result,
    print_table,
)

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


@click.group()
def data() -> None:
    """Inspect, convert, label, join and audit flows; write a sample."""


data.add_command(sample)


@data.command(epilog="Example: netvigil data inspect capture.pcap")
@SOURCE
@reader_options
@click.option("--labels", type=EXISTING, help="Label file. Default: SOURCE's .labels.parquet")
@as_json
def inspect(
    source: Path, reader: str, settings: tuple[str, ...], labels: Path | None, *, as_json: bool
) -> None:
    """Say what SOURCE is: dialect and why, rows, times, hosts, columns, row accounting, labels."""
    from netvigil import dataset

    with dataset.opened(source, reader, settings, phases(quiet=as_json)) as opened:
        found = dataset.inspect(opened, labels)
    if as_json:
        print_json(found)
        return
    columns, attacks = found.pop("columns"), found.pop("labels")
    print_facts({name: in_words(value) for name, value in found.items()})
    rows = [(c["name"], c["type"], f"{c['missing']:,}", c["use"]) for c in columns]
    print_table("", ("column", "type", "missing", "use"), rows)
    if attacks:
        classes = [(name, f"{count:,}") for name, count in attacks.items()]
        print_table("labels", ("class", "flows"), classes)


@data.command(epilog="Example: netvigil data convert conn.log --to conn.parquet --labeller inline")
@SOURCE
@click.option("--to", type=EXISTING, required=True, help="Parquet file to write.")
@reader_options
@labeller_options
@as_json
def convert(
    source: Path,
    to: Path,
    reader: str,
    settings: tuple[str, ...],
    labeller: str | None,
    truth: Path | None,
    label_settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Write the flows of SOURCE, sorted, as Parquet; with a labeller also TO's .labels.parquet."""
    from netvigil import dataset

    choice = dataset.labeller_choice(labeller, truth, label_settings)
    watch = phases(quiet=as_json)
    done = dataset.convert(source, to, watch, reader=reader, settings=settings, labeller=choice)
    print_result(done, as_json=as_json)


@data.command(
    epilog="Example: netvigil data label w.parquet --labeller events --truth e.txt --to l.parquet"
)
@SOURCE
@click.option("--to", type=EXISTING, required=True, help="Label file to write.")
@reader_options
@labeller_options
@as_json
def label(
    source: Path,
    to: Path,
    reader: str,
    settings: tuple[str, ...],
    labeller: str | None,
    truth: Path | None,
    label_settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Label the flows of SOURCE and write the labels as Parquet."""
    from netvigil import dataset

    choice = dataset.labeller_choice(labeller or "inline", truth, label_settings)
    assert choice is not None
    watch = phases(quiet=as_json)
    with dataset.opened(source, reader, settings, watch) as opened:
        done = dataset.label(opened, choice, to, watch)
    print_result(done, as_json=as_json)


@data.command(epilog="Example: netvigil data join flows.parquet --timeout 60 --to joined.parquet")
@SOURCE
@click.option("--to", type=EXISTING, required=True, help="Parquet file to write.")
@click.option("--timeout", "timeout_s", type=float, required=True, help="Longest gap, in seconds.")
@click.option("--labels", type=EXISTING, help="Label file. Default: SOURCE's .labels.parquet")
@reader_options
@as_json
def join(
    source: Path,
    to: Path,
    timeout_s: float,
    labels: Path | None,
    reader: str,
    settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Join consecutive records of one conversation into one flow; the labels of SOURCE follow."""
    from netvigil import dataset

    watch = phases(quiet=as_json)
    with dataset.opened(source, reader, settings, watch) as opened:
        done = dataset.join(opened, to, labels, watch, timeout_s=timeout_s)
    print_result(done, as_json=as_json)


@data.command(epilog="Example: netvigil data audit flows.csv --labeller inline")
@SOURCE
@reader_options
@labeller_options
@as_json
def audit(
    source: Path,
    reader: str,
    settings: tuple[str, ...],
    labeller: str | None,
    truth: Path | None,
    label_settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Look for what makes results on SOURCE untrustworthy: duplicates, shortcuts, known defects."""
    from rich.console import Console

    from netvigil import dataset

    choice = dataset.labeller_choice(labeller, truth, label_settings)
    watch = phases(quiet=as_json)
    with dataset.opened(source, reader, settings, watch) as opened:
        found = dataset.audit(opened, choice, watch)
    if as_json:
        print_json(found.to_json())
    else:
        Console().print(found)
