"""`netvigil demo`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from netvigil.cli.experiments import RUNS, show
from netvigil.cli.shared import EXISTING, as_json, phases, print_json


@click.command(epilog="Example: netvigil demo --out demo-run")
@click.option("--out", type=EXISTING, help="Run folder. Default: netvigil-runs/demo-N")
@click.option("--flows", default=40_000, show_default=True, help="Flows to generate.")
@click.option("--seed", default=0, show_default=True, help="Seed of the generated traffic.")
@as_json
def demo(out: Path | None, flows: int, seed: int, *, as_json: bool) -> None:
    """See netvigil at work: generated traffic with planted attacks, detectors, one table."""
    from netvigil.demo import run_demo
    from netvigil.plugins import load_plugins

    out = out or _free()
    watch = phases(quiet=as_json)
    receipt = run_demo(load_plugins(), out=out, phases=watch, flows=flows, seed=seed)
    if as_json:
        print_json({"run": str(out), "receipt": receipt.model_dump(mode="json")})
        return
    show(receipt)
    _show_alerts(out / "alerts.jsonl")
    click.echo(f"\nThe traffic was generated: {out}.parquet. Run folder: {out}")
    click.echo("Next, your own: netvigil data inspect YOUR.pcap")


def _free() -> Path:
    """Return the first run folder name that is not taken."""
    number = 1
    while any((RUNS / f"demo-{number}{end}").exists() for end in ("", ".partial")):
        number += 1
    return RUNS / f"demo-{number}"


def _show_alerts(path: Path) -> None:
    """Print the three highest alerts in words."""
    from netvigil.evaluation import printable

    lines = path.read_text("utf-8").splitlines()
    click.echo("\nThe highest alerts:")
    alerts = sorted((json.loads(line) for line in lines), key=lambda a: -a["score"])[:3]
    for alert in alerts:
        who = f"{alert['src_ip']} -> {alert['dst_ip']}:{alert['dst_port']}"
        why = "; ".join(alert["reasons"])
        click.echo(printable(f"{alert['start'][:19]}  {who}  score {alert['score']:.3g}: {why}"))
