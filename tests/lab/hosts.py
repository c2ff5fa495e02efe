"""Who is in the lab: three subnets behind one router, and their hosts.

All addresses are private (RFC 1918) or reserved for documentation (RFC 5737, RFC 3849), so that
even a packet that escaped would lead nowhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Subnet:
    """One bridge: its IPv4 and IPv6 networks; the router has the first address of each."""

    name: str
    v4: ipaddress.IPv4Network
    v6: ipaddress.IPv6Network

    @property
    def router(self) -> str:
        """The router's IPv4 address here."""
        return str(self.v4[1])

    @property
    def router6(self) -> str:
        """The router's IPv6 address here."""
        return str(self.v6[1])


@dataclass(frozen=True)
class Host:
    """One namespace; `number` is the last part of its addresses, `dual` says that it has IPv6."""

    name: str
    subnet: Subnet
    number: int
    about: str
    dual: bool = False

    @property
    def ip(self) -> str:
        """Its IPv4 address."""
        return str(self.subnet.v4[self.number])

    @property
    def card(self) -> str:
        """Its hardware address, locally administered."""
        return f"02:00:00:00:{SUBNETS.index(self.subnet):02x}:{self.number:02x}"

    @property
    def ip6(self) -> str:
        """Its IPv6 address."""
        return str(self.subnet.v6[self.number])


def _subnet(name: str, v4: str, v6: str) -> Subnet:
    return Subnet(name, ipaddress.IPv4Network(v4), ipaddress.IPv6Network(v6))


OFFICE = _subnet("office", "10.20.1.0/24", "2001:db8:20:1::/64")
SERVERS = _subnet("servers", "10.20.2.0/24", "2001:db8:20:2::/64")
OUTSIDE = _subnet("outside", "203.0.113.0/24", "2001:db8:113::/64")
SUBNETS = (OFFICE, SERVERS, OUTSIDE)

_ALL = (
    Host("ws1", OFFICE, 11, "workstation", dual=True),
    Host("ws2", OFFICE, 12, "workstation, later beaconing", dual=True),
    Host("ws3", OFFICE, 13, "workstation, later scanning", dual=True),
    Host("ws4", OFFICE, 14, "workstation, later tunnelling"),
    Host("ws5", OFFICE, 15, "workstation, later exfiltrating"),
    Host("ws6", OFFICE, 16, "workstation, later spoofing ARP"),
    Host("admin", OFFICE, 20, "administrator's workstation, later moving laterally"),
    Host("printer", OFFICE, 30, "printer (IPP)"),
    Host("dns", SERVERS, 2, "DNS (dnsmasq) and NTP (chronyd)"),
    Host("web", SERVERS, 10, "HTTP and HTTPS (nginx), SSH (sshd)", dual=True),
    Host("mail", SERVERS, 11, "SMTP"),
    Host("db", SERVERS, 12, "Redis, SSH"),
    Host("files", SERVERS, 13, "FTP (vsftpd), SSH"),
    Host("plc", SERVERS, 20, "controller (Modbus/TCP)"),
    Host("plc2", SERVERS, 21, "second controller"),
    Host("hmi", SERVERS, 25, "operator panel, polls the controllers"),
    Host("site", OUTSIDE, 10, "web site (nginx)", dual=True),
    Host("cloud", OUTSIDE, 11, "cloud services (nginx); also hides the command server"),
    Host("share", OUTSIDE, 12, "file sharing (nginx); also receives what is exfiltrated"),
    Host("partner", OUTSIDE, 20, "a partner's machine, later guessing passwords"),
    Host("ns", OUTSIDE, 53, "name server (dnsmasq)"),
    Host("attacker", OUTSIDE, 66, "attacker, and name server of the tunnel's domain"),
)
HOSTS: Mapping[str, Host] = {host.name: host for host in _ALL}
NOBODY = str(SERVERS.v4[99])
"""An address in the servers' subnet that no host has."""

TUNNEL = "t.quiet.example"
"""The domain whose name server is the attacker."""


def address(name: str) -> str:
    """Return the IPv4 address of a host, or of the router as "router-SUBNET"; addresses stay."""
    if name in HOSTS:
        return HOSTS[name].ip
    if name.startswith("router-"):
        return next(s.router for s in SUBNETS if s.name == name.removeprefix("router-"))
    return str(ipaddress.ip_address(name))
