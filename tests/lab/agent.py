"""Runs in a host's namespace: answers what the host answers, and does what the plan says, in time.

    python -m tests.lab.agent WORK.json

It starts as root, imports all it needs, and then becomes the lab's user, with nothing but raw
sockets where its attacks need them. Benign actions that come late are skipped; of each attack it
writes down when it really began and ended.
"""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 - sockets import it late, when rights may be gone
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.lab.clients import BENIGN
from tests.lab.hostile import HOSTILE, RAW
from tests.lab.job import Job
from tests.lab.plan import LATE_S, Action
from tests.lab.processes import UID
from tests.lab.responders import respond

AT_ONCE = 24
"""Actions of one host at the same time; more wait, and are skipped when they are late."""

_SPARE_S = 1.5  # an attack ends so long before its reserved time does
_NET_RAW = 13
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2


def drop_rights(*, raw: bool) -> None:
    """Become the lab's user; `raw` keeps the right to open raw sockets, also for started tools."""
    libc = ctypes.CDLL(None, use_errno=True)
    if raw:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    if raw:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # capability version 3, this process
        bit = 1 << _NET_RAW
        # Two words each of effective, permitted and inheritable rights.
        rights = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
        if libc.capset(header, rights) or libc.prctl(
            _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _NET_RAW, 0, 0
        ):
            raise OSError(ctypes.get_errno(), "capset")


class Agent:
    """Does the actions of one host."""

    def __init__(self, work: dict[str, Any]) -> None:
        self.host: str = work["host"]
        self.folder = Path(work["folder"])
        self.start: float = work["start"]
        self.end: float = work["end"]
        self.actions = [Action(**action) for action in work["actions"]]
        self._gate = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._log = Path(work["log"]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115

    def run(self) -> None:
        """Do everything in its time, and return at the end of the scenario."""
        for action in self.actions:
            self._sleep_until(self.start + action.at)
            threading.Thread(target=self._do, args=(action,), daemon=True).start()
        self._sleep_until(self.end)

    def _do(self, action: Action) -> None:
        if action.event:
            self._attack(action)
            return
        with self._gate:
            if time.time() - self.start - action.at > LATE_S:
                self._write(kind=action.kind, outcome="late")
                return
            options = {**action.options, "folder": str(self.folder)}
            try:
                BENIGN[action.kind](action.target, action.port, options)
                outcome = "ok"
            except Exception as error:  # noqa: BLE001 - failing is part of the traffic
                outcome = type(error).__name__
            self._write(kind=action.kind, target=action.target, outcome=outcome)

    def _attack(self, action: Action) -> None:
        begun = time.time()
        job = Job(
            target=action.target,
            port=action.port,
            count=action.options["count"],
            deadline=time.monotonic() + action.lasts_s - _SPARE_S,
            rng=random.Random(action.options["seed"]),
            folder=self.folder,
            options=action.options,
        )
        try:
            HOSTILE[action.kind](job)
            outcome = "ok"
        except Exception as error:  # noqa: BLE001 - the lab reads the outcome
            outcome = f"{type(error).__name__}: {error}"
        self._write(event=action.event, start=begun, end=time.time(), outcome=outcome)

    def _write(self, **values: Any) -> None:
        with self._lock:
            self._log.write(json.dumps(values) + "\n")

    @staticmethod
    def _sleep_until(moment: float) -> None:
        while (left := moment - time.time()) > 0:
            time.sleep(min(left, 1.0))


def main() -> None:
    """Read the work, drop all rights, answer and act."""
    work = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    drop_rights(raw=work["host"] in RAW)
    agent = Agent(work)
    respond(agent.host)
    agent.run()


if __name__ == "__main__":
    main()
