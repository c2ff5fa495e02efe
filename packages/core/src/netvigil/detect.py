"""Which reader understands a source: the first, by rank, that recognises it and its rows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netvigil import parts
from netvigil.errors import SourceError
from netvigil.protocols import SourceHead

HEAD = 65_536  # bytes of (decompressed) content that readers may sniff
_SHOWN = 160  # characters of a hostile first line that an error shows


@dataclass(frozen=True)
class Detection:
    """The reader that was chosen, and why, in words fit to print."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def detect(source: Path, readers: Sequence[parts.FlowReader]) -> Detection:
    """Ask each reader, lowest rank first, whether the source is in its dialect.

    A reader that knows the header but finds that the rows disagree says so by `SourceError`; it is
    passed over, and its words are part of the error if nobody else takes the source.

    Raises:
        SourceError: No such path, an empty file or folder, or a format that no reader knows; says
            what the source begins with and which formats are known.
    """
    head = source_head(source)
    doubts: list[str] = []
    for part in sorted(readers, key=lambda part: (part.rank, part.name)):
        try:
            reason = part.make(part.config()).sniff(head)
        except SourceError as error:
            doubt = " ".join(line for line in (error.what, error.do) if line)
            doubts += [doubt] if doubt not in doubts else []
            continue
        if reason is not None:
            return Detection(part.name, reason)
    raise _unknown(head, doubts, [part.name for part in readers])


def source_head(source: Path) -> SourceHead:
    """Read what readers sniff: the first bytes of a file, decompressed, or the names in a folder.

    Raises:
        SourceError: No such path, an empty file or folder, or no right to read it.
    """
    try:
        if source.is_dir():
            names = tuple(sorted(path.name for path in source.iterdir() if path.is_file()))
            if not names:
                msg = "The source is a folder without files."
                raise SourceError(msg, where=str(source), do="Name a file, or a folder of files.")
            return SourceHead(source, b"", names)
        with source.open("rb") as file:
            raw = file.read(HEAD)
    except OSError as error:
        msg = f"The source cannot be read: {error.strerror or error}."
        raise SourceError(
            msg, where=str(source), do="Check the path and its permissions."
        ) from error
    head = _unzipped(raw) if raw.startswith(b"\x1f\x8b") else raw
    if not head:
        msg = "The source is empty." if not raw else "The source is no readable gzip file."
        raise SourceError(msg, where=str(source), do="Check the file.")
    return SourceHead(source, head)


def _unzipped(raw: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, HEAD)
    except zlib.error:
        return b""


def _unknown(head: SourceHead, doubts: list[str], known: list[str]) -> SourceError:
    if doubts:
        return SourceError(" ".join(doubts), where=str(head.path))
    if head.names:
        seen = f"a folder with {', '.join(map(ascii, head.names[:5]))}"
    else:
        line = head.head.lstrip().split(b"\n", 1)[0][: 4 * _SHOWN].decode("utf-8", "replace")
        seen = f"it begins with {line[:_SHOWN]!a}"
    return SourceError(
        "No reader knows the format of the source.",
        where=f"{head.path}: {seen}",
        do=f"Name it with --format. Known: {', '.join(sorted(known))}.",
    )
