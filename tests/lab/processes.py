"""Starts processes in namespaces with bounds, waits for what they listen on, and ends them.

Daemons and tools run as a user without any right but, where asked for, raw sockets; they end with
the process that started them. Only processes inside the lab's own namespaces are ever killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

UID = 64_999
"""The user of the lab; its name exists only inside the namespaces (`network.passwd`)."""

USER = "lab"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where tools are looked for; daemons are not on every user's path."""

_ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C"}
_BOUNDS = (
    "prlimit",
    "--core=0",
    "--nofile=1024:1024",
    "--fsize=268435456",  # bytes of any one file: far more than a capture of a scenario
    "--cpu=900",  # seconds of processor time
)


class LabError(Exception):
    """What went wrong, where, and what to do: three lines.

    Example:
        >>> print(LabError("The lab needs root.", where="user 1000", do="Run it with sudo."))
        The lab needs root.
        user 1000
        Run it with sudo.
    """

    def __init__(self, what: str, *, where: str, do: str) -> None:
        super().__init__(f"{what}\n{where}\n{do}")


def run(command: Sequence[str], *, text: str | None = None) -> str:
    """Run a command of the host to its end and return its output.

    Raises:
        LabError: It failed; says how.
    """
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, env=_ENVIRONMENT
    )
    if done.returncode:
        words = " ".join(command)
        said = (done.stderr or done.stdout).strip().splitlines()
        msg = "A command of the lab failed."
        do = "Run `python -m tests.lab --clean`, then try again."
        raise LabError(msg, where=f"{words}: {said[0] if said else done.returncode}", do=do)
    return done.stdout


def start(
    namespace: str,
    command: Sequence[str],
    *,
    log: Path,
    raw: bool = False,
    drop: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a command in a namespace.

    Args:
        namespace: Where it runs.
        command: What runs; without a shell.
        log: What it prints goes here.
        raw: It may open raw sockets.
        drop: It runs as the lab's user; else it starts as root and drops its rights by itself.
    """
    words = ["ip", "netns", "exec", namespace, *_BOUNDS, "setpriv"]
    if drop:
        words += [f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        words += ["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw"] if raw else []
    words += ["--pdeathsig=KILL", *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches the lab, which ends them in order
            env=_ENVIRONMENT,
        )


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path, *, udp: bool) -> None:
    """Wait until something in the process's namespace listens on a port.

    Raises:
        LabError: The process ended, or nothing listens after ten seconds.
    """
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if port in _listening(process.pid, udp=udp):
            return
        time.sleep(0.02)
    said = log.read_text("utf-8", errors="replace").strip().splitlines() if log.exists() else []
    msg = "A service of the lab does not start."
    where = f"{log.stem}, port {port}: {said[-1] if said else 'it says nothing'}"
    raise LabError(msg, where=where, do="Check that its Debian package is whole.")


def _listening(pid: int, *, udp: bool) -> set[int]:
    """Return the ports on which anything in the process's namespace listens."""
    ports = set()
    for name in ("udp", "udp6") if udp else ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{name}").read_text("ascii").splitlines()[1:]:
                words = line.split()
                if udp or words[3] == "0A":  # LISTEN
                    ports.add(int(words[1].rpartition(":")[2], 16))
    return ports


def in_namespace(namespace: str) -> list[int]:
    """Return the processes whose network is this namespace."""
    done = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False
    )
    return [int(word) for word in done.stdout.split()]


def kill_all(namespaces: Sequence[str]) -> None:
    """Kill every process inside these namespaces, also what a process there has just started."""
    for _ in range(5):
        pids = [pid for namespace in namespaces for pid in in_namespace(namespace)]
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
