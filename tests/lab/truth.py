"""Writes when which attack really happened, as an event file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.lab.hosts import address
from tests.lab.plan import Event, Plan
from tests.lab.processes import LabError

_EARLY_S, _LATER_S = 0.05, 1.0  # flows have milliseconds; answers to the last probe may come late


def events_toml(plan: Plan, begin: float, times: dict[str, dict[str, Any]]) -> str:
    """Write the events as they happened, in the form that the labeller `events` reads.

    Args:
        plan: The plan with the events.
        begin: The scenario's start as seconds since the epoch.
        times: Attack -> `start` and `end` as its agent wrote them, and the `outcome`.

    Raises:
        LabError: An attack of the plan did not happen.
    """
    missing = {e.attack for e in plan.events} - {n for n, t in times.items() if _happened(t)}
    if missing:
        name = min(missing)
        msg = "An attack of the plan did not happen."
        where = f"{name}: {times.get(name, {}).get('outcome', 'its agent never came to it')}"
        raise LabError(msg, where=where, do="Run it again on a quieter machine.")
    lines = ["# Made by the traffic lab; times are those at which the attacks really happened.", ""]
    lines += ["[lab]", f"seed = {plan.seed}", f"minutes = {plan.duration_s / 60:g}"]
    lines += [f"start = {_moment(begin)}", ""]
    for event in sorted(plan.events, key=lambda e: (times[e.attack]["start"], e.target)):
        lines += _event(event, times[event.attack])
    return "\n".join(lines)


def _event(event: Event, time_of: dict[str, Any]) -> Iterator[str]:
    yield "[[event]]"
    yield f"start = {_moment(time_of['start'] - _EARLY_S)}"
    yield f"end = {_moment(time_of['end'] + _LATER_S)}"
    yield f'category = "{event.category}"'
    yield f'source = "{address(event.source)}"'
    yield f'target = "{address(event.target)}"'
    if event.port:
        yield f"port = {event.port}"
    yield ""


def _happened(time_of: dict[str, Any]) -> bool:
    # A tool that its deadline ended has done most of its work.
    return str(time_of["outcome"]).startswith(("ok", "TimeoutExpired"))


def _moment(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
