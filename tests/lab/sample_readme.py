"""The README of the sample: `sample_readme.md` with the figures of the run that was packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.lab.capture import SNAPLEN
from tests.lab.hosts import HOSTS, SUBNETS

TEMPLATE = Path(__file__).with_name("sample_readme.md")


def readme(
    lab: Mapping[str, Any],
    events: Mapping[tuple[str, str, str, int, int], tuple[float, float]],
    flows: Mapping[str, int],
    again: Mapping[str, int],
    **values: Any,
) -> str:
    """Return the whole text.

    Args:
        lab: Seed and minutes of the run.
        events: Its events with their seconds after the start.
        flows: Its flows per class.
        again: The same of a second run, or empty.
        values: The template's other figures.
    """
    text = TEMPLATE.read_text("utf-8")
    return text.format(
        minutes=lab["minutes"],
        seed=lab["seed"],
        hosts=len(HOSTS),
        snaplen=SNAPLEN,
        flows=sum(flows.values()),
        host_table="\n".join(_hosts()),
        event_table="\n".join(_events(events)),
        class_table="\n".join(_classes(flows, again)),
        **values,
    )


def _classes(flows: Mapping[str, int], again: Mapping[str, int]) -> Iterator[str]:
    yield "| class | flows | part |" + (" rebuilt |" if again else "")
    yield "|---|---|---|" + ("---|" if again else "")
    total = sum(flows.values())
    for name, count in flows.items():
        row = f"| `{name}` | {count:,} | {count / total:.1%} |"
        yield row + (f" {again.get(name, 0):,} |" if again else "")


def _hosts() -> Iterator[str]:
    yield "| host | address | what it is |"
    yield "|---|---|---|"
    for host in HOSTS.values():
        six = f", {host.ip6}" if host.dual else ""
        yield f"| {host.name} | {host.ip}{six} | {host.about} |"
    for subnet in SUBNETS:
        yield f"| router | {subnet.router}, {subnet.router6} | router, {subnet.name} |"


def _events(
    events: Mapping[tuple[str, str, str, int, int], tuple[float, float]],
) -> Iterator[str]:
    names = {host.ip: host.name for host in HOSTS.values()}
    yield "| category | from s | to s | between | port |"
    yield "|---|---|---|---|---|"
    ordered = sorted(events.items(), key=lambda item: (item[1], item[0]))
    for (times, category), group in groupby(ordered, key=lambda item: (item[1], item[0][0])):
        keys = [key for key, _ in group]
        pairs = [(names.get(key[1], key[1]), names.get(key[2], key[2])) for key in keys]
        source, target = pairs[0]
        between = f"{source} and {target}" if len(pairs) == 1 else _many(pairs)
        port = keys[0][3] or "all"
        yield f"| `{category}` | {times[0]:.0f} | {times[1]:.0f} | {between} | {port} |"


def _many(pairs: list[tuple[str, str]]) -> str:
    if len(pairs) < 4:
        return ", ".join(f"{source} and {target}" for source, target in pairs)
    return f"{pairs[0][0]} and {len(pairs)} addresses"
