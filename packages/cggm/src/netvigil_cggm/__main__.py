"""`python -m netvigil_cggm SOURCE... --to DIR`: the study on real flows, as three tables."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from netvigil.errors import NetvigilError


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--window-flows", default=500, show_default=True, help="Flows per snapshot.")
@click.option("--nodes", default=49, show_default=True, help="Busiest addresses to keep.")
@click.option("--steps", default=1_000, show_default=True, help="Steps of the generator.")
@click.option("--classifier-steps", default=400, show_default=True, help="Of node classifiers.")
@click.option("--rival-steps", default=600, show_default=True, help="Of rivals with a network.")
@click.option("--attention", type=click.Choice(["feature", "node"]), default="feature")
@click.option(
    "--adversary", type=click.Choice(["wgan-clip", "wgan-gp", "bce"]), default="wgan-clip"
)
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), help="May be repeated.")
def main(
    sources: Sequence[Path],
    to: Path,
    window_flows: int,
    classifier_steps: int,
    rival_steps: int,
    seeds: Sequence[int],
    **settings: Any,
) -> None:
    """Learn labelled traffic graphs, make balanced ones, and judge what they are worth.

    Example: python -m netvigil_cggm flows.csv --to study --window-flows 500
    """
    from netvigil_cggm.config import CggmConfig
    from netvigil_cggm.study import Study

    config = CggmConfig(device="cpu", **settings)
    study = Study(
        window_flows=window_flows,
        config=config,
        classifier_steps=classifier_steps,
        rival_steps=rival_steps,
    )
    try:
        _run(sources, to, study, seeds)
    except NetvigilError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _run(sources: Sequence[Path], to: Path, study: Any, seeds: Sequence[int]) -> None:
    from netvigil_cggm import study as studies

    with TemporaryDirectory() as work:
        parts = studies.load(sources, study, Path(work))
    counts = studies.balance(parts, study)
    click.echo(table(("class", "train nodes", "test nodes", "synthetic nodes"), counts))
    shapes = [
        (name, len(part), float(part.density().mean()), float(part.active.mean()))
        for name, part in zip(parts._fields, parts, strict=True)
    ]
    click.echo(table(("part", "snapshots", "density", "active"), shapes))
    near: list[tuple[Any, ...]] = []
    rows: list[Any] = []
    for seed in seeds:
        begin = time.perf_counter()
        fitted = studies.generators(parts, study, seed=seed)
        click.echo(f"seed {seed}: generators fitted in {time.perf_counter() - begin:.0f} s")
        found = studies.fidelities(parts, fitted, seed=seed)
        near += [(name, seed, *values) for name, values in found.items()]
        rows += studies.taught(parts, fitted, study, seed=seed)
    fields = next(iter(found.values()))._fields
    click.echo(table(("generator", "seed", *fields), near))
    head = (
        "model",
        "taught by",
        "seed",
        *(
            f"{n}, {w}"
            for w in ("all", "active")
            for n in ("accuracy", "recall", "precision", "f1")
        ),
    )
    flat = [(r.model, r.taught_by, r.seed, *r.every, *r.active) for r in rows]
    click.echo(table(head, flat))
    to.mkdir(parents=True, exist_ok=True)
    whole = {
        "balance": counts,
        "parts": shapes,
        "fidelity": near,
        "classifiers": flat,
        "config": study.config.model_dump(),
        "window_flows": study.window_flows,
        "rival_steps": study.rival_steps,
    }
    (to / "study.json").write_text(json.dumps(whole, indent=1) + "\n", "utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write rows as a table of Markdown; numbers with a point get four places.

    Example:
        >>> print(table(("a", "b"), [("x", 0.5)]))
        | a | b |
        |---|---|
        | x | 0.5000 |
        <BLANKLINE>
    """
    lines = [head, *([f"{v:.4f}" if isinstance(v, float) else str(v) for v in r] for r in rows)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]]) + "\n"


if __name__ == "__main__":
    main()
