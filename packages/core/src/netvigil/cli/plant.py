"""`netvigil data plant`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netvigil.cli.shared import (
    EXISTING,
    SOURCE,
    as_json,
    labeller_options,
    phases,
    print_result,
    reader_options,
)

if TYPE_CHECKING:
    from netvigil.planting import Kind

KINDS: tuple[Kind, ...] = ("new-source", "new-pair", "behaviour", "volume")


@click.command(
    epilog="Example: netvigil data plant conn.log --labeller inline --to planted/conn.parquet"
)
@SOURCE
@click.option("--to", type=EXISTING, required=True, help="Parquet file to write.")
@click.option(
    "--first",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.6,
    show_default=True,
    help="Share of SOURCE, from its beginning, that is copied: what a run would train on.",
)
@click.option(
    "--from",
    "from_share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.7,
    show_default=True,
    help="Share of the copy after which anomalies are planted.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.05,
    show_default=True,
    help="Share of the flows after it that are made strange.",
)
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="May be repeated. Default: all"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@reader_options
@labeller_options
@as_json
def plant(
    source: Path,
    to: Path,
    first: float,
    from_share: float,
    share: float,
    kinds: tuple[Kind, ...],
    seed: int,
    reader: str,
    settings: tuple[str, ...],
    labeller: str | None,
    truth: Path | None,
    label_settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Copy the first flows of SOURCE, plant anomalies among the latest, write truth beside them.

    Settings can be compared on the copy without a label of an attack; with a
    labeller, labelled attacks are left out of it first.
    """
    from netvigil import dataset

    choice = dataset.labeller_choice(labeller, truth, label_settings)
    watch = phases(quiet=as_json)
    with dataset.opened(source, reader, settings, watch) as opened:
        done = dataset.plant(
            opened,
            choice,
            to,
            watch,
            first=first,
            from_share=from_share,
            share=share,
            kinds=kinds or KINDS,
            seed=seed,
        )
    print_result(done, as_json=as_json)
