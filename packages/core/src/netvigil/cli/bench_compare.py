"""`netvigil bench compare`."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netvigil.cli.shared import EXISTING, as_json, print_json, print_table, telling
from netvigil.errors import ConfigError

if TYPE_CHECKING:
    from netvigil.bench.gate import Outcome, Plan


@click.command(epilog="Example: netvigil bench compare main HEAD --html compared.html")
@click.argument("base")
@click.argument("head")
@click.option("--repository", type=EXISTING, default=Path(), help="Where revisions are. Default: .")
@click.option("--package", "packages", multiple=True, help="Only this distribution; repeatable.")
@click.option("--case", "cases", multiple=True, help="Only this case; repeatable.")
@click.option("--size", help="Flows of the input, such as 50k. Default: each case's own.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--seed", default=0, show_default=True, help="Seed of the generated input.")
@click.option(
    "--rounds",
    type=click.IntRange(min=2),
    default=6,
    show_default=True,
    help="Pairs of processes for every case.",
)
@click.option(
    "--most",
    type=click.IntRange(min=2),
    default=18,
    show_default=True,
    help="Pairs of processes at most, for a case that is unsure.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of each process; with one it keeps to one CPU.",
)
@click.option("--quick", is_flag=True, help="Hot paths but detectors, three rounds, four minutes.")
@click.option("--within", type=float, help="Begin nothing optional after so many seconds.")
@click.option("--instructions", is_flag=True, help="Count instructions too, with valgrind; slow.")
@click.option("--floors", type=EXISTING, help="A/A noise that --calibrate wrote.")
@click.option("--calibrate", type=EXISTING, help="Write the A/A noise of each case to this file.")
@click.option("--markdown", "markdown_file", type=EXISTING, help="Write the report as Markdown.")
@click.option("--html", "html_file", type=EXISTING, help="Write the report as one offline page.")
@as_json
def compare(base: str, head: str, *, as_json: bool, **options: Any) -> None:
    """Say whether HEAD is slower or heavier than BASE, on this machine, and exit 1 if it is.

    Each is a git revision, which is built in an environment of its own, a checkout whose .venv is
    used as it stands, or a Python. Both run alternately in fresh processes; only what is certain
    and beyond a case's floor fails.
    """
    from netvigil.bench import page, shown
    from netvigil.report.files import write_file

    with tempfile.TemporaryDirectory(prefix="netvigil-bench-") as scratch:
        outcome = _compared(base, head, Path(scratch), options)
    if options["calibrate"] is not None:
        write_file(options["calibrate"], json.dumps(_noise(outcome), indent=1) + "\n")
    if options["markdown_file"] is not None:
        write_file(options["markdown_file"], shown.markdown(outcome))
    if options["html_file"] is not None:
        write_file(options["html_file"], page.to_html(outcome))
    if as_json:
        print_json(shown.as_dict(outcome))
    else:
        print_table("", shown.COLUMNS, [shown.cells(case) for case in outcome.cases])
        for line in shown.lines(outcome):
            click.echo(line)
    if outcome.failed:
        raise click.exceptions.Exit(1)


def _compared(base: str, head: str, scratch: Path, options: Mapping[str, Any]) -> Outcome:
    from netvigil.bench import gate, sides

    repository = options["repository"].absolute()
    plan = _plan(options)
    with telling("comparing") as tell:
        built = []
        try:
            for name in (base, head):
                tell(f"building {name}")
                built.append(sides.side_of(name, repository=repository, scratch=scratch))
            return gate.compare(built[0], built[1], plan, tell)
        finally:
            sides.remove(repository, scratch)


def _plan(options: Mapping[str, Any]) -> Plan:
    from netvigil.bench.gate import Plan
    from netvigil.bench.machine import cpus
    from netvigil.bench.table import sizes

    size = sizes(options["size"]) if options["size"] else (None,)
    if len(size) > 1:
        msg = "A comparison has one size."
        raise ConfigError(msg, do="Ask for one --size.")
    plan = Plan(
        packages=options["packages"],
        cases=options["cases"],
        size=size[0],
        device=options["device"],
        seed=options["seed"],
        rounds=options["rounds"],
        most=max(options["most"], options["rounds"]),
        threads=options["threads"],
        cpu=cpus()[-1] if options["threads"] == 1 else None,
        instructions=options["instructions"],
        kept=_kept(options["floors"]),
    )
    if options["quick"]:
        plan = replace(plan, rounds=3, most=9, seconds=0.2, within_s=230.0, quick=True)
    if options["within"] is not None:
        plan = replace(plan, within_s=options["within"])
    return plan


def _kept(path: Path | None) -> dict[str, float]:
    if path is None:
        return {}
    try:
        noise = json.loads(path.read_text("utf-8"))["noise"]
        return {str(name): float(value) for name, value in noise.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = "This is no file of floors."
        raise ConfigError(msg, where=str(path), do="--calibrate FILE writes one.") from error


def _noise(outcome: Outcome) -> dict[str, Any]:
    from netvigil.bench.machine import fingerprint

    noise = {
        case.name: round(case.facts.change.noise, 4)
        for case in outcome.cases
        if case.facts and not math.isnan(case.facts.change.noise)
    }
    return {"machine": fingerprint()["id"], "noise": noise}
