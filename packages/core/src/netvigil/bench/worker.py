"""Measures cases in one process: for `netvigil bench` here, and as a script in a fresh process.

As a script it runs in the environment of any revision, also one that is older than itself. So it
uses nothing of netvigil but what benchmarks have always been: parts with `make` and `config` that
the plugin manager finds, with `setup(flows, seed=...)` and `run(prepared)`.

    python -P worker.py < order.json        # one line of JSON per case on standard output
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any

AT_LEAST = 3  # timed calls, however long one takes
AT_MOST = 200
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _scheduler() -> int | None:
    try:
        opened = os.open("/proc/self/schedstat", os.O_RDONLY)
        int(os.pread(opened, 80, 0).split()[1])
    except (OSError, IndexError, ValueError, AttributeError):
        return None
    return opened


SCHEDULER = _scheduler()
"""What Linux knows of this process' waits for a CPU, kept open: reading it must cost nothing."""


def found(package: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield (provider, part) of every benchmark that is installed, or of one distribution's."""
    from netvigil import parts
    from netvigil.plugins import load_plugins

    for registered in load_plugins().of(parts.Benchmark):
        provider = str(registered.provider).split()[0]
        if package in (None, provider):
            yield provider, registered.part


def described(provider: str, part: Any) -> dict[str, Any]:
    """Return what is known of a case before it runs."""
    return {
        "name": part.name,
        "package": provider,
        "room": getattr(part, "room", ""),
        "unit": getattr(part, "unit", "flows"),
        "flows": getattr(part, "flows", 100_000),
        "hot": getattr(part, "hot", False),
        "summary": part.summary,
        "devices": "device" in part.config.model_fields,
    }


def prepared(part: Any, *, flows: int, seed: int, device: str) -> tuple[Any, Any]:
    """Make a case and its input, outside every timer."""
    if "device" in part.config.model_fields:
        case = part.make(part.config(device=device))
    else:
        case = part.make(part.config())
    return case, case.setup(flows, seed=seed)


def once(case: Any, ready: Any) -> tuple[int, float]:
    """Call once: items and seconds.

    Time in which this thread could have run and another process had its CPU is left out, where the
    system tells (Linux): on a busy machine it is most of what wavers, and none of it is ours.
    """
    begin = time.perf_counter()
    waited = _waited()  # within the time it is taken from: else a wait between the two counts twice
    items = case.run(ready)
    waited = _waited() - waited
    return int(items), time.perf_counter() - begin - waited


def _waited() -> float:
    """Return the seconds that the main thread has waited for a CPU, 0 where nobody counts them."""
    return int(os.pread(SCHEDULER, 80, 0).split()[1]) / 1e9 if SCHEDULER is not None else 0.0


def seconds_of(case: Any, ready: Any, *, seconds: float) -> tuple[int, list[float]]:
    """Call at least three times and for at least so many seconds, the garbage collector resting.

    Returns items, and seconds of each call.
    """
    times: list[float] = []
    items = 0
    gc.collect()
    gc.disable()
    try:
        while len(times) < AT_LEAST or (sum(times) < seconds and len(times) < AT_MOST):
            items, took = once(case, ready)
            times.append(took)
    finally:
        gc.enable()
    return items, times


def peak_mb(work: Callable[[], object]) -> float:
    """Return how far the resident set peaked above its start during one call; NaN off Linux."""
    if not RESET.exists():
        work()
        return math.nan
    gc.collect()
    _give_back()
    RESET.write_text("5", "ascii")  # sets the high-water mark back to the current size
    before = _kilobytes("VmRSS")
    work()
    return (_kilobytes("VmHWM") - before) * 1024 / 1e6


def _give_back() -> None:
    """Return freed memory to the system, so that a call cannot hide its peak in it."""
    with suppress(Exception):
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    with suppress(Exception):
        import ctypes

        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _kilobytes(key: str) -> int:
    lines = STATUS.read_text("ascii", "replace").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


def traced(work: Callable[[], object]) -> tuple[int, int]:
    """Return (most Python objects alive at once beyond those before, steps of the interpreter).

    A step is a line, a call or a return. Objects are counted after each: a list of numbers, one per
    flow, shows among the objects, a loop over flows among the steps.
    """
    gc.collect()
    start = sys.getallocatedblocks()
    most, steps = start, 0

    def look(_frame: object, _event: str, _value: object) -> Any:
        nonlocal most, steps
        steps += 1
        most = max(most, sys.getallocatedblocks())
        return look

    before = sys.gettrace(), sys.getprofile()
    threading.settrace(look)
    sys.settrace(look)
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
        threading.settrace(before[0])
    return most - start, steps


def per_item(part: Any, *, flows: int, seed: int, device: str) -> dict[str, float]:
    """Return objects and steps per further item, between `flows` and twice as many."""
    seen = []
    for size in (flows, 2 * flows):
        case, ready = prepared(part, flows=size, seed=seed, device=device)
        items = int(case.run(ready))  # whatever is made once is made now
        seen.append((items, *traced(partial(case.run, ready))))
    more = max(seen[1][0] - seen[0][0], 1)
    return {
        "objects": (seen[1][1] - seen[0][1]) / more,
        "steps": (seen[1][2] - seen[0][2]) / more,
    }


def exponents(
    part: Any, *, flows: int, seed: int, device: str, seconds: float
) -> list[tuple[int, float]]:
    """Return (items, seconds) at n, 2n, 4n and 8n, where 8n is `flows`."""
    found = []
    for size in (flows // 8, flows // 4, flows // 2, flows):
        case, ready = prepared(part, flows=size, seed=seed, device=device)
        case.run(ready)
        items, times = seconds_of(case, ready, seconds=seconds)
        found.append((items, min(times)))
    return found


def measured(part: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    """Measure what the order asks for of one case: time and memory, objects, growth, or repeats."""
    at = {"flows": order["flows"], "seed": order["seed"], "device": order["device"]}
    what, seconds = order["what"], order["seconds"]
    if what == "objects":
        return per_item(part, **{**at, "flows": min(at["flows"], order["traced_flows"])})
    if what == "growth":
        return {"growth": exponents(part, **at, seconds=seconds)}
    if (
        what == "repeats"
    ):  # under an instruction counter, where everything takes fifty times as long
        case, ready = prepared(part, **{**at, "flows": min(at["flows"], order["traced_flows"])})
        for _ in range(order["repeats"]):
            case.run(ready)
        return {}
    case, ready = prepared(part, **at)
    peak = peak_mb(partial(case.run, ready))
    items, times = seconds_of(case, ready, seconds=seconds)
    result: dict[str, Any] = {"items": items, "seconds": times, "peak_mb": peak}
    if hasattr(case, "needs"):
        result["needs"] = dict(vars(case.needs(ready)))
    if "observe" in order:
        result |= order["observe"](partial(case.run, ready))
    return result


def main() -> None:
    """Read an order from standard input; write a line for each case to standard output."""
    order = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a case or a library prints goes to standard error
    if order.get("cpu") is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order["cpu"]})
    with redirect_stdout(sys.stderr):
        wanted = order.get("cases")
        for provider, part in found(order.get("package")):
            if wanted is not None and part.name not in wanted:
                continue
            answer = described(provider, part)
            if order["what"] != "list":
                sizes = order.get("sizes", {})
                mine = {**order, "flows": sizes.get(part.name, answer["flows"])}
                try:
                    answer |= measured(part, mine)
                except Exception as error:  # noqa: BLE001 - said, and the other cases go on
                    answer["error"] = f"{type(error).__name__}: {error}"
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
