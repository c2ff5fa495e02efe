"""`netvigil demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netvigil.cli.experiments import RUNS
from netvigil.cli.shared import EXISTING, as_json, phases, print_json, print_table

if TYPE_CHECKING:
    from netvigil.demo import Demo


FIGURES = ("auroc", "auprc", "tpr_at_fpr_1%", "alerts_per_hour")
"""Of the closing table, as it must fit a terminal; the report has all."""


@click.command(epilog="Example: netvigil demo --out demo-run")
@click.option("--out", type=EXISTING, help="Folder to make. Default: netvigil-runs/demo-N")
@click.option("--seed", default=0, show_default=True, help="First of the three seeds.")
@click.option("--sample", help="Which of the installed samples. Default: the first.")
@as_json
def demo(out: Path | None, seed: int, sample: str | None, *, as_json: bool) -> None:
    """See netvigil at work: a recorded network with attacks, detectors, alerts, one page."""
    from netvigil.demo import run_demo, summary

    began = time.perf_counter()
    done = run_demo(
        out or _free(),
        phases=lambda: phases(quiet=as_json, keep=False),
        say=lambda text: click.echo(text, err=True) if not as_json else None,
        seed=seed,
        sample=sample,
    )
    if as_json:
        print_json(summary(done))
    else:
        _show(done, time.perf_counter() - began)


def _free() -> Path:
    """Return the first run folder name that is not taken."""
    number = 1
    while (RUNS / f"demo-{number}").exists():
        number += 1
    return RUNS / f"demo-{number}"


def _show(done: Demo, seconds: float) -> None:
    from netvigil import comparison
    from netvigil.cli.compare import show
    from netvigil.evaluation import printable

    labels = done.converted.get("labels", {})
    counted = ", ".join(f"{name} {count:,}" for name, count in labels.items() if count)
    click.echo(f"\n{done.converted['flows']:,} flows of {done.converted['format']}: {counted}")
    for finding in done.audit.findings[:3]:
        click.echo(printable(f"Audit, {finding.severity}: {finding.what}"))
    click.echo()
    compared = comparison.compare(done.runs)
    show(compared, comparison.chosen(None, FIGURES), wide=False)
    _show_recall(done)
    click.echo("\nThe highest alert of each method, in words:")
    for alert in done.alerts:
        click.echo(printable(f"- {alert}"))
    for remark in done.remarks:
        click.echo(f"\n{remark}")
    steps = ", ".join(f"{name} {took:.1f} s" for name, took in done.seconds.items())
    click.echo(f"\nTook {seconds:.0f} s: {steps}.")
    click.echo(f"Open the report: {done.report}")
    click.echo(f"Why these alerts: netvigil explain {done.out}/runs/autographad")
    click.echo(f"The same again, or changed: netvigil run {done.out / 'demo.toml'} --out OTHER")
    click.echo(f"Your own capture: netvigil detect {done.out}/runs/autographad/bundle YOUR.pcap")


def _show_recall(done: Demo) -> None:
    """Print which attacks each method finds at its cut, and so which it misses."""
    columns: dict[str, dict[str, str]] = {}
    support: dict[str, int] = {}
    for run in done.runs:
        assert run.receipt.evaluation is not None
        for method in run.receipt.evaluation.headline.methods:
            for attack in method.attacks if method.kind == "method" else ():
                support[attack.attack] = attack.support
                mean = attack.recall.mean
                found = "\N{EN DASH}" if mean is None else f"{mean:.0%}"
                columns.setdefault(method.method, {})[attack.attack] = found
    rows = [
        (name, f"{support[name]:,}", *(found.get(name, "") for found in columns.values()))
        for name in sorted(support, key=lambda name: -support[name])
    ]
    print_table("Share of each attack's flows above the cut", ("attack", "flows", *columns), rows)
