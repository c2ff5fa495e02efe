"""Builds and removes the lab's network: namespaces, three bridges, a router between them.

One namespace, the fabric, holds the bridges; every host and the router have a link into it. No link
leads to the machine's own network, and no link has a name there. What a host sends crosses the
bridge of its own subnet first, and a routed packet also that of its destination: `capture` says how
each packet is nevertheless recorded once.

Names begin with `nvlab-` and the number of the process that owns them, so that what a killed run
left behind is found and removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.lab.hosts import HOSTS, SUBNETS, Host
from tests.lab.processes import UID, USER, kill_all, run

PREFIX = "nvlab-"
ETC = Path("/etc/netns")
_QUIET = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
_END = (
    "net.ipv4.ip_unprivileged_port_start=0",
    "net.ipv4.ping_group_range=0 2147483647",
    "net.ipv4.tcp_timestamps=0",  # they hardly compress, and no detector reads them
    "net.ipv4.conf.all.accept_redirects=0",
)
_DUAL = (
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.all.accept_ra=0",
    "net.ipv6.conf.default.accept_ra=0",
)
_FORWARD = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


class Network:
    """The namespaces of one run; use as a context manager, which removes them."""

    def __init__(self) -> None:
        self.prefix = f"{PREFIX}{os.getpid()}-"

    def namespace(self, name: str) -> str:
        """Return the namespace of a host, of the "router" or of the "fabric"."""
        return f"{self.prefix}{name}"

    def build(self) -> None:
        """Make everything; half of it stays after an error, for `remove`."""
        names = ["fabric", "router", *HOSTS]
        run(["ip", "-batch", "-"], text=_lines(f"netns add {self.namespace(n)}" for n in names))
        for name in names:
            folder = ETC / self.namespace(name)
            folder.mkdir(parents=True)
            passwd = f"root:x:0:0::/root:/bin/sh\n{USER}:x:{UID}:{UID}::/nonexistent:/bin/sh\n"
            (folder / "passwd").write_text(passwd, "ascii")
        self._settings("fabric", _QUIET)
        self._settings("router", (*_DUAL, *_FORWARD))
        for host in HOSTS.values():
            self._settings(host.name, (*_END, *(_DUAL if host.dual else _QUIET)))
        fabric = ["ip", "-n", self.namespace("fabric"), "-batch", "-"]
        run(fabric, text=_lines(self._fabric()))
        for subnet in SUBNETS:
            self._offload("fabric", f"r-{subnet.name}")
            self._offload("router", subnet.name)
        run(["ip", "-n", self.namespace("router"), "-batch", "-"], text=_lines(_router()))
        for host in HOSTS.values():
            self._offload("fabric", host.name)
            self._offload(host.name, "eth0")
            run(["ip", "-n", self.namespace(host.name), "-batch", "-"], text=_lines(_host(host)))

    def remove(self) -> None:
        """Kill what runs in the namespaces and remove them; nothing to do is fine."""
        remove(self.prefix)

    def _settings(self, name: str, settings: tuple[str, ...]) -> None:
        run(["ip", "netns", "exec", self.namespace(name), "sysctl", "-q", "-w", *settings])

    def _offload(self, name: str, link: str) -> None:
        """Make the link send packets as a wire carries them: none larger than the MTU.

        The sums of TCP and UDP stay the network card's work, so that they are partial in a capture:
        as on any machine that captures what it sends, and easier to compress.
        """
        words = ["ethtool", "-K", link, "tso", "off", "gso", "off", "gro", "off"]
        run(["ip", "netns", "exec", self.namespace(name), *words])

    def _fabric(self) -> Iterator[str]:
        for subnet in SUBNETS:
            # Unknown destinations are flooded, as by any switch; multicast to all, without queries.
            yield f"link add {subnet.name} type bridge mcast_snooping 0"
            yield f"link set {subnet.name} up"
            peer = f"peer name {subnet.name} netns {self.namespace('router')}"
            yield f"link add r-{subnet.name} type veth {peer}"
            yield f"link set r-{subnet.name} master {subnet.name} up"
        for host in HOSTS.values():
            peer = f"peer name eth0 address {host.card} netns {self.namespace(host.name)}"
            yield f"link add {host.name} type veth {peer}"
            yield f"link set {host.name} master {host.subnet.name} up"


def remove(prefix: str) -> None:
    """Remove every namespace whose name begins so, with its processes and files."""
    names = namespaces(prefix)
    kill_all(names)
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    for folder in ETC.glob(f"{prefix}*"):
        shutil.rmtree(folder, ignore_errors=True)
    if ETC.is_dir() and not any(ETC.iterdir()):
        ETC.rmdir()


def namespaces(prefix: str) -> list[str]:
    """Return the namespaces whose names begin so."""
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    names = (line.split()[0] for line in done.stdout.splitlines() if line)
    return [name for name in names if name.startswith(prefix)]


def stale() -> list[str]:
    """Return the prefixes of labs whose owner no longer runs."""
    owned = [*namespaces(PREFIX), *(folder.name for folder in ETC.glob(f"{PREFIX}*"))]
    owners = {name.removeprefix(PREFIX).split("-")[0] for name in owned}
    return [f"{PREFIX}{owner}-" for owner in sorted(owners) if not _is_lab(owner)]


def _is_lab(owner: str) -> bool:
    """Say whether that process is a lab, and not another that has got its number since."""
    try:
        return b"tests.lab" in Path(f"/proc/{int(owner)}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _router() -> Iterator[str]:
    yield "link set lo up"
    for subnet in SUBNETS:
        yield f"addr add {subnet.router}/{subnet.v4.prefixlen} dev {subnet.name}"
        yield f"addr add {subnet.router6}/{subnet.v6.prefixlen} dev {subnet.name} nodad"
        yield f"link set {subnet.name} up"


def _host(host: Host) -> Iterator[str]:
    subnet = host.subnet
    yield "link set lo up"
    yield f"addr add {host.ip}/{subnet.v4.prefixlen} dev eth0"
    if host.dual:
        yield f"addr add {host.ip6}/{subnet.v6.prefixlen} dev eth0 nodad"
    yield "link set eth0 up"
    for table in ("arp_cache", "ndisc_cache"):  # asked for again after minutes, not half a minute
        yield f"ntable change name {table} dev eth0 base_reachable 600000"
    yield f"route add default via {subnet.router}"
    if host.dual:
        yield f"route add ::/0 via {subnet.router6}"


def _lines(commands: Iterator[str]) -> str:
    return "".join(f"{command}\n" for command in commands)
