"""Leaves out of packets what no flow needs, so that a capture stays small.

Content is random bytes here, which no compression makes smaller. Of a TCP connection only the first
segment with content in each direction keeps it, which is what nDPI tells HTTP, SSH, SMTP, FTP,
Modbus and others by, and of TLS only its first bytes. Everything else stays: headers, lengths on
the wire, UDP, ICMP, ARP.
"""

from __future__ import annotations

_TLS = 42  # bytes of content: the record's and the message's headers, and a part of its random
_ETHERNET, _TCP = 14, 6
_V4, _V6 = b"\x08\x00", b"\x86\xdd"


class Trimmer:
    """Cuts packets, in the order in which they were recorded."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def cut(self, frame: bytes, length: int) -> bytes:
        """Return what is kept of a frame whose length on the wire is given."""
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


def _tcp_header(frame: bytes) -> int | None:
    """Return where a frame's TCP header begins, or None where it has none."""
    if frame[12:14] == _V4 and len(frame) > 23 and frame[23] == _TCP:
        return _ETHERNET + 4 * (frame[14] & 15)
    if frame[12:14] == _V6 and len(frame) > 20 and frame[20] == _TCP:
        return _ETHERNET + 40
    return None
