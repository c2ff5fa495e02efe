"""Graphs with their truth as files: two tables, the pictures, and one offline page with both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup
from matplotlib.figure import Figure

from netvigil.errors import SourceError
from netvigil.report.files import write_file
from netvigil.report.pages import render
from netvigil.report.theme import to_png, to_svg
from netvigil_tabular.weights.generate import TrafficWeights
from netvigil_tabular.weights.pictures import (
    anomalies_and_normals,
    edge_histogram,
    edges_3d,
    frequency,
    weight_graph,
)
from netvigil_tabular.weights.rules import KindFound, Verdict

PICTURES: Mapping[str, tuple[str, Callable[[TrafficWeights], Figure]]] = {
    "graph": ("A graph", weight_graph),
    "anomalies": ("Anomalous and normal graphs", anomalies_and_normals),
    "edges": ("Graphs as points", edges_3d),
    "histogram": ("Weights of the first edge", edge_histogram),
    "frequency": ("Weights of the first two edges together", frequency),
}
"""File name -> title, and what draws it."""
ABSENT = "–"  # noqa: RUF001 - an en dash, the usual sign for a figure that does not exist


def write(
    weights: TrafficWeights,
    train: TrafficWeights,
    test: TrafficWeights,
    verdicts: Sequence[Verdict],
    folder: Path,
) -> list[Path]:
    """Write `weights.parquet`, `truth.parquet`, `weights.html` and a PNG a picture.

    Column `edge_0_2` of the weights is the edge between nodes 0 and 2. The folder appears whole or
    not at all.

    Raises:
        SourceError: The folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = "The folder for the graphs is not empty."
        raise SourceError(msg, where=str(folder), do="Give a new folder with --to.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        made = Path(scratch) / "weights"
        made.mkdir()
        names = [f"edge_{one}_{other}" for one, other in weights.edges.tolist()]
        columns = dict(zip(names, weights.x.T, strict=True))
        pq.write_table(pa.table({"graph": _numbers(weights), **columns}), made / "weights.parquet")
        truth = {"graph": _numbers(weights), "anomalous": weights.y, "kind": weights.kind}
        pq.write_table(pa.table(truth), made / "truth.parquet")
        pictures = {name: draw(weights) for name, (_, draw) in PICTURES.items()}
        for name, picture in pictures.items():
            write_file(made / "pictures" / f"{name}.png", to_png(picture))
        write_file(made / "weights.html", _page(weights, train, test, verdicts, pictures))
        made.replace(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def table(verdicts: Sequence[Verdict]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: each rule's figures, and for each kind recall / precision."""
    kinds = [found.kind for found in verdicts[0].kinds] if verdicts else []
    header = ["rule", "flagged", "precision", "recall", *kinds]
    rows = [
        [
            verdict.rule,
            f"{verdict.flagged:,}",
            _figure(verdict.precision),
            _figure(verdict.recall),
            *(_both(found) for found in verdict.kinds),
        ]
        for verdict in verdicts
    ]
    return header, rows


def _page(
    weights: TrafficWeights,
    train: TrafficWeights,
    test: TrafficWeights,
    verdicts: Sequence[Verdict],
    pictures: Mapping[str, Figure],
) -> str:
    header, rows = table(verdicts)
    names, counts = np.unique(weights.kind[weights.y], return_counts=True)
    return render(
        "page.html",
        __package__ or "",
        weights=weights,
        train=train,
        test=test,
        kinds=", ".join(f"{n:,} {name}" for name, n in zip(names, counts, strict=True)) or "none",
        header=header,
        rows=rows,
        pictures=[
            # Matplotlib escapes the texts that it draws.
            (PICTURES[name][0], Markup(to_svg(made, name=name, words=PICTURES[name][0])))  # noqa: S704
            for name, made in pictures.items()
        ],
    )


def _numbers(weights: TrafficWeights) -> pa.Array:
    return pa.array(np.arange(len(weights)), pa.int64())


def _both(found: KindFound) -> str:
    return f"{_figure(found.recall)} / {_figure(found.precision)}"


def _figure(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"
