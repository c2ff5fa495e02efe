"""Trials, one after another here, or several at a time in worker processes.

A worker is told a trial as JSON and answers in JSON; what it works on lies in the search's folder.
Each has its share of the cores. Where the search is stopped, workers are stopped with it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, cast

from netvigil.config import Objective
from netvigil.errors import RunError
from netvigil.phases import Advance
from netvigil.plugins import Plugins
from netvigil.tuning.material import Material
from netvigil.tuning.objectives import GOALS
from netvigil.tuning.study import Study
from netvigil.tuning.trials import NoLossError, Outcome, Trials

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to make its own `Trials`; `load` is a function of an importable module.

    Plugins are loaded anew in each worker, so nothing that was fitted passes between processes.
    """

    values: Mapping[str, Any]
    base: Path
    objective: Objective
    material: Path
    work: Path
    log: Path
    load: Callable[[], Plugins]

    def trials(self) -> Trials:
        """Open the material and load the plugins."""
        return Trials(
            values=self.values,
            base=self.base,
            plugins=self.load(),
            goal=GOALS[self.objective],
            material=Material.open(self.material),
            work=self.work,
            log=self.log,
        )


def run_trials(study: Study, recipe: Recipe, advance: Advance, *, jobs: int = 1) -> None:
    """Run every trial that the study hands out.

    Raises:
        NoLossError: The objective is the validation loss, and the encoder reports none.
        RunError: A worker ended by itself, as when the system is out of memory.
    """
    if jobs == 1:
        trials = recipe.trials()
        while (task := study.next()) is not None:
            study.tell(task[0], trials.settle(*task))
            advance(1)
        return
    with _workers(recipe, jobs) as idle:
        busy: dict[Connection, tuple[SpawnProcess, int]] = {}
        while True:
            while idle and (task := study.next()) is not None:
                channel, process = idle.popitem()
                channel.send_bytes(json.dumps(task).encode())
                busy[channel] = (process, task[0])
            if not busy:
                return
            for ready in wait(list(busy)):
                channel = cast("Connection", ready)
                process, number = busy.pop(channel)
                study.tell(number, _answer(channel, process))
                idle[channel] = process
                advance(1)


@contextmanager
def _workers(recipe: Recipe, jobs: int) -> Iterator[dict[Connection, SpawnProcess]]:
    """Start workers, each with its channel, and stop them at the end, whatever ends it."""
    context = multiprocessing.get_context("spawn")  # torch and Arrow do not survive a fork
    with ExitStack() as stack:
        started: dict[Connection, SpawnProcess] = {}
        with _thread_limit(max(1, (os.cpu_count() or 1) // jobs)):
            for _ in range(jobs):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, recipe), daemon=True)
                process.start()
                stack.callback(_stop, process, ours)
                theirs.close()  # or the end of a worker would not be seen here
                started[ours] = process
        yield started


def _stop(process: SpawnProcess, channel: Connection) -> None:
    channel.close()
    process.terminate()
    process.join()
    process.close()


def _answer(channel: Connection, process: SpawnProcess) -> Outcome:
    try:
        kind, values = json.loads(channel.recv_bytes())
    except (EOFError, OSError) as error:
        process.join(5)  # seconds: it is dead already, only its exit code may lag
        msg = f"A worker process ended by itself, exit code {process.exitcode}."
        do = "Its memory may not suffice: go on with --resume and fewer --jobs."
        raise RunError(msg, do=do) from error
    if kind == "no loss":
        raise NoLossError(values["what"], where=values["where"], do=values["do"])
    if kind == "bug":
        msg = "A trial failed in a way that netvigil does not know."
        raise RunError(msg, where=values["trace"])
    return Outcome(**values | {"each": tuple(values["each"])})


def _work(channel: Connection, recipe: Recipe) -> None:
    """Run trials until the channel closes."""
    # Ctrl-C reaches all processes of a terminal; who started this one stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trials: Trials | None = None
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            number, point = json.loads(channel.recv_bytes())
            answer: tuple[str, Mapping[str, Any]]
            try:
                trials = trials or recipe.trials()
                answer = ("done", asdict(trials.settle(number, point)))
            except NoLossError as error:
                answer = ("no loss", {"what": error.what, "where": error.where, "do": error.do})
            except Exception:  # noqa: BLE001 - passed on to who reads the channel
                answer = ("bug", {"trace": traceback.format_exc()})
            channel.send_bytes(json.dumps(answer).encode())


@contextmanager
def _thread_limit(threads: int) -> Iterator[None]:
    """Let processes started meanwhile compute with so many threads, unless their user says more.

    Libraries read these variables when they are imported, so they must be there before.
    """
    added = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
