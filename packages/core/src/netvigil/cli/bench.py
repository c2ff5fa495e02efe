"""`netvigil bench` and what it compares, measures and draws."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netvigil.cli.bench_compare import compare
from netvigil.cli.shared import EXISTING, as_json, print_facts, print_json, print_table, telling

if TYPE_CHECKING:
    from netvigil.bench.machine import Rates

LISTED = ("room", "case", "package", "what it does")


@click.group(
    invoke_without_command=True,
    epilog="Example: netvigil bench --room build --size 10k,100k,1M",
)
@click.option("--package", help="Only of this distribution, such as netvigil-scorers.")
@click.option("--room", help="Only this room: read, transform, build, train, score, ...")
@click.option("--case", help="Only this case.")
@click.option("--size", "size", help="Flows of the input: 10k,100k,1M. Default: each case's own.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--seed", default=0, show_default=True, help="Seed of the generated input.")
@click.option("--seconds", default=0.5, show_default=True, help="Least time to measure each.")
@click.option("--list", "only_list", is_flag=True, help="Only say which cases there are.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--history", type=EXISTING, help="Add the figures to the history in this folder.")
@click.option("--revision", default="", help="What the history calls what was measured.")
@as_json
@click.pass_context
def bench(ctx: click.Context, /, **options: Any) -> None:
    """Time the cases that installed plugins bring, room by room, on this machine.

    `x limit` is the time over the least that this machine needs to move the case's bytes or to
    compute what the task cannot do without, and which of these takes most of it. Figures of
    different machines do not compare.
    """
    if ctx.invoked_subcommand is None:
        _measure(**options)


def _measure(
    *,
    package: str | None,
    room: str | None,
    case: str | None,
    size: str | None,
    device: str,
    seed: int,
    seconds: float,
    only_list: bool,
    markdown: bool,
    history: Path | None,
    revision: str,
    as_json: bool,
) -> None:
    from netvigil.bench import machine, table

    cases = table.chosen(package=package, room=room, case=case)
    if only_list:
        known = [(part.room, part.name, provider, part.summary) for provider, part in cases]
        if as_json:
            print_json([dict(zip(LISTED, case, strict=True)) for case in known])
        else:
            print_table("", LISTED, sorted(known))
        return
    at = table.sizes(size) if size else ()
    with telling("measuring") as tell:
        tell("the machine")
        rates = _rates(device)
        found = table.rows(
            cases, at=at, seed=seed, device=device, seconds=seconds, rates=rates, tell=tell
        )
        rows = sorted(found, key=lambda row: (row["room"], row["case"], row["flows"]))
    if history is not None:
        from netvigil.bench.history import append

        good = [row for row in rows if "error" not in row]
        click.echo(f"Added to {append(history, good, revision=revision, rates=rates)}", err=True)
    if as_json:
        print_json({"machine": machine.fingerprint(), "rates": asdict(rates), "rows": rows})
    elif markdown:
        click.echo(table.markdown(rows), nl=False)
    else:
        print_table("", table.columns(device), [table.cells(row) for row in rows])
    if any("error" in row for row in rows):
        raise click.exceptions.Exit(1)


def _rates(device: str) -> Rates:
    from netvigil.bench import machine

    if device == "cpu":
        return machine.rates()
    measured: Rates = machine.card().rates(device)
    return measured


@bench.command(epilog="Example: netvigil bench machine --json")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@as_json
def machine(*, device: str, as_json: bool) -> None:
    """Measure how fast this machine, or its GPU, moves bytes and computes."""
    from netvigil.bench import machine as measured

    with telling("measuring") as tell:
        tell("bandwidth, kinds of computing, interpreter")
        rates, about = _rates(device), measured.fingerprint()
    if as_json:
        print_json({"machine": about, "rates": asdict(rates)})
        return
    print_facts(
        {
            "machine": f"{about['cpu']}, {about['cores']} cores, {about['platform']}",
            "id": about["id"],
            "copy": f"{rates.bandwidth / 1e9:.1f} GB/s read and written; one thread: "
            f"{rates.bandwidth_of_one / 1e9:.1f}",
            **({} if rates.bus is None else {"bus": f"{rates.bus / 1e9:.1f} GB/s to {device}"}),
            "arithmetic": f"{rates.operations / 1e9:,.0f} GFLOP/s of float32 matrix products",
            "look-ups": _million(rates.lookups, "places in a table of 16 kB"),
            "matching": _million(rates.matched, "64-bit keys sought among 4,096"),
            "sorting": _million(rates.sorted, "64-bit keys, 131,072 at a time"),
            "logarithms": _million(rates.logarithms, "of float32"),
            "drawing": _million(rates.drawn, "random 32-bit numbers"),
            "decoding": f"{rates.decoded / 1e9:.1f} GB/s of columns out of Parquet",
            "interpreter": f"{rates.steps / 1e6:.1f} million loop steps/s",
        }
    )


def _million(rate: float, what: str) -> str:
    return f"{rate / 1e6:,.0f} million/s, {what}"


@bench.command(epilog="Example: netvigil bench history bench/history --html history.html")
@click.argument("folder", type=EXISTING)
@click.option("--html", "html_file", type=EXISTING, required=True, help="The page to write.")
def history(folder: Path, html_file: Path) -> None:
    """Draw the history of rates in FOLDER as one offline page, and name what fell."""
    from netvigil.bench.history import falls, page, read
    from netvigil.report.files import write_file

    entries = read(folder)
    write_file(html_file, page(entries))
    for sentence in falls(entries):
        click.echo(sentence)
    click.echo(f"Written: {html_file}")


bench.add_command(compare)
