"""Measures the installed cases in this process, and how far each is from the machine's limit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from netvigil.bench import machine, worker
from netvigil.bench.limits import Needs
from netvigil.bench.machine import Rates
from netvigil.bench.shown import rate
from netvigil.errors import ConfigError, nearest

COLUMNS = ("room", "case", "package", "size", "rate", "per second", "peak MB", "x limit")
ON_CARD = "GPU busy"
SIZES = {"k": 1_000, "m": 1_000_000}


def sizes(text: str) -> tuple[int, ...]:
    """Read sizes with commas.

    Raises:
        ConfigError: One is no whole positive number, with or without k or M.

    Example:
        >>> sizes("500,10k,1M")
        (500, 10000, 1000000)
    """
    found = []
    for word in text.split(","):
        digits, factor = word.strip(), 1
        if digits[-1:].lower() in SIZES:
            digits, factor = digits[:-1], SIZES[digits[-1].lower()]
        if not digits.isdecimal() or not int(digits):
            msg = f"'{word}' is no size."
            raise ConfigError(msg, do="Write flows such as 500, 10k or 1M, with commas between.")
        found.append(int(digits) * factor)
    return tuple(found)


def chosen(
    *, package: str | None = None, room: str | None = None, case: str | None = None
) -> list[tuple[str, Any]]:
    """Return (provider, part) of the cases asked for.

    Raises:
        ConfigError: There is none of that package, room or name.
    """
    found = list(worker.found())
    for what, name in (("package", package), ("room", room), ("name", case)):
        if name is None:
            continue
        told = [worker.described(*each)[what] for each in found]
        known = sorted(set(told))
        if name not in known:
            msg = f"There is no {'case' if what == 'name' else what} '{name}' with benchmarks."
            raise ConfigError(msg, do=nearest(name, known) or f"There is: {', '.join(known)}.")
        found = [each for each, said in zip(found, told, strict=True) if said == name]
    return found


def rows(
    cases: Sequence[tuple[str, Any]],
    *,
    at: Sequence[int] = (),
    seed: int = 0,
    device: str = "cpu",
    seconds: float = 0.5,
    rates: Rates | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """Measure cases and yield a row each, an `error` in place of figures where one fails.

    A case that cannot run on an accelerator is left out where one is asked for.
    """
    for provider, part in cases:
        about = worker.described(provider, part)
        if device != "cpu" and not about["devices"]:
            continue
        for flows in at or (about["flows"],):
            tell(f"{part.name}, {flows:,}")
            order: dict[str, Any] = {"flows": flows, "seed": seed, "device": device}
            order |= {"what": "time", "seconds": seconds} | _observing(device)
            row = {"case": part.name, **about, "flows": flows, "device": device}
            try:
                found = worker.measured(part, order)
            except Exception as error:  # noqa: BLE001 - said in the row, and the others go on
                yield row | {"error": f"{type(error).__name__}: {error}"}
                continue
            yield row | _figures(found, rates)


def _observing(device: str) -> dict[str, Any]:
    """Return what also looks at a GPU while a case runs; nothing for a CPU."""
    if device == "cpu":
        return {}
    return {"observe": partial(machine.card().observed, device=device)}


def _figures(found: Mapping[str, Any], rates: Rates | None) -> dict[str, Any]:
    usual = statistics.median(found["seconds"])
    result = {
        "items": found["items"],
        "rate": found["items"] / usual,
        "seconds": found["seconds"],
        "peak_mb": None if math.isnan(found["peak_mb"]) else found["peak_mb"],
    }
    if "busy_s" in found:
        result["busy"] = found["busy_s"] / usual
    if "needs" in found:
        result["needs"] = found["needs"]
        if rates is not None:
            limit = rates.limit(Needs(**found["needs"]))
            result |= {
                "least_seconds": limit.seconds,
                "times_limit": usual / limit.seconds,
                "bound": limit.bound,
            }
    return result


def columns(device: str) -> tuple[str, ...]:
    """Return the heads of a table of cases on that device."""
    return COLUMNS if device == "cpu" else (*COLUMNS, ON_CARD)


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a row's cells, for people."""
    first = (row["room"], row["case"], row["package"], f"{row['flows']:,}")
    last = () if row["device"] == "cpu" else (f"{row['busy']:.0%}" if "busy" in row else "",)
    if "error" in row:
        return *first, "fails", "", "", row["error"], *last
    distance = f"{row['times_limit']:.3g}, {row['bound']}" if "times_limit" in row else ""
    peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:,.0f}"
    return *first, rate(row["rate"]), row["unit"], peak, distance, *last


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    heads = columns(found[0]["device"] if found else "cpu")
    lines = [heads, ("---",) * len(heads), *(cells(row) for row in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
