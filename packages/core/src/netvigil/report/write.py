"""The files of a report: one page, or one PNG a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from netvigil.errors import ConfigError
from netvigil.phases import Phases
from netvigil.report import curves, explained, graph, over_time, projections, training
from netvigil.report.files import write_file
from netvigil.report.page import to_html
from netvigil.report.runs import ReportedRun
from netvigil.report.theme import to_png

NAME = "report.html"


def page_path(folders: Sequence[Path]) -> Path:
    """Return where the page of one folder lies.

    Raises:
        ConfigError: Of several folders none is the page's own.
    """
    if len(folders) > 1:
        msg = "The page of several folders needs a name."
        raise ConfigError(msg, where="--to", do="Add --to report.html.")
    return folders[0] / NAME


def write_page(
    runs: Sequence[ReportedRun],
    path: Path,
    *,
    notes: Sequence[str] = (),
    phases: Phases | None = None,
) -> None:
    """Write the page, in place of an older one; it appears whole or not at all."""
    write_file(path, to_html(runs, notes=notes, phases=phases))


def figures(run: ReportedRun) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Yield every figure that a run has something for: its name, and what draws it."""
    judged, trained = run.headline is not None, training.trained(run)
    single = {
        "precision-recall": (judged, curves.precision_recall),
        "roc": (judged, curves.roc),
        "attack-recall": (judged and bool(run.own and run.own.attacks), curves.attack_recall),
        "confusion": (judged, curves.confusion),
        "score-distribution": (True, curves.score_distribution),
        "training-loss": (trained, training.training_loss),
        "timeline": (True, over_time.timeline),
        "drift": (True, over_time.drift),
        "feature-amounts": (explained.explained(run), explained.feature_amounts),
        "feature-importance": (explained.explained(run), explained.feature_importance),
        "one-explained": (explained.explained(run), explained.one_explained),
        "traffic": (graph.telling_bins(run) is not None, graph.traffic_side_by_side),
    }
    for name, (there, make) in single.items():
        if there:
            yield name, partial(make, run)
    for space in projections.spaces(run):
        for method in ("pca", "t-sne"):
            for dims in (2, 3):
                yield (
                    f"{space}-{method}-{dims}d",
                    partial(projections.projection, run, space, method, dims),
                )


def write_pngs(runs: Sequence[ReportedRun], folder: Path, *, phases: Phases) -> list[Path]:
    """Write each figure of each run as PNG; several runs get a folder each.

    Returns the files written.
    """
    written = []
    for run in runs:
        place = folder / run.name.replace("/", "-") if len(runs) > 1 else folder
        with phases.phase(f"draw {run.name}"):
            for name, make in figures(run):
                write_file(place / f"{name}.png", to_png(make()))
                written.append(place / f"{name}.png")
    return written
