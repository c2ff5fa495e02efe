"""`python -m netvigil_tabular.weights`: draw graphs, try the rules, write tables and pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from netvigil.errors import NetvigilError


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="Example: python -m netvigil_tabular.weights --to weights --kinds scan --spread 50",
)
@click.option(
    "--to", type=click.Path(path_type=Path), required=True, help="New or empty folder to write to."
)
@click.option("--nodes", default=3, help="Nodes; every pair of them is an edge.")
@click.option("--graphs", default=10_000, help="Graphs to draw.")
@click.option("--seed", default=0, help="The same seed draws the same graphs.")
@click.option("--rate", default=0.05, help="Share of anomalous graphs.")
@click.option(
    "--kinds",
    default="burst",
    help="With commas: burst, burst-edge, new-edge, silent-node, drift, scan.",
)
@click.option("--base", default=20.0, help="What weights lie around.")
@click.option("--multiplier", default=5.0, help="How far bursts reach beyond three bases.")
@click.option("--spread", default=1.0, help="Largest edge's base over the smallest one's.")
@click.option("--train", default=0.5, help="Share of the graphs that rules are fitted on.")
def weights(
    to: Path,
    nodes: int,
    graphs: int,
    seed: int,
    rate: float,
    kinds: str,
    base: float,
    multiplier: float,
    spread: float,
    train: float,
) -> None:
    """Write synthetic traffic graphs with their truth, and say which rules find the anomalies."""
    from netvigil_tabular.weights import generate, judge
    from netvigil_tabular.weights.files import table, write
    from netvigil_tabular.weights.rules import usual_rules

    made = generate(
        graphs,
        nodes,
        seed=seed,
        base=base,
        multiplier=multiplier,
        rate=rate,
        kinds=[kind.strip() for kind in kinds.split(",")],
        spread=spread,
    )
    taught, judged = made.split(train, seed=seed)
    verdicts = judge(usual_rules(), taught, judged)
    files = write(made, taught, judged, verdicts, to)
    header, rows = table(verdicts)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    click.echo("By kind: recall / precision against the false flags.")
    for path in files:
        click.echo(f"Written: {path}")


def main() -> None:
    """Run the command: exit code 0, 1 where the job failed, 2 where the call was wrong."""
    try:
        weights.main(prog_name="python -m netvigil_tabular.weights")
    except NetvigilError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
