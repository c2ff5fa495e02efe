"""Leaves out of packets what no flow needs, so that a capture stays small.

Content is random bytes here, which no compression makes smaller. Of a TCP connection only the first
segment with content in each direction keeps it, which is what nDPI tells HTTP, SSH, SMTP, FTP,
Modbus and others by, and of TLS only its first bytes. The sums of IPv4, TCP and UDP are zero, as
where the network card computes them (those of TCP and UDP are, see `network`, and what is in a
capture before that means nothing). Everything else stays: headers, lengths on the wire, the content
of UDP, ICMP and ARP.
"""

from __future__ import annotations

_TLS = 11  # bytes of content: headers of record and message, the version; then it is random
_ETHERNET, _TCP, _UDP = 14, 6, 17
_V4, _V6 = b"\x08\x00", b"\x86\xdd"


class Trimmer:
    """Cuts packets, in the order in which they were recorded."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def cut(self, frame: bytes, length: int) -> bytes:
        """Return what is kept of a frame whose length on the wire is given."""
        return _without_sums(self._cut(frame, length))

    def _cut(self, frame: bytes, length: int) -> bytes:
        start = _tcp_header(frame)
        if start is None or len(frame) < start + 20:
            return frame
        content = start + 4 * (frame[start + 12] >> 4)
        if length <= max(content, 60):  # 60: the shortest frame of Ethernet, filled up
            return frame
        # The addresses are what precedes the TCP header, ports its first four bytes.
        addresses = 8 if frame[12:14] == _V4 else 32
        way = frame[start - addresses : start + 4]
        if way in self._seen:
            return frame[:content]
        self._seen.add(way)
        return frame[: content + _TLS] if frame[content : content + 1] == b"\x16" else frame


def _without_sums(frame: bytes) -> bytes:
    """Return the frame with the sums of IPv4, TCP and UDP at zero."""
    changed = bytearray(frame)
    four = frame[12:14] == _V4
    if not four and frame[12:14] != _V6:
        return frame
    protocol = frame[23] if four else frame[20]
    start = _ETHERNET + (4 * (frame[14] & 15) if four else 40)
    places = [24] if four else []
    places += {_TCP: [start + 16], _UDP: [start + 6]}.get(protocol, [])
    for place in places:
        if place + 2 <= len(changed):
            changed[place : place + 2] = bytes(2)
    return bytes(changed)


def _tcp_header(frame: bytes) -> int | None:
    """Return where a frame's TCP header begins, or None where it has none."""
    if frame[12:14] == _V4 and len(frame) > 23 and frame[23] == _TCP:
        return _ETHERNET + 4 * (frame[14] & 15)
    if frame[12:14] == _V6 and len(frame) > 20 and frame[20] == _TCP:
        return _ETHERNET + 40
    return None
