"""What benign clients do, one function per kind of action; failing is part of the habit."""

from __future__ import annotations

import base64
import ftplib
import http.client
import io
import os
import smtplib
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.lab.hosts import HOSTS, address
from tests.lab.responders import MODBUS

WAIT_S = 3.0
"""How long a client waits for an answer."""

_TYPES = {"A": 1, "MX": 15, "TXT": 16, "AAAA": 28}


def tls() -> ssl.SSLContext:
    """Return a client's TLS that takes the lab's own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def question(name: str, kind: str) -> bytes:
    """Return a DNS query."""
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.split("."))
    head = os.urandom(2) + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0)
    return head + labels + struct.pack(">BHH", 0, _TYPES[kind], 1)


def ask(server: str, port: int, message: bytes) -> bytes:
    """Send one datagram from a new port and wait for the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(WAIT_S)
        udp.connect((server, port))
        udp.send(message)
        return udp.recv(4_096)


def browser(target: str, port: int, options: Mapping[str, Any]) -> http.client.HTTPConnection:
    """Return a connection, not yet open, by HTTP or HTTPS and IPv4 or IPv6."""
    where = HOSTS[target].ip6 if options.get("v6") else address(target)
    if port in (80, 8443):
        return http.client.HTTPConnection(where, port, timeout=WAIT_S)
    return http.client.HTTPSConnection(where, port, timeout=WAIT_S, context=tls())


def _lookup(target: str, port: int, options: Mapping[str, Any]) -> None:
    ask(address(target), port, question(options["name"], options["type"]))


def _ntp(target: str, port: int, options: Mapping[str, Any]) -> None:
    ask(address(target), port, b"\x23" + bytes(39) + os.urandom(8))


def _mdns(target: str, port: int, options: Mapping[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", 5353))
        udp.sendto(b"\0\0" + question("_ipp._tcp.local", "A")[2:], (target, port))


def _http(target: str, port: int, options: Mapping[str, Any]) -> None:
    headers = {"Host": options.get("name", f"{target}.example"), "User-Agent": "browser/7"}
    if word := options.get("password"):
        headers["Authorization"] = "Basic " + base64.b64encode(f"staff:{word}".encode()).decode()
    body = os.urandom(options["size"]) if "size" in options else None
    web = browser(target, port, options)
    try:
        for _ in range(options.get("many", 1)):
            web.request("POST" if body else "GET", options.get("path", "/"), body, headers)
            web.getresponse().read()
    finally:
        web.close()


def _smtp(target: str, port: int, options: Mapping[str, Any]) -> None:
    with smtplib.SMTP(address(target), port, local_hostname="lab.example", timeout=WAIT_S) as mail:
        text = "Subject: list\r\n\r\n" + "a line of a letter\r\n" * (options["size"] // 20)
        mail.sendmail("staff@lab.example", ["staff@lab.example"], text)


def _redis(target: str, port: int, options: Mapping[str, Any]) -> None:
    with socket.create_connection((address(target), port), timeout=WAIT_S) as database:
        for number in range(options["commands"]):
            value = b"v" * options["size"]
            words = [b"SET", b"k%d" % number, value] if number % 3 == 0 else [b"GET", b"k0"]
            bulk = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            database.sendall(b"*%d\r\n" % len(words) + bulk)
            database.recv(65_536)


def _modbus(target: str, port: int, options: Mapping[str, Any]) -> None:
    with socket.create_connection((address(target), port), timeout=WAIT_S) as plc:
        for number in range(options["reads"]):
            plc.sendall(MODBUS.pack(number, 0, 6, 1, 3) + struct.pack(">HH", 100 * number, 20))
            plc.recv(300)


def _ipp(target: str, port: int, options: Mapping[str, Any]) -> None:
    printer = http.client.HTTPConnection(address(target), port, timeout=WAIT_S)
    try:
        body = b"\x02\x00\x00\x0b" + bytes(100) + os.urandom(options["size"])
        printer.request("POST", "/ipp/print", body, {"Content-Type": "application/ipp"})
        printer.getresponse().read()
    finally:
        printer.close()


def _ftp(target: str, port: int, options: Mapping[str, Any]) -> None:
    with ftplib.FTP(address(target), timeout=WAIT_S) as files:
        files.login()
        if options["put"]:
            name = f"in/{os.getpid()}-{time.monotonic_ns()}"
            files.storbinary(f"STOR {name}", io.BytesIO(os.urandom(options["put"])))
        else:
            files.retrbinary("RETR forms.zip", lambda _: None)


def secure_shell(target: str, command: str, folder: Path, *options: str) -> list[str]:
    """Return the call of ssh that logs in to a server with the lab's key."""
    known = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    words = ["ssh", "-F", "none", "-q", *known, "-o", "ConnectTimeout=4", *options]
    return [*words, "-i", str(folder / "client_key"), f"lab@{address(target)}", command]


def _ssh(target: str, port: int, options: Mapping[str, Any]) -> None:
    command = f"head -c {options['size']} /dev/urandom; sleep {options['pause']}"
    call = secure_shell(target, command, Path(options["folder"]), "-o", "BatchMode=yes")
    subprocess.run(call, check=True, timeout=7, stdin=subprocess.DEVNULL, capture_output=True)


def _ping(target: str, port: int, options: Mapping[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as icmp:
        icmp.settimeout(WAIT_S)
        icmp.connect((address(target), 0))
        for number in range(2):
            icmp.send(struct.pack(">BBHHH", 8, 0, 0, 0, number) + bytes(48))
            icmp.recv(200)


def _connect(target: str, port: int, options: Mapping[str, Any]) -> None:
    socket.create_connection((address(target), port), timeout=WAIT_S).close()


BENIGN: Mapping[str, Callable[[str, int, Mapping[str, Any]], None]] = {
    "lookup": _lookup,
    "ntp": _ntp,
    "mdns": _mdns,
    "http": _http,
    "smtp": _smtp,
    "redis": _redis,
    "modbus": _modbus,
    "ipp": _ipp,
    "ftp": _ftp,
    "ssh": _ssh,
    "ping": _ping,
    "connect": _connect,
}
"""Kind of action -> what does it; raises `OSError` and the like where the other side fails."""
