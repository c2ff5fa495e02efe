"""Explained flows in words, ready for the page: nothing is drawn and nothing escaped here."""

from __future__ import annotations

from typing import Any

from netvigil.explaining import lines
from netvigil.explaining.results import Explanations
from netvigil.report.runs import ReportedRun

EXPLAINED = 50  # flows listed with what they rest on


def in_words(run: ReportedRun) -> dict[str, Any] | None:
    """Return the explanations in words, the highest score first; None where there are none."""
    found = run.explanations
    if found is None or not found.flows:
        return None
    return {
        "words": _explained_words(found),
        "flows": [
            {
                "who": lines.who(flow),
                "facts": lines.facts(flow),
                "reasons": "; ".join(flow.reasons),
                "told": [
                    {
                        "heading": lines.heading(told),
                        "parts": list(lines.parts(told)),
                        "remarks": told.remarks,
                    }
                    for told in flow.told
                ],
            }
            for flow in found.flows[:EXPLAINED]
        ],
    }


def _explained_words(found: Explanations) -> str:
    names = " and ".join(each.name for each in found.explainers)
    shown = min(len(found.flows), EXPLAINED)
    said = f"{len(found.flows):,} flows by {names}; {shown:,} of them are listed."
    checks = [told.check for _, told in found.told("features") if told.check is not None]
    if not checks:
        return said
    named = sum(check.named for check in checks) / len(checks)
    random = sum(check.random for check in checks) / len(checks)
    return (
        f"{said} A check that the leading features matter: set to the train median, they lower the "
        f"score by {named:,.3g} on average, as many random features by {random:,.3g}."
    )
