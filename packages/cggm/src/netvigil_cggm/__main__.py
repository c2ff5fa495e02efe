"""`python -m netvigil_cggm STUDY.toml --to DIR`: a study on real flows, as tables and a picture."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from netvigil.cli.shared import phases
from netvigil.errors import ConfigError, NetvigilError

if TYPE_CHECKING:
    from netvigil.phases import Phases
    from netvigil_cggm.study import Parts, Study


@click.command(epilog="Example: python -m netvigil_cggm studies/unsw.toml --to study --seed 0")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--seed", "seeds", multiple=True, type=int, help="May be repeated. Default: FILE's.")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Such as cggm.steps=100."
)
def main(
    file: Path, to: Path, seeds: tuple[int, ...], device: str, overrides: tuple[str, ...]
) -> None:
    """Learn labelled traffic graphs, make balanced ones, and judge what they are worth.

    FILE names sources of flows, windows, rivals and seeds. Written are `study.json` with every
    figure of every seed, `study.md` with means, and a picture of real and synthetic nodes.
    """
    try:
        _run(read(file, seeds, device, overrides), to, phases())
    except NetvigilError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def read(
    file: Path, seeds: Sequence[int] = (), device: str = "cpu", overrides: Sequence[str] = ()
) -> Study:
    """Read a study; its sources are relative to its folder.

    Raises:
        ConfigError: No such file, broken TOML, an unknown key, a value out of range.
    """
    from netvigil.checking import checked
    from netvigil.overrides import override
    from netvigil_cggm.study import Study

    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = "This is no study that can be read."
        do = "A study is a TOML file that names sources."
        raise ConfigError(msg, where=f"{file}: {error}", do=do) from error
    whole = {"study": values}
    for text in overrides:
        override(whole, f"study.{text}")
    if isinstance(own := values.get("cggm", {}), dict):
        values["cggm"] = {"device": device, **own}
    if seeds:
        values["seeds"] = list(seeds)
    study: Study = checked(Study, values, where=str(file))
    return study.model_copy(update={"sources": tuple(file.parent / s for s in study.sources)})


def _run(study: Study, to: Path, watch: Phases) -> None:
    from netvigil_cggm import study as studies

    with TemporaryDirectory() as work:
        parts = studies.load(study, Path(work), watch)
    counts = studies.balance(parts, study)
    shapes = [
        (name, len(part), float(part.density().mean()), float(part.active.mean()))
        for name, part in zip(parts._fields, parts, strict=True)
    ]
    near: list[tuple[Any, ...]] = []
    rows: list[Any] = []
    for seed in study.seeds:
        fitted = studies.generators(parts, study, seed=seed, phases=watch)
        with watch.phase("fidelity"):
            found = studies.fidelities(parts, fitted, seed=seed)
        near += [(name, seed, *values) for name, values in found.items()]
        with watch.phase("teach node classifiers"):
            for task in ("classes", "binary"):
                rows += studies.taught(parts, fitted, study, seed=seed, task=task)
            other = studies.variants(parts, study, seed=seed, phases=watch)
            if other:
                rows += studies.taught(parts, other, study, seed=seed, real=False)
        if seed == study.seeds[0]:
            picture = _drawn(parts, fitted, seed)
    fields = next(iter(found.values()))._fields
    words = [
        table(("class", "train nodes", "test nodes", "synthetic nodes"), counts),
        table(("part", "snapshots", "density", "active"), shapes),
        table(("generator", *fields), means(near, 1)),
        *(
            table(
                ("learnt from", "model", "accuracy", "recall", "precision", "F1", "F1, active"),
                means([(r.taught_by, r.model, r.seed, *r.every, r.active.f1) for r in own], 2),
            )
            for task in ("classes", "binary")
            if (own := [row for row in rows if row.task == task])
        ),
    ]
    to.mkdir(parents=True, exist_ok=True)
    whole = {
        "study": study.model_dump(mode="json") | {"sources": [s.name for s in study.sources]},
        "balance": counts,
        "parts": shapes,
        "fidelity": {"columns": ["generator", "seed", *fields], "rows": near},
        "classifiers": [
            {**row._asdict(), "every": row.every._asdict(), "active": row.active._asdict()}
            for row in rows
        ],
    }
    (to / "study.json").write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    (to / "study.md").write_text("\n".join(words), "utf-8")
    picture.savefig(to / "real-and-synthetic.png", dpi=150)
    click.echo("\n".join(words))


def _drawn(parts: Parts, fitted: Mapping[str, Any], seed: int) -> Any:
    """Draw active nodes of real test snapshots and synthetic ones of the train labels together."""
    from netvigil.report.projections import populations

    groups = {"real, test": parts.test.x[parts.test.active]}
    for name, one in fitted.items():
        made = one.sample(parts.train.label, seed=seed)
        groups[name] = made.x[parts.train.active]
    return populations(groups, seed=seed)


def means(rows: Sequence[Sequence[Any]], names: int) -> list[tuple[Any, ...]]:
    """Take the mean over seeds of rows (names..., seed, values...), in the order of the names.

    Example:
        >>> means([("a", 0, 1.0), ("b", 0, 5.0), ("a", 1, 3.0)], 1)
        [('a', '2.000 ± 1.000'), ('b', '5.000')]
    """
    import numpy as np

    found: dict[tuple[Any, ...], list[Sequence[float]]] = {}
    for row in rows:
        found.setdefault(tuple(row[:names]), []).append(row[names + 1 :])
    return [
        (
            *name,
            *(
                f"{np.mean(column):.3f} ± {np.std(column):.3f}"
                if len(values) > 1
                else f"{column[0]:.3f}"
                for column in zip(*values, strict=True)
            ),
        )
        for name, values in found.items()
    ]


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
