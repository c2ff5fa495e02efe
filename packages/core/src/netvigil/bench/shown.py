"""A comparison in words: lines for a terminal, Markdown for a pull request, JSON for machines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from netvigil.bench.gate import Compared, Outcome

COLUMNS = ("case", "base", "head", "time", "99 % interval", "floor", "peak MB", "objects", "n^", "")


def rate(value: float) -> str:
    """Return items per second with three digits: 12.3 M, 456 k, 7.8.

    Example:
        >>> rate(12_345_678), rate(456_000), rate(7.81)
        ('12.3 M', '456 k', '7.81')
    """
    if math.isnan(value):
        return ""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return (
                f"{value / unit:.3g}{name}" if value < 999.5 * unit else f"{value / unit:.0f}{name}"
            )
    return f"{value:.3g}"


def cells(case: Compared) -> tuple[str, ...]:
    """Return a case's row of the table."""
    said = "; ".join((*case.reasons, *case.remarks))
    facts = case.facts
    if facts is None:
        return case.name, "", "", "", "", "", "", "", "", said
    found = facts.change
    return (
        case.name,
        f"{rate(case.rate[0])} {case.unit}/s",
        rate(case.rate[1]),
        f"{found.ratio:.2f}x",
        f"{found.low:.2f} to {found.high:.2f}",
        f"{1 + facts.floor:.2f}x",
        _both(facts.peak_mb, ".0f"),
        _both(facts.objects, ".2f"),
        _both(facts.growth, ".2f"),
        said or facts.verdict,
    )


def headline(outcome: Outcome) -> str:
    """Return the sentence that says what came of it."""
    bad = [case.name for case in outcome.cases if case.reasons]
    faster = [case.name for case in outcome.cases if case.facts and case.facts.verdict == "faster"]
    head, base = outcome.head.name, outcome.base.name
    parts = []
    if outcome.failed:
        parts.append(f"{head} is worse than {base}: {', '.join(bad) or 'see below'}.")
    else:
        parts.append(f"{head} is no worse than {base} in {len(outcome.cases)} cases.")
    if faster:
        parts.append(f"Faster: {', '.join(faster)}.")
    return " ".join(parts)


def lines(outcome: Outcome) -> Iterator[str]:
    """Yield what stands below the table."""
    yield headline(outcome)
    yield from outcome.reasons
    yield from outcome.notes
    base, head = outcome.modules
    if base and head:
        yield f"Modules that netvigil --help imports: {base} before, {head} now."
    yield (
        f"{outcome.seconds:,.0f} s. Time is head's over base's, the median of paired rounds in "
        "fresh processes; a case fails where the whole interval lies above 1, the ratio above its "
        "floor, and all cases together err in less than 5 of 100 comparisons."
    )


def markdown(outcome: Outcome) -> str:
    """Return the comparison as Markdown."""
    rows: list[Sequence[str]] = [COLUMNS, ["---"] * len(COLUMNS)]
    rows += [cells(case) for case in outcome.cases]
    table = "\n".join(f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows)
    said = "\n\n".join(_plain(line) for line in lines(outcome))
    title = _plain(f"Benchmarks, {outcome.base.name} to {outcome.head.name}")
    return f"### {title}\n\n{said}\n\n{table}\n"


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return the comparison as JSON holds it."""
    return {
        "base": {"name": outcome.base.name, "revision": outcome.base.revision},
        "head": {"name": outcome.head.name, "revision": outcome.head.revision},
        "failed": outcome.failed,
        "headline": headline(outcome),
        "reasons": list(outcome.reasons),
        "notes": list(outcome.notes),
        "modules": list(outcome.modules),
        "seconds": outcome.seconds,
        "cases": [asdict(case) for case in outcome.cases],
    }


def _both(values: tuple[float, float], form: str) -> str:
    base, head = ("" if math.isnan(value) else format(value + 0.0, form) for value in values)
    return f"{base} → {head}" if base and base != head else head


def _plain(text: str) -> str:
    """Return text that neither ends a cell nor begins markup."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
