"""What the hosts do when nobody attacks: habits, pauses, failures and rare harmless novelties.

Rates are per host and written beside their reason; every moment and size is drawn from one
generator. Failures (refused ports, wrong names, silence, mistyped passwords) and first contacts
happen all the time, so that neither is a sign of attack by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.lab.hosts import HOSTS, NOBODY
from tests.lab.plan import Action

STAFF = ("ws1", "ws2", "ws3", "ws4", "ws5", "ws6")
SITES = ("site", "cloud", "share", "web")
PATHS = ("/", "/news.html", "/style.css", "/logo.png", "/api/items", "/report.pdf", "/missing")
"""`report.pdf` is large, `missing` is missing."""

_QUIET_END_S = 3.0  # nothing begins so late that its packets would miss the capture


def habits(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """Yield the benign actions of all hosts, in no order."""
    for action in _habits(rng, duration_s):
        if action.at < duration_s - _QUIET_END_S:
            yield action


def _habits(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    for host, stream in zip(STAFF, rng.spawn(len(STAFF)), strict=True):
        yield from _staff(stream, host, duration_s)
    kinds: tuple[Callable[[np.random.Generator, float], Iterator[Action]], ...]
    kinds = (_everyone, _servers, _controllers, _administrator, _outside, _failures, _novelties)
    for kind, stream in zip(kinds, rng.spawn(len(kinds)), strict=True):
        yield from kind(stream, duration_s)


def _times(
    rng: np.random.Generator, duration_s: float, every_s: float, *, jitter: float = 1.0
) -> Iterator[float]:
    """Yield moments: at random (`jitter` 1, exponential gaps) or regular with a relative jitter."""
    at = rng.uniform(0, every_s)
    while at < duration_s:
        yield round(at, 3)
        regular = every_s * rng.uniform(1 - jitter, 1 + jitter)
        at += max(0.05, rng.exponential(every_s) if jitter >= 1 else regular)


def _lookup(at: float, host: str, name: str, kind: str = "A") -> Action:
    return Action(at, host, "lookup", "dns", 1.0, 53, options={"name": name, "type": kind})


def _http(at: float, host: str, target: str, path: str, **options: Any) -> Action:
    port = options.pop("port", 443)
    return Action(at, host, "http", target, 3.0, port, options={"path": path, **options})


def _staff(rng: np.random.Generator, host: str, duration_s: float) -> Iterator[Action]:
    """Browse in sessions, print, mail, fetch and leave files, each person at their own pace."""
    taste = rng.dirichlet([2.0, 2.0, 0.7, 2.0])
    pace = rng.uniform(0.8, 1.25)
    for at in _times(rng, duration_s, 8.5 * pace):
        target = SITES[int(rng.choice(len(SITES), p=taste))]
        yield from _session(rng, at, host, target)
    for at in _times(rng, duration_s, 4.0 if host == "ws1" else 22.0, jitter=0.2):
        options = {"size": int(rng.choice((0, 0, 0, 3_000)))}
        yield Action(at, host, "ipp", "printer", 2.0, 631, options=options)
    for at in _times(rng, duration_s, 45.0 * pace):
        options = {"size": int(rng.lognormal(6.5, 0.8))}
        yield Action(at, host, "smtp", "mail", 2.0, 25, options=options)
    for at in _times(rng, duration_s, 40.0 * pace):
        options = {"put": int(rng.integers(500, 6_000)) if rng.random() < 0.3 else 0}
        yield Action(at, host, "ftp", "files", 3.0, options=options)
    for at in _times(rng, duration_s, 75.0 * pace):  # what is shared is mostly small, at times not
        size = int(min(rng.lognormal(8.1, 1.1), 40_000))
        yield _http(at, host, "share", "/upload", size=size)
    for at in _times(rng, duration_s, 25.0, jitter=0.1):
        yield Action(at, host, "mdns", "224.0.0.251", 1.0, 5353)


def _session(rng: np.random.Generator, at: float, host: str, target: str) -> Iterator[Action]:
    """Look a name up, then fetch some pages with pauses; dual hosts prefer IPv6, often."""
    name = f"www{int(rng.integers(1, 9))}.{target}.example"
    if rng.random() < 0.7:  # else the name is still in the host's own cache
        yield _lookup(at, host, name)
        if HOSTS[host].dual:
            yield _lookup(at, host, name, "AAAA")
    v6 = HOSTS[host].dual and HOSTS[target].dual and rng.random() < 0.6
    port = 443 if rng.random() < 0.6 else 80
    for _ in range(int(rng.geometric(0.5))):
        at = round(at + 0.1 + rng.exponential(1.2), 3)
        path = str(rng.choice(PATHS, p=(0.3, 0.2, 0.15, 0.15, 0.14, 0.02, 0.04)))
        many = int(rng.choice((1, 1, 1, 1, 3)))
        yield _http(at, host, target, path, port=port, v6=bool(v6), many=many, name=name)


def _everyone(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """Ask for the time and for names, as operating systems do."""
    for host in HOSTS.values():
        if host.name in ("dns", "ns", "attacker"):
            continue
        for at in _times(rng, duration_s, 32.0, jitter=0.15):
            yield Action(at, host.name, "ntp", "dns", 1.0, 123)
        if host.subnet.name != "outside":
            for at in _times(rng, duration_s, 30.0):
                yield _lookup(at, host.name, f"u{int(rng.integers(40))}.updates.example")


def _servers(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """The web server asks its database, the mail server relays, a backup runs twice."""
    for at in _times(rng, duration_s, 2.2):
        options = {"commands": int(rng.geometric(0.55)), "size": int(rng.lognormal(5, 1))}
        yield Action(at, "web", "redis", "db", 2.0, 6379, options=options)
    for at in _times(rng, duration_s, 20.0):
        options = {"size": int(rng.lognormal(6.5, 0.8))}
        yield Action(at, "mail", "smtp", "partner", 3.0, 25, options=options)
        yield _lookup(at, "mail", "partner.example", "MX")
    for part in (0.22, 0.80):  # large and harmless, once in each half
        for piece in range(3):
            options = {"put": 50_000}
            at = round(part * duration_s + 2 * piece, 3)
            yield Action(at, "db", "ftp", "files", 4.0, options=options)


def _controllers(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """The panel polls its controllers by the clock and stores what it read."""
    for plc, every_s in (("plc", 2.5), ("plc2", 4.5)):
        for at in _times(rng, duration_s, every_s, jitter=0.03):
            options = {"reads": 1 if plc == "plc" else 2}
            yield Action(at, "hmi", "modbus", plc, 1.0, 502, options=options)
    for at in _times(rng, duration_s, 6.0, jitter=0.05):
        yield Action(at, "hmi", "redis", "db", 1.0, 6379, options={"commands": 2, "size": 60})


def _administrator(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """Log in to the servers regularly, copy a file at times, watch all servers."""
    for target, every_s in (("web", 26.0), ("db", 36.0), ("files", 32.0)):
        for at in _times(rng, duration_s, every_s):
            options = {
                "size": int(min(rng.lognormal(7.0, 1.3), 25_000)),
                "pause": round(float(rng.exponential(0.6)), 2),
            }
            yield Action(at, "admin", "ssh", target, 8.0, 22, options=options)
    for at in _times(rng, duration_s, 30.0, jitter=0.05):
        for offset, (target, port) in enumerate(
            (("dns", 53), ("web", 443), ("mail", 25), ("db", 6379), ("files", 21), ("plc", 502))
        ):
            moment = round(at + 0.2 * offset, 3)
            yield Action(moment, "admin", "ping", target, 1.0)
            yield Action(moment, "admin", "connect", target, 1.0, port)
    for at in _times(rng, duration_s, 15.0):
        yield from _session(rng, at, "admin", "web")


def _outside(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """The partner and other machines outside use the public web server."""
    for at in _times(rng, duration_s, 3.0):
        path = str(rng.choice(PATHS[:5]))
        yield _http(at, "partner", "web", path, port=80 if rng.random() < 0.6 else 443)
    for at in _times(rng, duration_s, 40.0):  # a person who mistypes a password, then does not
        for tries, word in enumerate(("wrong", "right") if rng.random() < 0.4 else ("right",)):
            yield _http(at + tries, "partner", "web", "/private/", port=80, password=word)
    for at in _times(rng, duration_s, 9.0):
        yield _http(at, "site", "web", "/api/items", v6=bool(rng.random() < 0.5))
    for at in _times(rng, duration_s, 60.0):
        yield _http(at, "attacker", "web", "/", port=443)


def _failures(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """Refused ports, wrong names, silence, and retries of each."""
    callers = [host for host in (*STAFF, "admin", "web") if host != "ws3"]
    for at in _times(rng, duration_s, 6.0):
        host = str(rng.choice(callers))
        way = rng.random()
        for attempt in range(int(rng.integers(1, 4))):
            moment = round(at + 1.1 * attempt, 3)
            if way < 0.4:
                port = int(rng.choice((8080, 8443, 3306, 5432, 3389)))
                yield Action(moment, host, "connect", "web" if host != "web" else "db", 1.0, port)
            elif way < 0.75:
                yield _lookup(moment, host, f"typo{int(rng.integers(99))}.site.exmaple")
            else:
                yield Action(moment, host, "connect", NOBODY, 4.0, int(rng.choice((80, 445))))


def _novelties(rng: np.random.Generator, duration_s: float) -> Iterator[Action]:
    """First contacts that mean no harm: a new pair or a new service, now and then."""
    firsts: list[tuple[str, str, str, int, dict[str, Any]]] = [
        ("ws4", "http", "cloud", 8443, {}),
        ("ws1", "redis", "db", 6379, {"commands": 3, "size": 40}),
        ("admin", "modbus", "plc", 502, {"reads": 2}),
        ("mail", "http", "site", 443, {"path": "/news.html"}),
        ("ws5", "ssh", "files", 22, {"size": 3_000, "pause": 0.2}),
        ("files", "http", "cloud", 443, {"path": "/report.pdf"}),
        ("db", "smtp", "mail", 25, {"size": 400}),
        ("hmi", "http", "web", 80, {"path": "/api/items"}),
        ("printer", "smtp", "mail", 25, {"size": 9_000}),
        ("ws6", "ftp", "files", 0, {"put": 40_000}),
        ("plc2", "http", "web", 80, {"path": "/logo.png"}),
        ("ws2", "modbus", "plc2", 502, {"reads": 1}),
    ]
    order = rng.permutation(len(firsts))
    for place, index in enumerate(order):
        host, kind, target, port, options = firsts[int(index)]
        at = (0.08 + 0.9 * place / len(firsts)) * duration_s + rng.uniform(0, 4)
        for again in range(int(rng.integers(1, 4))):
            moment = round(at + 0.4 * again, 3)
            yield Action(moment, host, kind, target, 4.0, port, options=dict(options))
