"""`report.html`: one run, or several with a tab each, in one offline file.

`netvigil.report.pages` says what makes it harmless; `view` has the words, this the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from netvigil import __version__
from netvigil.comparison.figures import LONG, chosen
from netvigil.comparison.page import table_values
from netvigil.comparison.rows import compare
from netvigil.comparison.runs import Run
from netvigil.errors import ConfigError
from netvigil.evaluation import receipt_lines
from netvigil.phases import Phases
from netvigil.report import (
    classes,
    curves,
    explained,
    explained_words,
    over_time,
    training,
    view,
)
from netvigil.report.pages import render
from netvigil.report.runs import ReportedRun
from netvigil.report.theme import to_svg

SCRIPTS = ("sort.js", "filter.js", "report.js", "traffic.js", "alerts.js", "points.js")
MOST_RUNS = 8  # with their pictures, about 4 MB


@dataclass(frozen=True)
class Picture:
    """A figure with its caption; `size` is `wide` where it takes the page's width."""

    title: str
    svg: Markup
    words: str = ""
    size: str = ""


def to_html(
    runs: Sequence[ReportedRun], *, notes: Sequence[str] = (), phases: Phases | None = None
) -> str:
    """Return the whole page. Projections take seconds a run; `phases` shows how far they are.

    Raises:
        ConfigError: More runs than a page can hold.
    """
    if len(runs) > MOST_RUNS:
        msg = f"A page shows at most {MOST_RUNS} runs, and these are {len(runs)}."
        raise ConfigError(
            msg, do="Name some of them; `netvigil compare` puts any number in a table."
        )
    phases = phases or Phases()
    compared = compare([Run(run.name, run.receipt, folder=run.folder) for run in runs], notes=notes)
    with phases.phase("project flows") as advance:
        points = []
        for run in runs:
            points.append(view.points(run))
            advance(run.evidence.sample.num_rows)
    with phases.phase("draw"):
        views = [_view(run, n, points[n], share=1 / len(runs)) for n, run in enumerate(runs)]
        several = len(runs) > 1
        return render(
            "page.html",
            __package__ or "",
            scripts=SCRIPTS if compared.rows else tuple(s for s in SCRIPTS if s != "filter.js"),
            style="report.css",
            title=_title(runs),
            lead=_lead(runs),
            notes=compared.notes,
            several=several,
            together=_together(runs) if several else [],
            table=bool(compared.rows),
            views=views,
            version=__version__,
            **table_values(compared.rows, chosen(None, LONG)),
        )


def _title(runs: Sequence[ReportedRun]) -> str:
    if len(runs) > 1:
        return f"{len(runs)} runs side by side"
    return f"{runs[0].facts.method} on {runs[0].receipt.data[0].source}"


def _lead(runs: Sequence[ReportedRun]) -> str:
    about = "The positive class is the attack; a higher score means more anomalous."
    judged = [run for run in runs if run.headline]
    if not judged:
        return about
    return f"{about} An AUPRC is read against its base rate, which it equals by chance."


def _together(runs: Sequence[ReportedRun]) -> list[Picture]:
    judged = [run for run in runs if run.headline]
    if not judged:
        return []
    return [
        _picture(
            "Precision and recall",
            curves.precision_recall(*judged),
            "all-pr",
            "Precision over recall of every run's methods",
        ),
        _picture("ROC", curves.roc(*judged), "all-roc", "ROC curves of every run's methods"),
        _picture(
            "Which attacks each method finds",
            curves.attack_recall(*judged),
            "all-recall",
            "Recall of each attack class by method",
            "Recall in percent at each method's own cut, mean over seeds; in brackets the flows.",
            "wide",
        ),
    ]


def _view(
    run: ReportedRun, number: int, points: dict[str, Any] | None, *, share: float
) -> dict[str, Any]:
    line = over_time.timeline(run)
    shown = view.data(run, share=share)
    drift = over_time.drift(run)
    return {
        "name": run.name,
        "method": run.facts.method,
        "what": view.what(run),
        "cards": view.cards(run),
        "receipt": receipt_lines(run.receipt),
        "left_out": view.left_out(run),
        "labelled": run.facts.labelled,
        "curves": _curves(run, number),
        "timeline": _svg(line, f"time-{number}", "Scores over time with true events and alerts"),
        "drift": _svg(drift, f"drift-{number}", "Share of flows above the cut over time"),
        "graphs": bool(run.edges),
        "alerts": run.evidence.alerts.num_rows,
        "explained": explained_words.in_words(run),
        "explained_pictures": _explained(run, number),
        "attacks": view.attacks(run),
        "confusion": view.confusion(run),
        "classes": classes.class_rows(run),
        "class_confusion": _class_picture(run, number),
        "points": points,
        "data": {**shown, "points": points, "axis": over_time.extent(run, line)},
        **view.words(run, shown),
    }


def _class_picture(run: ReportedRun, number: int) -> Picture | None:
    if run.own is None or run.own.classes is None:
        return None
    return _picture(
        "What the flows of each class were taken for, first seed",
        classes.class_confusion(run),
        f"classes-{number}",
        "Share of each class's flows by the class they were taken for",
        "Percent of the row, which is the true class; in brackets its test flows.",
        "wide",
    )


def _curves(run: ReportedRun, number: int) -> list[Picture]:
    drawn = []
    if run.headline is not None:
        drawn += [
            _picture(
                "Precision and recall",
                curves.precision_recall(run),
                f"pr-{number}",
                "Precision over recall",
                "The dot is the cut; faint lines are the other seeds.",
            ),
            _picture(
                "ROC, low false-positive rates stretched",
                curves.roc(run),
                f"roc-{number}",
                "ROC curves",
            ),
        ]
    drawn.append(
        _picture(
            "Scores by class, and the cut",
            curves.score_distribution(run),
            f"scores-{number}",
            "Number of flows by score, for each class",
        )
    )
    if training.trained(run):
        drawn.append(
            _picture(
                "Loss and its terms",
                training.training_loss(run),
                f"loss-{number}",
                "Training loss over epochs",
            )
        )
    return drawn


def _explained(run: ReportedRun, number: int) -> list[Picture]:
    if not explained.explained(run):
        return []
    return [
        _picture(
            "Features over all explained flows",
            explained.feature_amounts(run),
            f"amounts-{number}",
            "Amount of each feature in each explained flow",
            "A point is a flow; its colour says where the value lies among train flows.",
        ),
        _picture(
            "Which features matter most",
            explained.feature_importance(run),
            f"importance-{number}",
            "Mean absolute amount of each feature",
        ),
        _picture(
            "The highest of them in detail",
            explained.one_explained(run),
            f"one-{number}",
            "Amount of each feature in the highest alert",
            "To the right: raises the score; to the left: lowers it.",
        ),
    ]


def _picture(
    title: str, figure: Figure, name: str, alt: str, words: str = "", size: str = ""
) -> Picture:
    return Picture(title, _svg(figure, name, alt), words, size)


def _svg(figure: Figure, name: str, alt: str) -> Markup:
    return Markup(to_svg(figure, name=name, words=alt))  # noqa: S704 - Matplotlib escapes its texts
