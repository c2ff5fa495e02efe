from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netvigil.errors import SourceError
from netvigil_flowprep.blocks import TextFile, utf8


def read(path: Path, size: int = 1 << 20, **options: object) -> bytes:
    return b"".join(block.data for block in TextFile(path).blocks(size, **options))


def test_plain_and_gzip_text_are_the_same(tmp_path: Path):
    text = b"".join(b"%d,line\n" % n for n in range(20_000))
    (tmp_path / "a.csv").write_bytes(text)
    (tmp_path / "b.csv").write_bytes(gzip.compress(text))
    assert read(tmp_path / "a.csv", 1000) == read(tmp_path / "b.csv", 777) == text


def test_members_of_a_gzip_file_follow_one_another(tmp_path: Path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"1\n") + gzip.compress(b"2\n") + b"\0" * 512)
    file = TextFile(path)
    assert b"".join(block.data for block in file.blocks(10)) == b"1\n2\n"
    assert not file.damage


@pytest.mark.parametrize("keep", [0.3, 0.8, 0.99])
def test_a_truncated_gzip_file_gives_its_whole_lines_and_says_so(tmp_path: Path, keep: float):
    lines = [b"%d,%d\n" % (n, n * 7919 % 10007) for n in range(50_000)]
    packed = gzip.compress(b"".join(lines))
    path = tmp_path / "cut.gz"
    path.write_bytes(packed[: int(len(packed) * keep)])
    file = TextFile(path)
    got = b"".join(block.data for block in file.blocks(5_000))
    assert got
    assert b"".join(lines).startswith(got)
    assert got.endswith(b"\n")
    assert "cut off" in file.damage


def test_a_damaged_gzip_file_keeps_what_came_before(tmp_path: Path):
    text = b"".join(b"%d\n" % (n * n) for n in range(50_000))
    packed = bytearray(gzip.compress(text))
    packed[-8] ^= 0xFF  # the checksum of it all
    path = tmp_path / "bad.gz"
    path.write_bytes(packed)
    file = TextFile(path)
    got = b"".join(block.data for block in file.blocks(10_000))
    assert text.startswith(got)
    assert len(text) - len(got) < 100_000
    assert "damaged" in file.damage


def test_junk_after_gzip_data_is_named(tmp_path: Path):
    path = tmp_path / "junk.gz"
    path.write_bytes(gzip.compress(b"1\n") + b"junk")
    file = TextFile(path)
    list(file.blocks(10))
    assert "junk" in file.damage


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert TextFile(path).head() == b"a,b\n1,2\n"
    for size in (1, 2, 3, 4, 100):
        assert read(path, size) == b"a,b\n1,2\n"
        assert read(path, size, skip_lines=1) == b"1,2\n"


def test_the_last_line_needs_no_newline(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1\n2")
    assert read(path, 1) == b"1\n2\n"


def test_lines_that_are_not_utf8_are_read_as_cp1252():
    assert (
        utf8(b"caf\xc3\xa9\nWeb Attack \x96 XSS\n").decode() == "caf\u00e9\nWeb Attack \u2013 XSS\n"
    )
    assert utf8(b"\x81\n").decode() == "\x81\n"  # not in cp1252: Latin-1


def test_a_stray_quote_does_not_swallow_the_lines_after_it(tmp_path: Path):
    path = tmp_path / "a.csv"
    lines = [b"%d,x\n" % n for n in range(100)]
    lines[40] = b'40,"x\n'
    path.write_bytes(b"".join(lines))
    lines[40] = b"40,'x\n"
    for size in (7, 64, 10_000):
        blocks = list(TextFile(path).blocks(size))
        assert b"".join(block.data for block in blocks) == b"".join(lines)
        assert sum(len(block.strays) for block in blocks) == 1


def test_a_quoted_newline_is_never_cut(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'1,"a\nb"\n2,"c"\n' * 50)
    for size in (1, 5, 9, 64):
        for block in TextFile(path).blocks(size):
            assert block.data.count(b'"') % 2 == 0


def test_a_line_ends_the_file_where_it_should(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1\n2\nSummary\n3\n")
    for size in (1, 4, 5, 6, 100):
        assert read(path, size, stop_at=b"Summary") == b"1\n2\n"


def test_what_cannot_be_read_is_refused(tmp_path: Path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "utf16.csv").write_bytes("a,b\n".encode("utf-16"))
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08")
    for name, words in (
        ("empty.csv", "empty"),
        ("utf16.csv", "UTF-16"),
        ("missing.csv", "cannot be read"),
        (".", "folder"),
        ("cut.gz", "cut off"),
    ):
        with pytest.raises(SourceError, match=words):
            TextFile(tmp_path / name).head()


lines = st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines, st.integers(1, 80), st.integers(1, 80))
def test_where_blocks_end_never_changes_the_text(
    tmp_path: Path, rows: list[bytes], one: int, other: int
):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\n".join(rows))
    assert read(path, one) == read(path, other)
