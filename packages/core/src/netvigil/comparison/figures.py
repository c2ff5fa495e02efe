"""Which figures a comparison can show, what they are called and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from netvigil.errors import ConfigError, nearest
from netvigil.evaluation import MethodResult, Spread
from netvigil.evaluation.class_table import WHOLE
from netvigil.evaluation.table import ABSENT, COLUMNS

Better = Literal["high", "low"]


@dataclass(frozen=True)
class Figure:
    """One column of figures: its header, its number format, and which end is better."""

    key: str
    header: str
    form: str
    better: Better = "high"

    def of(self, method: MethodResult) -> Spread | float | None:
        """Return a method's value; None where it was not measured."""
        if self.key == ORACLE:
            return method.oracle.f1
        if self.key in COLUMNS:
            return COLUMNS[self.key][1](method)
        if self.key in WHOLE:
            return method.classes.metrics.get(self.key) if method.classes else None
        return method.metrics.get(self.key)

    def mean(self, method: MethodResult) -> float | None:
        """Return the mean over seeds."""
        value = self.of(method)
        return value.mean if isinstance(value, Spread) else value

    @property
    def timed(self) -> bool:
        """Whether it is a number of seconds."""
        return self.key.endswith("_s")


ORACLE = "oracle_f1"
"""The best F1 with a cut chosen on the test labels: what that leak is worth beside the plain F1."""
LOW = {"fpr", "alerts_per_hour", "realised", "fit_s", "score_s", "log_loss", "brier", "ece"}
"""Figures of which less is better, other things equal."""
OTHERS = {
    "tpr_at_fpr_0.1%": ("TPR@0.1%", ".3f"),
    "tpr_at_fpr_0.5%": ("TPR@0.5%", ".3f"),
    "macro_f1": ("macro F1", ".3f"),
    "mcc": ("MCC", ".3f"),
    "fpr": ("FPR", ".4f"),
    ORACLE: ("ORACLE F1", ".3f"),
}
FIGURES: Mapping[str, Figure] = {
    key: Figure(key, header, form, "low" if key in LOW else "high")
    for key, (header, form) in {
        **{key: (header, form) for key, (header, _, form) in COLUMNS.items()},
        **OTHERS,
        **WHOLE,
    }.items()
}
LONG = (
    "auroc",
    "auprc",
    "tpr_at_fpr_1%",
    "within_pair_auroc",
    "alerts_per_hour",
    "f1",
    "fit_s",
    "score_s",
)
WIDE = ("auroc", "auprc", "tpr_at_fpr_1%")
INTERVALS = {"auroc", "auprc"}
"""Figures whose bootstrap interval stands in the long table; a spreadsheet has all of them."""


def chosen(
    names: str | None, otherwise: Sequence[str], *, option: str = "--metrics"
) -> tuple[Figure, ...]:
    """Return the figures that a comma-separated list names; `option` is where it was given.

    Raises:
        ConfigError: A figure that does not exist; names the nearest.
    """
    keys = [name.strip() for name in names.split(",")] if names is not None else otherwise
    for key in keys:
        if key not in FIGURES:
            msg = f"There is no figure '{key}'."
            do = nearest(key, FIGURES) or f"There are: {', '.join(FIGURES)}."
            raise ConfigError(msg, where=option, do=do)
    return tuple(FIGURES[key] for key in dict.fromkeys(keys))


def cell(figure: Figure, method: MethodResult) -> str:
    """Return `mean ± sd [low, high]`, as far as there is.

    Example:
        >>> long, spread = FIGURES["auroc"], Spread(mean=0.9, sd=0.01, per_seed=(0.89, 0.91))
        >>> text(long, spread), text(FIGURES["fit_s"], 1.234), text(FIGURES["f1"], None)
        ('0.900 ± 0.010', '1.23', '\u2013')
    """
    return text(figure, figure.of(method))


def text(figure: Figure, value: Spread | float | None) -> str:
    """Return one value as `cell` prints it."""
    form = figure.form
    if not isinstance(value, Spread):
        return ABSENT if value is None else f"{value:{form}}"
    if value.mean is None:
        return ABSENT
    around = f" ± {value.sd:{form}}" if value.sd else ""
    interval = ""
    if figure.key in INTERVALS and value.low is not None and value.high is not None:
        interval = f" [{value.low:{form}}, {value.high:{form}}]"
    return f"{value.mean:{form}}{around}{interval}"


def brief(figures: Iterable[Figure], method: MethodResult) -> str:
    """Return several figures as one cell: `0.952 ±.037 / 0.534 / 0.106`.

    The deviation stands beside the first one alone, without its zero.
    """
    parts = []
    for place, figure in enumerate(figures):
        value = figure.of(method)
        mean = figure.mean(method)
        shown = ABSENT if mean is None else f"{mean:{figure.form}}"
        if place == 0 and isinstance(value, Spread) and value.sd and mean is not None:
            shown += f" ±{value.sd:{figure.form}}".replace("±0.", "±.")
        parts.append(shown)
    return " / ".join(parts)
