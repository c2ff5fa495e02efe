"""What is left out of packets, and what is not."""

from __future__ import annotations

import struct

import pytest

from tests.lab.trim import Trimmer

ETHERNET = bytes(12)


def tcp(content: bytes, *, port: int = 4000, six: bool = False) -> bytes:
    head = struct.pack(">HHIIBBHHH", port, 80, 1, 1, 5 << 4, 0x18, 100, 0, 0)
    if six:
        length = len(head) + len(content)
        return (
            ETHERNET
            + b"\x86\xdd"
            + struct.pack(">IHBB", 6 << 28, length, 6, 64)
            + bytes(32)
            + head
            + content
        )
    length = 20 + len(head) + len(content)
    v4 = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 7, 0, 64, 6, 0, b"\n\0\0\1", b"\n\0\0\2")
    return ETHERNET + b"\x08\x00" + v4 + head + content


@pytest.mark.parametrize("six", [False, True])
def test_only_the_first_segment_of_a_way_keeps_its_content(six: bool) -> None:
    trimmer = Trimmer()
    headers = 74 if six else 54
    first, second = tcp(b"GET /" * 20, six=six), tcp(b"more " * 20, six=six)
    assert trimmer.cut(first, len(first)) == first
    assert trimmer.cut(second, 1_400) == second[:headers]
    other = tcp(b"GET /" * 20, port=4001, six=six)
    assert trimmer.cut(other, len(other)) == other


def test_of_tls_only_the_beginning_is_kept() -> None:
    hello = tcp(b"\x16\x03\x01" + bytes(130))
    assert Trimmer().cut(hello, 571) == hello[: 54 + 11]


def test_segments_without_content_and_other_protocols_stay() -> None:
    trimmer = Trimmer()
    bare = tcp(b"")
    filled = bare + bytes(6)  # Ethernet fills short frames up
    arp = ETHERNET + b"\x08\x06" + bytes(28)
    udp = bytearray(tcp(b"x" * 90))
    udp[23] = 17
    udp[40:42] = bytes(2)
    for frame in (bare, filled, arp, bytes(udp), bytes(udp), bare[:40]):
        assert trimmer.cut(frame, len(frame)) == frame
    request = tcp(b"GET /")
    assert trimmer.cut(request, 200) == request


def test_sums_are_left_to_the_network_card() -> None:
    frame = bytearray(tcp(b""))
    frame[24:26] = frame[50:52] = b"\x12\x34"
    assert Trimmer().cut(bytes(frame), len(frame)) == tcp(b"")
    frame[23] = 17  # UDP
    frame[40:42] = b"\x12\x34"
    kept = Trimmer().cut(bytes(frame), len(frame))
    assert (kept[24:26], kept[40:42], kept[50:52]) == (bytes(2), bytes(2), b"\x12\x34")
