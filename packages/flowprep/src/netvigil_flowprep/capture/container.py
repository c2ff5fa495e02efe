"""What a capture says about itself: its format, link layer, packet count and where it breaks off.

NFStream stops without a word where a file is damaged, so the record headers are walked here as
well, 16 bytes per packet, never a packet's content. Knows nothing about flows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from netvigil.errors import SourceError
from netvigil_flowprep.capture.link_types import SUPPORTED, describe

PCAP_MAGIC: dict[bytes, Literal["<", ">"]] = {
    b"\xd4\xc3\xb2\xa1": "<",  # microseconds
    b"\xa1\xb2\xc3\xd4": ">",
    b"\x4d\x3c\xb2\xa1": "<",  # nanoseconds
    b"\xa1\xb2\x3c\x4d": ">",
}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER: dict[bytes, Literal["<", ">"]] = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

# libpcap, through which NFStream reads, gives up at a longer packet and at a longer block.
LONGEST_PACKET = 262_144
LONGEST_BLOCK = 16 * 1024 * 1024
HEAD = 1 << 16  # far beyond any real file's first interface description
_SHORTEST = 24  # bytes of a pcap file header, and less than a pcapng section header
_BLOCK = 1 << 20  # bytes per read: many headers per system call, whatever the size of the capture

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6


def is_capture(head: bytes) -> bool:
    """Say whether these first bytes open a pcap or pcapng file."""
    return head[:4] in PCAP_MAGIC or head[:4] == PCAPNG_MAGIC


@dataclass
class Walk:
    """What a walk over the record headers found; `damage` is empty where the file is whole."""

    packets: int = 0
    link_types: list[int] = field(default_factory=list)
    damage: str = ""


def check(path: Path, where: str) -> None:
    """Refuse, from its first bytes, a file that NFStream would read as nothing.

    Raises:
        SourceError: Empty, neither pcap nor pcapng, cut off inside its file header, or of a link
            layer that NFStream cannot decode.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    do = "Check how it was written."
    if not head:
        msg = "The capture is empty."
    elif not is_capture(head):
        msg, do = "This is neither a pcap nor a pcapng file.", "Name its format with --format."
    elif len(head) < _SHORTEST:
        msg = "The capture ends inside its file header."
    elif (link_type := first_link_type(head)) is not None and link_type not in SUPPORTED:
        msg = f"NFStream cannot decode packets of {describe(link_type)}."
        do = f"Capture or convert to one of: {', '.join(sorted(set(SUPPORTED.values())))}."
    else:
        return
    raise SourceError(msg, where=where, do=do)


def first_link_type(head: bytes) -> int | None:
    """Return the link type that the first bytes of a capture declare, None if not among them."""
    order = PCAP_MAGIC.get(head[:4])
    if order is not None:
        # The upper bits tell the length of the frame check sequence.
        return struct.unpack_from(f"{order}I", head, 20)[0] & 0xFFFF if len(head) >= 24 else None
    order = _BYTE_ORDER.get(head[8:12])
    at, longest = 0, len(head) - 10
    while order is not None and at <= longest:
        kind, length, link_type = struct.unpack_from(f"{order}IIH", head, at)
        if kind == _INTERFACE:
            return int(link_type)
        if length < 12:
            break
        at += length
    return None


def walk(path: Path) -> Walk:
    """Walk over the record headers of a capture that passed `check`, in constant memory."""
    found = Walk()
    with path.open("rb") as file:
        window = _Window(file)
        head = window.at(0, _SHORTEST) or b""
        steps = _pcap(window, head, found) if head[:4] in PCAP_MAGIC else _pcapng(window, found)
        found.packets = sum(1 for _ in steps)
    return found


def _pcap(window: _Window, head: bytes, found: Walk) -> Iterator[None]:
    order = PCAP_MAGIC[head[:4]]
    found.link_types.append(struct.unpack_from(f"{order}I", head, 20)[0] & 0xFFFF)
    header = struct.Struct(f"{order}8xI4x")
    at = 24
    while at < window.size:
        raw = window.at(at, 16)
        if raw is None:
            found.damage = f"it ends inside a packet header at byte {at:,}"
            return
        (captured,) = header.unpack(raw)
        if captured > LONGEST_PACKET:
            found.damage = f"the packet at byte {at:,} claims {captured:,} bytes"
            return
        at += 16 + captured
        if at > window.size:
            found.damage = f"it ends {at - window.size:,} bytes before the end of a packet"
            return
        yield


def _pcapng(window: _Window, found: Walk) -> Iterator[None]:
    order: Literal["<", ">"] | None = None
    at = 0
    while at < window.size:
        raw = window.at(at, 12)
        if raw is not None and raw[:4] == PCAPNG_MAGIC:
            order = _BYTE_ORDER.get(raw[8:12])
        if raw is None or order is None:
            found.damage = f"it ends or breaks inside a block header at byte {at:,}"
            return
        kind, length = struct.unpack_from(f"{order}II", raw)
        if not 12 <= length <= LONGEST_BLOCK or length % 4:
            found.damage = f"the block at byte {at:,} claims {length:,} bytes"
            return
        if at + length > window.size:
            found.damage = f"it ends {at + length - window.size:,} bytes before the end of a block"
            return
        if kind == _INTERFACE:
            (link_type,) = struct.unpack_from(f"{order}H", raw, 8)
            found.link_types.append(link_type)
            if link_type != found.link_types[0]:
                # libpcap reads one link layer per file and stops here.
                other = describe(link_type)
                found.damage = f"an interface at byte {at:,} changes to {other}"
                return
        at += length
        if kind in {_PACKET, _SIMPLE, _ENHANCED}:
            yield


class _Window:
    """Random access to a file that is read once, front to back, in large pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        self._start, self._data = 0, b""

    def at(self, place: int, length: int) -> bytes | None:
        """Return `length` bytes from `place`, None where the file is shorter."""
        offset = place - self._start
        if offset < 0 or offset + length > len(self._data):
            self._file.seek(place)
            self._start, self._data, offset = place, self._file.read(_BLOCK), 0
        raw = self._data[offset : offset + length]
        return raw if len(raw) == length else None
