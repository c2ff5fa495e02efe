"""Records every packet once, and writes what was recorded as one pcapng file.

tcpdump listens on the three bridges. A routed packet crosses two of them; each tcpdump therefore
keeps only packets whose source address is of its own subnet: the first bridge that a packet
crosses. ARP and link-local IPv6 never cross a router, and are kept where they are. The three
recordings become one pcapng file with three interfaces, in the order of time.
"""

from __future__ import annotations

import heapq
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.hosts import SUBNETS, Subnet
from tests.lab.network import Network
from tests.lab.processes import LabError, start
from tests.lab.trim import Trimmer

SNAPLEN = 192
"""Bytes recorded of a packet at most: a whole DNS question, a request's first lines; `trim` then
leaves most content out. Lengths are those on the wire."""

_PCAP = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_ETHERNET = 1


def kept(subnet: Subnet) -> str:
    """Return the filter of one bridge's tcpdump."""
    return (
        f"src net {subnet.v4} or (ip6 and src net {subnet.v6}) or arp"
        " or (ip6 and (src net fe80::/10 or src host ::))"
    )


class Recording:
    """The running tcpdumps of a scenario."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start recording, and return when it has begun."""
        for subnet in SUBNETS:
            command = ["tcpdump", "-i", subnet.name, "-n", "-s", str(SNAPLEN), "-B", "8192", "-U"]
            command += ["-w", str(self._file(subnet)), kept(subnet)]
            namespace = self._network.namespace("fabric")
            self._running.append(start(namespace, command, log=self._log(subnet), raw=True))
        end = time.monotonic() + 10
        for subnet in SUBNETS:
            while "listening on" not in self._said(subnet):
                if time.monotonic() > end:
                    msg = "tcpdump does not start."
                    said = self._said(subnet).strip() or "it says nothing"
                    raise LabError(msg, where=f"{subnet.name}: {said}", do="Try it by hand.")
                time.sleep(0.02)

    def check(self) -> None:
        """Refuse a recording that has ended by itself.

        Raises:
            LabError: A tcpdump has ended.
        """
        for subnet, process in zip(SUBNETS, self._running, strict=True):
            if process.poll() is not None:
                msg = "tcpdump ended in the middle of the scenario."
                raise LabError(msg, where=self._said(subnet).strip(), do="Is the disk full?")

    def stop(self) -> list[Path]:
        """Stop recording and return the recordings.

        Raises:
            LabError: The kernel dropped packets before tcpdump saw them.
        """
        for process in self._running:
            process.send_signal(signal.SIGINT)
        for process in self._running:
            process.wait(timeout=10)
        for subnet in SUBNETS:
            if "\n0 packets dropped by kernel" not in self._said(subnet):
                msg = "The capture is not complete: the machine was too busy."
                where = f"{subnet.name}: {self._said(subnet).strip().splitlines()[-1]}"
                raise LabError(msg, where=where, do="Run it again on a quieter machine.")
        return [self._file(subnet) for subnet in SUBNETS]

    def _file(self, subnet: Subnet) -> Path:
        return self._folder / f"{subnet.name}.pcap"

    def _log(self, subnet: Subnet) -> Path:
        return self._folder / f"tcpdump-{subnet.name}.log"

    def _said(self, subnet: Subnet) -> str:
        log = self._log(subnet)
        return log.read_text("utf-8", errors="replace") if log.exists() else ""


def packets(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield time in microseconds, length on the wire and content of each packet of a pcap file."""
    with path.open("rb") as file:
        magic, *_, link = _PCAP.unpack(file.read(_PCAP.size))
        if magic != 0xA1B2C3D4 or link != _ETHERNET:
            msg = "A recording is no Ethernet pcap of this machine's byte order."
            raise LabError(msg, where=str(path), do="Check which tcpdump is installed.")
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            seconds, micros, size, length = _RECORD.unpack(head)
            yield seconds * 1_000_000 + micros, length, file.read(size)


def write_pcapng(recordings: list[Path], target: Path) -> int:
    """Merge recordings by time into one pcapng file; returns how many packets it has."""
    count = 0
    with target.open("wb") as file:
        file.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for recording in recordings:
            name = recording.stem.encode("ascii")
            body = struct.pack("<HHI", _ETHERNET, 0, SNAPLEN)
            body += struct.pack("<HH", 2, len(name)) + _padded(name) + bytes(4)  # if_name, end
            file.write(_block(1, body))
        streams = [_numbered(number, recording) for number, recording in enumerate(recordings)]
        trimmer = Trimmer()
        for at_us, number, length, frame in heapq.merge(*streams):
            data = trimmer.cut(frame, length)
            head = struct.pack("<IIIII", number, at_us >> 32, at_us & 0xFFFFFFFF, len(data), length)
            file.write(_block(6, head + _padded(data)))
            count += 1
    return count


def _numbered(number: int, recording: Path) -> Iterator[tuple[int, int, int, bytes]]:
    for at_us, length, data in packets(recording):
        yield at_us, number, length, data


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
