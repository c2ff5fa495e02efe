"""What an audit found: findings with what to do, and the figures behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from netvigil.audit.defects import Severity
from netvigil.audit.shortcuts import FeatureAuc, RuleAuc, Stump
from netvigil.evaluation.table import printable

COLOURS = {"high": "bold red", "medium": "yellow", "low": "dim"}
ORDER: tuple[Severity, ...] = ("high", "medium", "low")
SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """One thing wrong with the data, and what to do about it."""

    severity: Severity
    what: str
    do: str
    source: str = ""


@dataclass(frozen=True)
class ClassRow:
    """One class; `over_time` are its flows in equal parts of the time.

    `sources` is None without addresses, `first` and `last` (ISO 8601, to ten seconds) without a
    clock.
    """

    name: str
    flows: int
    sources: int | None
    first: str | None
    last: str | None
    over_time: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """Everything an audit says, findings first, the gravest first.

    `duplicates_of` and `near_duplicates_of` say among how many flows repeats were counted;
    `sampled` how many labelled flows the AUCs rest on, drawn evenly with `seed`.
    """

    format: str
    flows: int
    known: int
    attacks: int
    duplicates: int
    duplicates_of: int
    near_duplicates: int
    near_duplicates_of: int
    first: str | None
    last: str | None
    clock_jumps: tuple[tuple[str, float], ...]
    whole_seconds: bool | None
    out_of_order: float | None
    classes: tuple[ClassRow, ...]
    sampled: int
    seed: int
    features: tuple[FeatureAuc, ...]
    rules: tuple[RuleAuc, ...]
    stumps: tuple[Stump, ...]
    findings: tuple[Finding, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        share = f"{self.attacks:,} attacks among {self.known:,} labelled"
        yield Text(printable(f"{self.format}: {self.flows:,} flows, {share}"))
        repeats = f"{self.duplicates:,} exact repeats among {self.duplicates_of:,} flows"
        if self.near_duplicates_of:
            repeats += f"; {self.near_duplicates:,} repeat endpoints and counters"
        yield Text(repeats)
        for finding in sorted(self.findings, key=lambda f: ORDER.index(f.severity)):
            grid = Table.grid(padding=(0, 1))
            severity = Text(f"{finding.severity:6}", style=COLOURS[finding.severity])
            grid.add_row(severity, Text(printable(finding.what)))
            grid.add_row("", Text(printable(finding.do)))
            if finding.source:
                grid.add_row("", Text(printable(finding.source), style="dim"))
            yield grid
        if self.classes:
            yield self._class_table()
        if self.sampled:
            note = f"AUCs rest on {self.sampled:,} labelled flows drawn with seed {self.seed}"
            yield Text(note, style="italic")
            yield self._auc_table()

    def _class_table(self) -> Table:
        table = Table(title="classes: flows over time from left to right", title_justify="left")
        for header in ("class", "flows", "sources", "over time"):
            table.add_column(
                header, justify="left" if header in ("class", "over time") else "right"
            )
        for row in self.classes:
            sources = "" if row.sources is None else f"{row.sources:,}"
            name = escape(printable(row.name))
            table.add_row(name, f"{row.flows:,}", sources, _bars(row.over_time))
        return table

    def _auc_table(self) -> Table:
        table = Table(title="what a single rule reaches", title_justify="left")
        for header in ("rule", "AUC", "note"):
            table.add_column(header, justify="right" if header == "AUC" else "left")
        for rule in self.rules:
            auc = "" if rule.auc is None else f"{rule.auc:.3f}"
            table.add_row(escape(printable(rule.rule)), auc, escape(rule.reason or rule.folds))
        for feature in self.features[:SHOWN]:
            note = f"attacks are {feature.attacks_are}"
            note += f"; denied: {feature.denied_as}" if feature.denied_as else ""
            table.add_row(escape(printable(feature.name)), f"{feature.auc:.3f}", escape(note))
        return table


def _bars(counts: Sequence[int]) -> str:
    """Draw counts as eighths of a block; any flow shows."""
    top = max(counts, default=0)
    blocks = " ▁▂▃▄▅▆▇█"
    return "".join(blocks[-(-8 * count // top)] if count else " " for count in counts)
