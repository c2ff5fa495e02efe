from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from netvigil import parts
from netvigil.contracts import FlowBatch
from netvigil.detect import HEAD, detect, source_head
from netvigil.errors import SourceError
from netvigil.protocols import SourceHead


class Prefix:
    """Recognises text by how it begins; doubts a source whose second line disagrees."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix

    def sniff(self, head: SourceHead) -> str | None:
        if not head.head.startswith(self.prefix):
            return None
        if b"wrong" in head.head:
            msg = "The rows are wrong."
            raise SourceError(msg, do="Export them again.")
        return f"it begins with {self.prefix!r}"

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        raise NotImplementedError


def part(name: str, prefix: bytes, rank: int = 50) -> parts.FlowReader:
    return parts.FlowReader(name=name, summary="A fake.", make=lambda _: Prefix(prefix), rank=rank)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "flows.txt"
    path.write_bytes(b"abc,def\n1,2\n")
    return path


def test_the_lowest_rank_is_asked_first(source: Path):
    readers = [part("late", b"a", 60), part("early", b"ab", 10), part("other", b"x", 1)]
    found = detect(source, readers)
    assert (found.name, found.reason) == ("early", "it begins with b'ab'")
    assert str(found) == "early (it begins with b'ab')"


def test_gzip_is_looked_into(tmp_path: Path):
    path = tmp_path / "flows.gz"
    path.write_bytes(gzip.compress(b"abc" + bytes(3 * HEAD)))
    assert detect(path, [part("any", b"abc")]).name == "any"
    assert len(source_head(path).head) == HEAD


def test_an_unknown_format_says_what_was_seen_and_what_is_known(source: Path):
    source.write_bytes(b"\x1b[31mred,head\xff\n")
    with pytest.raises(SourceError, match="Known: one, two") as caught:
        detect(source, [part("two", b"x"), part("one", b"y")])
    assert "\\x1b[31mred,head" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_doubt_is_told_unless_another_reader_takes_the_source(source: Path):
    source.write_bytes(b"abc wrong")
    readers = [part("doubter", b"abc", 1)]
    with pytest.raises(SourceError, match=r"The rows are wrong\. Export them again\."):
        detect(source, readers)


def test_the_names_in_a_folder_are_given_sorted(tmp_path: Path, source: Path):
    (tmp_path / "a.txt").touch()
    assert source_head(tmp_path) == SourceHead(tmp_path, b"", ("a.txt", "flows.txt"))
    with pytest.raises(SourceError, match=r"a folder with 'a\.txt', 'flows\.txt'"):
        detect(tmp_path, [part("any", b"abc")])


def test_what_cannot_be_read_is_refused(tmp_path: Path):
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b\x08\x00junk")
    for name, words in (
        ("empty", "is empty"),
        ("folder", "folder without files"),
        ("missing", "cannot be read"),
        ("broken.gz", "gzip"),
    ):
        with pytest.raises(SourceError, match=words):
            source_head(tmp_path / name)
