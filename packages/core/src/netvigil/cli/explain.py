"""`netvigil explain`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netvigil.cli.shared import EXISTING, as_json, phases, print_json

if TYPE_CHECKING:
    from rich.text import Text

    from netvigil.explaining.results import (
        ExplainedFlow,
        Explanations,
    )

LEADING = 8  # features of the closing line; the file has all


@click.command(epilog="Example: netvigil explain netvigil-runs/westermo --top 20 --source a.pcap")
@click.argument("run", type=EXISTING)
@click.option("--top", default=20, show_default=True, help="Alerts to explain, the highest first.")
@click.option("--flow", "flows", type=int, multiple=True, help="Explain this flow_id instead.")
@click.option(
    "--explainer",
    "explainers",
    multiple=True,
    help="Who explains; may be repeated. Default: the best fit for features and for neighbours.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="EXPLAINER.KEY=VALUE",
    help="A setting of an explainer, such as occlusion.pairs=20; may be repeated.",
)
@click.option(
    "--source",
    "sources",
    type=EXISTING,
    multiple=True,
    help="The run's source, where it is not beside the run; a test source of its own likewise.",
)
@click.option("--out", type=EXISTING, help="File to write. Default: explanations.json in RUN")
@as_json
def explain(
    run: Path,
    top: int,
    flows: tuple[int, ...],
    explainers: tuple[str, ...],
    settings: tuple[str, ...],
    sources: tuple[Path, ...],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say what the highest alerts of RUN rest on: their own features, and the flows around them.

    Flows are scored again with the run's bundle, so its source is needed. RUN may be a bundle too:
    then --source is scored first, and the file is only written with --out. A report drawn after
    this shows what was found.
    """
    from netvigil.explaining.explain import Request, explain
    from netvigil.explaining.results import FILE
    from netvigil.plugins import load_plugins
    from netvigil.report.files import write_file

    request = Request(top=top, flows=flows, explainers=explainers, settings=settings)
    found = explain(run, load_plugins(), request, sources=sources, phases=phases(quiet=as_json))
    target = out or (run / FILE if (run / "receipt.json").is_file() else None)
    if target is not None:
        write_file(target, found.to_json())
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    _show(found)
    if target is not None:
        click.echo(f"Written: {target}")
    if target == run / FILE:
        click.echo(f"Next: netvigil report {run}")


def _show(found: Explanations) -> None:
    """Print explanations for people; every text is escaped, as it may come from traffic."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    from netvigil.evaluation import printable
    from netvigil.explaining.lines import who

    console = Console(width=None if sys.stdout.isatty() else 120)
    if not found.flows:
        click.echo(f"No flow scores above the cut of {found.cut:.4g}: there is nothing to explain.")
    for number, flow in enumerate(found.flows, start=1):
        body = Text("\n").join(_lines(flow))
        title = Text(printable(f"{number}. {who(flow)}"), style="bold")
        console.print(Panel(body, title=title, title_align="left"))
    for explainer, features in found.summary.items():
        leading = list(features.items())[:LEADING]
        said = ", ".join(f"{name} {amount:.3g}" for name, amount in leading)
        click.echo(printable(f"Over all, mean absolute amount by {explainer}: {said}"))


def _lines(flow: ExplainedFlow) -> Iterator[Text]:
    """Yield the lines of one flow: when and how much, why, features, what was around it."""
    from rich.text import Text

    from netvigil.evaluation import printable
    from netvigil.explaining import lines

    yield Text(lines.facts(flow))
    yield Text(printable("; ".join(flow.reasons)), style="dim")
    for told in flow.told:
        yield Text(printable(lines.heading(told)), style="bold")
        for amount, words in lines.parts(told):
            yield Text(f"  {amount:>9}  {printable(words)}")
        for remark in told.remarks:
            yield Text(f"  {printable(remark)}", style="dim")
