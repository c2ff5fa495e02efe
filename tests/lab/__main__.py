"""The lab's command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tests.lab.plan import make_plan
from tests.lab.processes import LabError
from tests.lab.scenario import Result, clean, run_scenario

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
EXAMPLE = "Example: python -m tests.lab --to /tmp/lab --minutes 10 --seed 0"


@click.command(epilog=EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--to", type=click.Path(path_type=Path), help="New folder for capture and events.")
@click.option(
    "--minutes", type=click.FloatRange(0.25, 60), default=10.0, show_default=True,
    help="Length of the scenario; below 2 it has only the fast attacks.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the plan.")
@click.option("--clean", "cleaning", is_flag=True, help="Remove what killed labs left, and stop.")
@click.option("--pack", type=FOLDER, help="Make a run the sample of netvigil-flowprep, and stop.")
@click.option(
    "--check",
    type=FOLDER,
    help="Compare a run with that sample, and stop. "
    "With --pack: a second run of the same plan, to show beside the first.",
)
@click.pass_context
def main(
    ctx: click.Context,
    to: Path | None,
    minutes: float,
    seed: int,
    pack: Path | None,
    check: Path | None,
    *,
    cleaning: bool,
) -> None:
    """Record a seeded scenario of benign traffic and attacks between network namespaces.

    Writes capture.pcapng and events.toml, which `netvigil data convert --labeller events` reads.
    Needs root, and the Debian packages of tests/lab/packages.txt.
    """
    try:
        if cleaning:
            click.echo(f"Removed: {', '.join(clean()) or 'nothing was left'}.")
        elif pack is not None:
            _pack(pack, check)
        elif check is not None:
            ctx.exit(_check(check))
        elif to is None:
            ctx.fail("Missing option '--to'.")
        else:
            _record(to, minutes, seed)
    except LabError as error:
        click.echo(str(error), err=True)
        ctx.exit(1)
    except KeyboardInterrupt as error:
        click.echo("Interrupted; nothing is left behind.", err=True)
        ctx.exit(128 + int(error.args[0] if error.args else 2))


def _pack(run: Path, again: Path | None) -> None:
    from tests.lab.sample import pack

    for path in pack(run, again):
        click.echo(f"{path}: {path.stat().st_size:,} bytes")


def _check(run: Path) -> int:
    from tests.lab.sample import differences

    found = differences(run)
    click.echo("\n".join(found) or "The run agrees with the sample.")
    return 1 if found else 0


def _record(to: Path, minutes: float, seed: int) -> None:
    plan = make_plan(seed=seed, minutes=minutes)
    bar = click.progressbar(
        length=round(plan.duration_s), label="scenario", file=sys.stderr, show_eta=True
    )
    with bar as shown:
        passed = 0.0

        def progress(seconds: float) -> None:
            nonlocal passed
            before, passed = int(passed), passed + seconds
            shown.update(int(passed) - before)

        result = run_scenario(plan, to, progress=progress)
    click.echo(_summary(to, result))


def _summary(to: Path, result: Result) -> str:
    lines = [f"{to}: {result.packets:,} packets"]
    for kind, outcomes in result.outcomes.items():
        words = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))
        lines.append(f"  {kind}: {words}")
    flows = to / "flows.parquet"
    truth = f"--labeller events --truth {to / 'events.toml'}"
    lines.append(f"Next: netvigil data convert {to / 'capture.pcapng'} --to {flows} {truth}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(prog_name="python -m tests.lab")
