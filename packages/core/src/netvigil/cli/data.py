"""`netvigil data inspect`, `convert`, `label`, `join`, `audit`, `plant`, `sample`."""

from __future__ import annotations

from pathlib import Path

import click

from netvigil.cli.inspection import inspect
from netvigil.cli.plant import plant
from netvigil.cli.sample import sample
from netvigil.cli.shared import (
    EXISTING,
    SOURCE,
    as_json,
    labeller_options,
    phases,
    print_json,
    print_result,
    reader_options,
)


@click.group()
def data() -> None:
    """Inspect, convert, label, join and audit flows; plant anomalies; write a sample."""


data.add_command(inspect)
data.add_command(plant)
data.add_command(sample)


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
