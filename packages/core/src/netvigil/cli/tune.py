"""`netvigil tune`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from netvigil.cli.shared import (
    EXISTING,
    Bars,
    as_json,
    options_option,
    print_facts,
    print_json,
    print_table,
)
from netvigil.config import Objective
from netvigil.phases import Advance, Display, Phases, Quiet

if TYPE_CHECKING:
    from netvigil.tuning import Tuning

RUNS = Path("netvigil-runs")


@click.command(epilog="Example: netvigil tune westermo.toml --objective seed-agreement --jobs 2")
@click.argument("file", type=EXISTING)
@click.option("--out", type=EXISTING, help="Result folder. Default: netvigil-runs/NAME-tuned")
@click.option("--trials", type=click.IntRange(min=1), help="How many trials. Default: every point.")
@click.option(
    "--objective",
    type=click.Choice(get_args(Objective)),
    help="What a trial is judged by. Only validation-auprc reads labels.",
)
@click.option("--space", help="A search space that the encoder's package publishes.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trials at a time, each in a process of its own.",
)
@click.option("--resume", is_flag=True, help="Go on with a search that was stopped.")
@options_option
@as_json
def tune(
    file: Path,
    out: Path | None,
    trials: int | None,
    objective: str | None,
    space: str | None,
    jobs: int,
    overrides: tuple[str, ...],
    *,
    resume: bool,
    as_json: bool,
) -> None:
    """Search the settings of the experiment FILE; the test part of the split is never read.

    [tune] in FILE says what is searched and by what it is judged. The folder holds best.toml, which
    `netvigil run` takes, tuning.json, trials.csv and the journal of the search. A validation loss
    only compares settings that leave the loss itself as it is.
    """
    from netvigil.config import load_experiment
    from netvigil.tuning import tune as search

    out = out or RUNS / f"{file.stem}-tuned"
    asked = {"trials": trials, "objective": objective, "space": space}
    added = [f"tune.{key}={json.dumps(v)}" for key, v in asked.items() if v is not None]
    experiment = load_experiment(file, (*overrides, *added))
    display: Display = Quiet() if as_json or not sys.stderr.isatty() else TrialBars()
    report = search(
        experiment, base=file.parent, out=out, phases=Phases(display), resume=resume, jobs=jobs
    )
    if as_json:
        print_json({"folder": str(out), "tuning": report.model_dump(mode="json")})
    else:
        show(report, out)


class TrialBars:
    """The usual bars, and one over trials that counts trials."""

    @contextmanager
    def phase(self, name: str, total: int | None) -> Iterator[Advance]:
        """Show one bar while a phase runs."""
        if name != "trials":
            with Bars().phase(name, total) as advance:
                yield advance
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), Elapsed(), Remaining())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(name, total=total)
            yield lambda trials: progress.update(task, advance=trials)


def show(report: Tuning, out: Path) -> None:
    """Print the best trials and how they were found."""
    keys = list(report.axes)
    rows = [
        [
            place,
            best.trial,
            f"{best.value:.6g}",
            "" if best.sd is None else f"{best.sd:.2g}",
            *(json.dumps(best.settings[key]) for key in keys),
        ]
        for place, best in enumerate(report.top, start=1)
    ]
    title = f"Best of {report.trials:,} trials by {report.objective} ({report.direction})"
    print_table(title, ["", "trial", "value", "sd", *keys], rows)
    facts: dict[str, object] = {
        "judged by": report.judged_by,
        "labels read": "yes, of the calibration part" if report.reads_labels else "none",
        "test part": "not read",
        "space": f"{report.space}, {_count(report.points)} points, sampler {report.sampler}",
    }
    if report.train_filter:
        facts["labels read"] = f"{facts['labels read']}; [train] filters by labels"
    if report.left_out:
        why = "this objective cannot judge them, they stay as they were"
        facts["left out"] = f"{', '.join(report.left_out)}: {why}"
    if report.failed:
        facts["failed"] = f"{report.failed:,} trials, the first: {report.first_failure}"
    print_facts(facts)
    click.echo(f"\nFolder: {out}")
    click.echo(f"Next: netvigil run {out}/best.toml")


def _count(points: int | None) -> str:
    return "countless" if points is None else f"{points:,}"
