"""`netvigil run` (an experiment or a suite), `fit`, `detect`, `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netvigil.cli.shared import (
    EXISTING,
    as_json,
    options_option,
    phases,
    print_facts,
    print_json,
    print_result,
)

if TYPE_CHECKING:
    from netvigil.evaluation import Evaluation, Receipt
    from netvigil.phases import Phases

RUNS = Path("netvigil-runs")


@click.command(epilog="Example: netvigil run westermo.toml --set scorer.name=hbos")
@click.argument("file", type=EXISTING)
@click.option("--out", type=EXISTING, help="Run folder. Default: netvigil-runs/NAME-OF-FILE")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option(
    "--only",
    multiple=True,
    metavar="AXIS=VALUE",
    help="Of a suite, run these combinations; may be repeated, or hold several with commas.",
)
@click.option(
    "--report/--no-report", "with_report", default=True, help="Draw report.html too (the default)."
)
@options_option
@as_json
def run(
    file: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    *,
    resume: bool,
    with_report: bool,
    as_json: bool,
) -> None:
    """Fit, score and judge the experiment FILE over all its seeds.

    The run folder holds config.toml, receipt.json, metrics.json, scores.parquet, alerts.jsonl,
    log.jsonl, the bundle and the evidence for pictures; it appears when all of it is whole. Then
    report.html is drawn into it.

    A FILE with a [suite] section stands for every combination of what it varies: each gets a run
    folder of its own, and all of them one comparison. Exit code 1: some of them failed.
    """
    from netvigil import runner
    from netvigil.cli.suites import run_suite
    from netvigil.config import load_experiment
    from netvigil.errors import ConfigError
    from netvigil.plugins import load_plugins
    from netvigil.suite import is_suite

    out = out or RUNS / file.stem
    if is_suite(file):
        run_suite(file, out, overrides, only, resume=resume, as_json=as_json)
        return
    if only:
        msg = "This file is one experiment: there is nothing to choose from."
        raise ConfigError(msg, where="--only", do="Leave --only out.")
    experiment = load_experiment(file, overrides)
    watch = phases(quiet=as_json)
    receipt = runner.run(
        experiment, load_plugins(), base=file.parent, out=out, phases=watch, resume=resume
    )
    page = draw(out, watch) if with_report else None
    if as_json:
        values = {"run": str(out), "report": None if page is None else str(page)}
        print_json(values | {"receipt": receipt.model_dump(mode="json")})
    else:
        show(receipt)
        click.echo(f"\nRun folder: {out}")
        if page is not None:
            click.echo(f"Report: {page}")
        click.echo(f"Next: netvigil detect {out}/bundle OTHER-SOURCE")


@click.command(epilog="Example: netvigil fit westermo.toml --out westermo.bundle")
@click.argument("file", type=EXISTING)
@click.option("--out", type=EXISTING, required=True, help="Folder to write the bundle to.")
@options_option
@as_json
def fit(file: Path, out: Path, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Fit the experiment FILE with its first seed and write the bundle.

    The test part of the split is left alone.
    """
    from netvigil import runner
    from netvigil.config import load_experiment
    from netvigil.plugins import load_plugins

    experiment = load_experiment(file, overrides)
    watch = phases(quiet=as_json)
    digest = runner.fit(experiment, load_plugins(), base=file.parent, out=out, phases=watch)
    if as_json:
        print_json({"bundle": str(out), "sha256": digest, "phases": watch.summary()})
    else:
        click.echo(f"Bundle: {out}  (sha256 {digest[:16]})")
        click.echo(f"Next: netvigil detect {out} SOURCE --out RESULT")


@click.command(epilog="Example: netvigil detect runs/westermo/bundle today.pcap --out today")
@click.argument("bundle", type=EXISTING)
@click.argument("source", type=EXISTING)
@click.option("--out", type=EXISTING, help="Result folder. Default: SOURCE-detected")
@click.option(
    "--format", "reader", default="auto", help="Dialect of the source; see `data inspect`."
)
@as_json
def detect(bundle: Path, source: Path, out: Path | None, reader: str, *, as_json: bool) -> None:
    """Score every flow of SOURCE with BUNDLE; writes scores.parquet and the alerts."""
    from netvigil import runner
    from netvigil.plugins import load_plugins

    out = out or Path(f"{source.name.split('.')[0]}-detected")
    watch = phases(quiet=as_json)
    found = runner.detect(bundle, source, load_plugins(), out=out, phases=watch, reader=reader)
    values = {"result": str(out), **found.facts()}
    print_result(values | ({"phases": watch.summary()} if as_json else {}), as_json=as_json)


@click.command(epilog="Example: netvigil evaluate today/scores.parquet today.labels.parquet")
@click.argument("scores", type=EXISTING)
@click.argument("labels", type=EXISTING)
@click.option("--exclude", multiple=True, help="Attack class left out of a second headline.")
@click.option("--resamples", default=200, show_default=True, help="Bootstrap resamples.")
@as_json
def evaluate(
    scores: Path, labels: Path, exclude: tuple[str, ...], resamples: int, *, as_json: bool
) -> None:
    """Judge the score file SCORES by the label file LABELS."""
    from netvigil.evaluation import MethodScores
    from netvigil.evaluation import evaluate as judge
    from netvigil.outputs import read_scores
    from netvigil.truth import read_labels

    table, cut = read_scores(scores)
    result = judge(
        flow_id=table.flow_id,
        labels=read_labels(labels),
        runs=[MethodScores(method=scores.stem, score=table.score, cut=cut)],
        exclude=exclude,
        resamples=resamples,
    )
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        show_evaluation(result)


def draw(out: Path, watch: Phases) -> Path:
    """Draw a finished run's page and return where it lies."""
    from netvigil.report.runs import open_runs
    from netvigil.report.write import NAME, write_page

    found, notes = open_runs([out])
    write_page(found, out / NAME, notes=notes, phases=watch)
    return out / NAME


def show(receipt: Receipt) -> None:
    """Print a receipt and its table for people."""
    from netvigil.evaluation import receipt_lines

    if receipt.evaluation is not None:
        show_evaluation(receipt.evaluation)
    print_facts(receipt_lines(receipt))
    if receipt.evaluation is None:
        click.echo("Nothing labels these flows, so there is nothing to judge the scores by.")


def show_evaluation(evaluation: Evaluation) -> None:
    """Print the headline and, where classes are left out, the second one."""
    from rich.console import Console

    from netvigil.evaluation import ClassView, to_rich

    console = Console()
    console.print(to_rich(evaluation.headline))
    console.print(ClassView(evaluation.headline))
    if evaluation.without_excluded is not None:
        without = ", ".join(evaluation.without_excluded.excluded)
        console.print(to_rich(evaluation.without_excluded, title=f"Without {without}"))
