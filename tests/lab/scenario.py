"""Runs a plan: builds the lab, lets everything happen, records it, and leaves nothing behind.

The result appears whole or not at all: recordings and logs are in a folder of their own under the
system's temporary folder, and the folder with `capture.pcapng` and `events.toml` is renamed into
place at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.lab.capture import Recording, write_pcapng
from tests.lab.hosts import HOSTS
from tests.lab.network import PREFIX, Network, remove, stale
from tests.lab.plan import Plan
from tests.lab.processes import PATH, UID, LabError, start
from tests.lab.services import start_services
from tests.lab.truth import events_toml

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(__file__).with_name("packages.txt")
TOOLS = (
    *("chronyd", "dnsmasq", "ethtool", "hping3", "ip", "nginx", "nmap", "openssl", "prlimit"),
    *("redis-server", "setpriv", "ssh", "ssh-keygen", "sshd", "sshpass", "sysctl", "tcpdump"),
    "vsftpd",
)
"""What must be installed; `packages.txt` names the Debian packages that bring it."""

_LEAD_S = 3.0  # agents need so long to start on two busy cores
_TAIL_S = 2.0  # the last packets' time
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Result:
    """What a scenario left: packets recorded, and how often each kind of action ended how."""

    packets: int
    outcomes: dict[str, dict[str, int]]


def require_root_and_tools() -> None:
    """Refuse to start where the lab cannot work.

    Raises:
        LabError: Not root, or tools are missing; names what installs them.
    """
    if os.geteuid() != 0:
        msg = "The lab needs root: it makes network namespaces."
        raise LabError(msg, where=f"user {os.geteuid()}", do="Run the same command with sudo.")
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if missing:
        packages = " ".join(PACKAGES.read_text("ascii").split())
        msg = "Tools of the lab are missing."
        do = f"apt-get install --no-install-recommends {packages}"
        raise LabError(msg, where=", ".join(missing), do=do)


def run_scenario(plan: Plan, target: Path, *, progress: Callable[[float], None]) -> Result:
    """Run a plan and write `capture.pcapng` and `events.toml` into a new or empty folder.

    Args:
        plan: What happens.
        target: The folder.
        progress: Is told how many seconds of the scenario have passed since it was told last.

    Raises:
        LabError: The lab cannot work here, or something in it failed.
        KeyboardInterrupt: Ctrl-C or a request to end; nothing is left.
    """
    require_root_and_tools()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = "The folder for the capture is not empty."
        raise LabError(msg, where=str(target), do="Give a new folder with --to.")
    network = Network()
    target = target.absolute()
    partial = target.with_name(f".{target.name}.{network.prefix}partial")
    with _ended_cleanly(network, partial) as scratch:
        result = _run(plan, network, scratch, partial, progress)
        partial.replace(target)
    return result


def clean() -> list[str]:
    """Remove what killed labs left behind; returns the prefixes of their names."""
    found = stale()
    for prefix in found:
        remove(prefix)
    scratch = [*Path(tempfile.gettempdir()).glob(f"{PREFIX}*")]
    for folder in scratch:
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    return found


@contextmanager
def _ended_cleanly(network: Network, partial: Path) -> Iterator[Path]:
    """Give a folder for the run, and undo everything at its end, whatever ends it."""
    before = {number: signal.signal(number, _stop) for number in _ENDS}
    scratch = Path(tempfile.mkdtemp(prefix=network.prefix))
    try:
        scratch.chmod(0o755)  # the lab's user works in it
        yield scratch
    finally:
        _ignore_signals()
        network.remove()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """A second Ctrl-C must not stop the cleaning."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _: FrameType | None) -> None:
    _ignore_signals()
    raise KeyboardInterrupt(number)


def _run(
    plan: Plan,
    network: Network,
    scratch: Path,
    partial: Path,
    progress: Callable[[float], None],
) -> Result:
    network.build()
    services = start_services(network, scratch)
    recording = Recording(network, scratch)
    recording.start()
    begin = time.time() + _LEAD_S
    agents = [_start_agent(plan, name, network, scratch, begin) for name in HOSTS]
    passed = 0.0
    while passed < plan.duration_s + _TAIL_S:
        time.sleep(min(1.0, max(begin + plan.duration_s + _TAIL_S - time.time(), 0.01)))
        now = time.time() - begin
        progress(max(min(now, plan.duration_s) - passed, 0.0) if now > 0 else 0.0)
        passed = max(now, 0.0)
        recording.check()
        _check_running([*services, *(agents if passed < plan.duration_s else [])], scratch)
    recordings = recording.stop()
    logs = [json.loads(line) for name in HOSTS for line in _lines(_log(scratch, name))]
    times = {log["event"]: log for log in logs if "event" in log}
    text = events_toml(plan, begin, times)
    partial.mkdir(parents=True)
    (partial / "events.toml").write_text(text, "utf-8")
    packets = write_pcapng(recordings, partial / "capture.pcapng")
    return Result(packets, _outcomes(logs))


def _start_agent(
    plan: Plan, name: str, network: Network, scratch: Path, begin: float
) -> subprocess.Popen[bytes]:
    work: dict[str, Any] = {
        "host": name,
        "folder": str(scratch),
        "log": str(_log(scratch, name)),
        "start": begin,
        "end": begin + plan.duration_s + _TAIL_S,
        "actions": [asdict(action) for action in plan.of(name)],
    }
    path = scratch / f"{name}.json"
    path.write_text(json.dumps(work), "utf-8")
    _log(scratch, name).touch()
    os.chown(_log(scratch, name), UID, UID)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); "]
    command[-1] += "from tests.lab.agent import main; main()"
    log = scratch / f"agent-{name}.log"
    return start(network.namespace(name), [*command, str(path)], log=log, drop=False)


def _check_running(running: list[subprocess.Popen[bytes]], scratch: Path) -> None:
    for process in running:
        if process.poll() is not None:
            said = [path for path in scratch.glob("*.log") if path.stat().st_size]
            words = str(process.args).split("--pdeathsig=KILL")[-1][:160]
            last = max(said, key=lambda path: path.stat().st_mtime).read_text("utf-8", "replace")
            msg = f"A process of the lab ended too early with {process.returncode}."
            where = f"{words}: {(last.strip().splitlines() or [''])[-1]}"
            raise LabError(msg, where=where, do="Run it again; if it stays, look at that program.")


def _log(scratch: Path, name: str) -> Path:
    return scratch / f"{name}.jsonl"


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def _outcomes(logs: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for log in logs:
        kind = log.get("event") or log["kind"]
        counts.setdefault(kind, Counter())[log["outcome"]] += 1
    return {kind: dict(counter) for kind, counter in sorted(counts.items())}
