"""Pictures of runs: one offline page, and every plot as a function that returns a figure.

Functions take what `open_run` returns (`populations` takes matrices) and give a Matplotlib figure,
which saves itself as PNG, SVG or PDF:

    run = open_run(Path("netvigil-runs/unsw"))
    precision_recall(run).savefig("pr.pdf")

Matplotlib is imported when the first of them is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netvigil.report.classes import class_confusion
    from netvigil.report.curves import (
        attack_recall,
        confusion,
        precision_recall,
        roc,
        score_distribution,
    )
    from netvigil.report.explained import feature_amounts, feature_importance, one_explained
    from netvigil.report.graph import traffic_graph, traffic_side_by_side
    from netvigil.report.over_time import drift, timeline
    from netvigil.report.page import to_html
    from netvigil.report.projections import populations, projection
    from netvigil.report.runs import ReportedRun, open_run, open_runs
    from netvigil.report.training import training_loss
    from netvigil.report.write import write_page, write_pngs

__all__ = [
    "ReportedRun",
    "attack_recall",
    "class_confusion",
    "confusion",
    "drift",
    "feature_amounts",
    "feature_importance",
    "one_explained",
    "open_run",
    "open_runs",
    "populations",
    "precision_recall",
    "projection",
    "roc",
    "score_distribution",
    "timeline",
    "to_html",
    "traffic_graph",
    "traffic_side_by_side",
    "training_loss",
    "write_page",
    "write_pngs",
]
_MODULES = (
    "classes",
    "curves",
    "explained",
    "graph",
    "over_time",
    "page",
    "projections",
    "runs",
    "training",
    "write",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _MODULES:
            found = importlib.import_module(f"{__name__}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
