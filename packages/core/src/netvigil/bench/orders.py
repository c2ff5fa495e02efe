"""Runs the worker in fresh processes of a side, and reads its answers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netvigil.bench.sides import Side
from netvigil.errors import RunError

WORKER = Path(__file__).with_name("worker.py")
COUNTER = ("valgrind", "--tool=cachegrind", "--cache-sim=no")
MODULES = """
import sys
from netvigil.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
sys.stderr.write(f"modules {len(sys.modules)}")
"""


@dataclass(frozen=True)
class Limits:
    """How each process is held: threads of its pools, its CPU, and how long it may take."""

    threads: int = 1
    cpu: int | None = None
    timeout_s: float = 900.0


def ask(
    side: Side, order: Mapping[str, Any], limits: Limits = Limits(), *, prefix: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Give a fresh process one order; return case -> answer.

    Raises:
        RunError: The process failed, or took too long.
    """
    full = {
        "seed": 0,
        "device": "cpu",
        "seconds": 0.2,
        "traced_flows": 4_000,
        "cpu": limits.cpu,
        **order,
    }
    command = [*prefix, str(side.python), "-P", str(WORKER)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(full),
            env=side.environment(threads=limits.threads),
            capture_output=True,
            text=True,
            timeout=limits.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"A process of '{side.name}' took more than {limits.timeout_s:,.0f} s."
        raise RunError(msg, do="Ask for fewer cases or a smaller size.") from error
    except OSError as error:
        msg = f"The Python of '{side.name}' cannot be started."
        raise RunError(msg, where=str(side.python), do=str(error)) from error
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-6:])
        msg = f"A process of '{side.name}' failed."
        raise RunError(msg, where=str(side.python), do=last)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    return {answer["name"]: answer for answer in answers}


def modules_of_help(side: Side) -> int | None:
    """Return how many modules `netvigil --help` imports; None where there is no command line."""
    done = subprocess.run(
        [str(side.python), "-P", "-c", MODULES],
        env=side.environment(threads=1),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r"modules (\d+)$", done.stderr)
    return int(found[1]) if found else None


def instructions(
    side: Side, name: str, order: Mapping[str, Any], limits: Limits = Limits()
) -> float:
    """Return the instructions of one call: those of a process with three calls less one with two.

    Counted by valgrind, so the same on a busy machine; only user space, threads one after another.
    All else takes fifty times as long there, so a call is one of 4,000 flows at most.

    Raises:
        RunError: There is no valgrind here, or the process failed under it.
    """
    if shutil.which("valgrind") is None:
        msg = "There is no valgrind here."
        raise RunError(msg, do="Install it, or leave out --instructions.")
    counts = []
    for repeats in (2, 3):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            files = f"--log-file={log}", f"--cachegrind-out-file={folder}/out"
            asked = {**order, "what": "repeats", "repeats": repeats, "cases": [name]}
            answer = ask(side, asked, limits, prefix=(*COUNTER, *files))
            if not answer or "error" in next(iter(answer.values())):
                msg = f"'{name}' cannot run under valgrind."
                raise RunError(msg, where=side.name)
            found = re.search(r"I\s+refs:\s+([\d,]+)", log.read_text("utf-8", "replace"))
        if found is None:
            msg = "valgrind printed no count of instructions."
            raise RunError(msg, where=side.name)
        counts.append(int(found[1].replace(",", "")))
    return float(counts[1] - counts[0])


def listed(side: Side, limits: Limits = Limits()) -> dict[str, dict[str, Any]]:
    """Return every case that a side has.

    Raises:
        RunError: It has none, or its netvigil knows no benchmarks.
    """
    found = ask(side, {"what": "list"}, limits)
    if not found:
        msg = f"'{side.name}' brings no benchmark."
        raise RunError(msg, do="Compare revisions whose plugins have `netvigil_benchmarks`.")
    return found
