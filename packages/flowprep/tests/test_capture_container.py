from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import SourceError
from netvigil_flowprep.capture.container import check, first_link_type, is_capture, walk
from netvigil_flowprep.capture.link_types import SUPPORTED

MAGIC = {
    ("<", "us"): b"\xd4\xc3\xb2\xa1",
    (">", "us"): b"\xa1\xb2\xc3\xd4",
    ("<", "ns"): b"\x4d\x3c\xb2\xa1",
    (">", "ns"): b"\xa1\xb2\x3c\x4d",
}


def pcap(packets: list[bytes], *, order: str = "<", unit: str = "us", link_type: int = 1) -> bytes:
    head = MAGIC[order, unit] + struct.pack(f"{order}HHiIII", 2, 4, 0, 0, 65535, link_type)
    records = (
        struct.pack(f"{order}IIII", 1_600_000_000 + n, n, len(p), len(p)) + p
        for n, p in enumerate(packets)
    )
    return head + b"".join(records)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", length)


def pcapng(
    packets: list[bytes], *, order: str = "<", link_types: tuple[int, ...] = (1,), comment: int = 0
) -> bytes:
    section = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1) + bytes(comment)
    interfaces = (block(1, struct.pack(f"{order}HHI", t, 0, 65535), order) for t in link_types)
    records = (
        block(6, struct.pack(f"{order}IIIII", 0, 0, n, len(p), len(p)) + p, order)
        for n, p in enumerate(packets)
    )
    return block(0x0A0D0D0A, section, order) + b"".join((*interfaces, *records))


PACKETS = [b"a" * 60, b"b" * 1514, b"", b"c" * 61]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit", ["us", "ns"])
def test_pcap_of_either_byte_order_and_clock_is_counted(
    tmp_path: Path, order: str, unit: str
) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(PACKETS, order=order, unit=unit))
    found = walk(path)
    assert (found.packets, found.link_types, found.damage) == (4, [1], "")


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_is_counted_whatever_its_options(tmp_path: Path, order: str) -> None:
    path = tmp_path / "c.pcapng"
    path.write_bytes(pcapng(PACKETS, order=order, comment=400) + pcapng(PACKETS[:2], order=order))
    found = walk(path)
    assert (found.packets, found.damage) == (6, "")


@given(cut=st.integers(24, len(pcap(PACKETS))))
def test_a_pcap_cut_anywhere_keeps_the_whole_packets(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "c.pcap"
    path.write_bytes(pcap(PACKETS)[:cut])
    ends = [len(pcap(PACKETS[:n])) for n in range(len(PACKETS) + 1)]
    found = walk(path)
    assert found.packets == sum(end <= cut for end in ends[1:])
    assert (found.damage == "") == (cut in ends)


@given(cut=st.integers(28, len(pcapng(PACKETS))))
def test_a_pcapng_cut_anywhere_keeps_the_whole_packets(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "c.pcapng"
    path.write_bytes(pcapng(PACKETS)[:cut])
    ends = [len(pcapng(PACKETS[:n])) for n in range(len(PACKETS) + 1)]
    found = walk(path)
    assert found.packets == sum(end <= cut for end in ends[1:])
    # The section header alone is whole, too.
    assert (found.damage == "") == (cut in {28, *ends})


@given(st.binary(max_size=400), st.sampled_from([pcap([]), pcapng([])]))
def test_junk_after_a_header_is_damage_or_packets_and_ends(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, head: bytes
) -> None:
    path = tmp_path_factory.mktemp("junk") / "c"
    path.write_bytes(head + junk)
    found = walk(path)
    assert found.damage or found.packets <= len(junk) / 12


def test_a_packet_longer_than_libpcap_takes_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(PACKETS) + struct.pack("<IIII", 0, 0, 300_000, 300_000) + bytes(300_000))
    found = walk(path)
    assert found.packets == 4
    assert "claims 300,000 bytes" in found.damage


def test_an_interface_of_another_link_type_ends_the_walk(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    path.write_bytes(pcapng(PACKETS, link_types=(1, 113)))
    assert "link type 113 (Linux cooked capture v1)" in walk(path).damage


@pytest.mark.parametrize("make", [pcap, lambda p, link_type: pcapng(p, link_types=(link_type,))])
@pytest.mark.parametrize(
    ("link_type", "name"), [(105, "IEEE 802.11"), (276, "Linux cooked capture v2"), (65_000, "")]
)
def test_an_unsupported_link_type_is_named(
    tmp_path: Path, make: Callable[..., bytes], link_type: int, name: str
) -> None:
    path = tmp_path / "c"
    path.write_bytes(make(PACKETS, link_type=link_type))
    with pytest.raises(SourceError, match=rf"link type {link_type}( \({name}\))?\.") as error:
        check(path, "where")
    assert "Ethernet" in error.value.do


@pytest.mark.parametrize("link_type", sorted(SUPPORTED))
def test_supported_link_types_pass(tmp_path: Path, link_type: int) -> None:
    path = tmp_path / "c"
    path.write_bytes(pcap(PACKETS, link_type=link_type))
    check(path, "where")
    assert first_link_type(path.read_bytes()) == link_type


def test_the_upper_half_of_the_link_field_is_not_the_link_type() -> None:
    # Bits 28-31 tell the length of a frame check sequence.
    assert first_link_type(pcap([], link_type=0x4000_0001)) == 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"ts,uid\n1,2\n", "neither a pcap nor a pcapng"),
        (pcap([])[:23], "inside its file header"),
    ],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=what):
        check(path, "where")


def test_magic_numbers() -> None:
    assert all(is_capture(magic) for magic in MAGIC.values())
    assert is_capture(pcapng([]))
    assert not is_capture(b"\x1f\x8b\x08\x00")
    assert not is_capture(b"")


def test_a_file_larger_than_a_block_is_walked_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap([b"x" * 9000] * 300))  # 2.7 MB: headers fall on both sides of a block
    assert walk(path).packets == 300
