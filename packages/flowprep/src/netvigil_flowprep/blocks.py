"""Text sources as blocks of whole lines: plain or gzip, any size, bounded memory, always UTF-8.

A byte-order mark is dropped, a line that is not UTF-8 is read as cp1252 (or Latin-1), a quoted
field may hold newlines. Whatever cannot be read is named: nothing disappears. Where a block ends
never changes what its lines mean.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.errors import SourceError

HEAD = 65_536  # bytes that decide the dialect; as much as `SourceHead` carries
LONGEST_LINE = 16 << 20  # a longer "line" is a binary file
SPAN = 8  # lines that one quoted field may cover; a quote that stays open longer is a stray one
_GZIP = b"\x1f\x8b"
_SEPARATORS = frozenset(b",;\t\r\n")
_UTF8_MARK = b"\xef\xbb\xbf"
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_PIECE = 1 << 17
_AT_ONCE = 1 << 16  # bytes unpacked at once: all that damage can take away with it
_NOT_ASCII = re.compile(rb"[^\n]*[\x80-\xff][^\n]*")


@dataclass(frozen=True)
class Block:
    """Some whole records of a file, one per line but for newlines within quotes.

    `strays` are places in `data` within lines whose quote never closed; the quotes of these lines
    have become apostrophes.
    """

    data: bytes
    has_quotes: bool = False
    strays: tuple[int, ...] = ()


@dataclass
class TextFile:
    """A delimited text file.

    `damage` says, after the blocks have been read, why they are not the whole file, or is empty.

    Raises:
        SourceError: From `head` or `blocks`: empty, a folder, unreadable, not text.
    """

    path: Path
    damage: str = ""

    def head(self) -> bytes:
        """Return the first lines, about 64 kB of them, as UTF-8."""
        raw = next(self._raw(HEAD), b"")
        if not raw:
            self._refuse("is empty." if not self.damage else f"cannot be read: {self.damage}")
        return clean_head(raw, self.path)

    def blocks(
        self,
        size: int,
        *,
        skip_lines: int = 0,
        backslash_quotes: bool = False,
        stop_at: bytes = b"",
    ) -> Iterator[Block]:
        """Yield the file after its first `skip_lines` lines, in blocks of about `size` bytes.

        With `backslash_quotes`, a quote within quotes is written as backslash and quote. A line
        that begins with `stop_at` ends the file.
        """
        carry, last = b"", False
        pieces = self._pieces(size, skip_lines)
        while not last:
            piece = next(pieces, b"")
            last = not piece
            buffer = carry + piece if carry else piece
            if last and buffer and not buffer.endswith(b"\n"):
                cut_off = buffer[: buffer.rfind(b"\n") + 1]
                buffer = cut_off if self.damage else buffer + b"\n"
            if backslash_quotes:
                buffer = buffer.replace(b'\\"', b'""')
            if stop_at and (stop := _line_starting(stop_at, buffer)) is not None:
                buffer, last = buffer[:stop], True
            end, block = _cut(buffer, last=last)
            carry = buffer[end:]
            if len(carry) > LONGEST_LINE + size:
                self._refuse(f"has a line of over {LONGEST_LINE >> 20} MB: it is not text.")
            if end:
                yield block

    def lines(self, size: int) -> Iterator[bytes]:
        """Yield whole lines as UTF-8 in blocks of about `size` bytes; quotes mean nothing."""
        carry = b""
        for piece in self._pieces(size, 0):
            end = piece.rfind(b"\n") + 1
            if end:
                yield utf8(carry + piece[:end])
                carry = b""
            carry += piece[end:]
            if len(carry) > LONGEST_LINE + size:
                self._refuse(f"has a line of over {LONGEST_LINE >> 20} MB: it is not text.")
        if carry and not self.damage:
            yield utf8(carry + b"\n")

    def _pieces(self, size: int, skip_lines: int) -> Iterator[bytes]:
        """Yield raw pieces from the first wanted line on, without byte-order mark."""
        start: bytes | None = b""
        for piece in self._raw(size):
            if start is None:
                yield piece
                continue
            start += piece
            lines = start.split(b"\n", skip_lines)
            if len(lines) > skip_lines and (skip_lines or len(start) >= len(_UTF8_MARK)):
                rest = lines[-1] if skip_lines else start.removeprefix(_UTF8_MARK)
                start = None
                if rest:
                    yield rest
        if start and not skip_lines:
            yield start

    def _raw(self, size: int) -> Iterator[bytes]:
        if self.path.is_dir():
            self._refuse("is a folder.")
        self.damage = ""
        try:
            with self.path.open("rb") as file:
                magic = file.read(2)
                file.seek(0)
                if magic == _GZIP:
                    yield from self._unzipped(file, size)
                    return
                while piece := _whole_lines(file, size):
                    yield piece
        except OSError as error:
            self._refuse(f"cannot be read: {error.strerror or error}.")

    def _unzipped(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        """Yield decompressed pieces of `size`; damage ends the stream and is noted."""
        out = bytearray()
        unzip, packed = zlib.decompressobj(wbits=31), b""
        try:
            while packed := packed or file.read(_PIECE):
                if unzip.eof:
                    if not packed.startswith(_GZIP):
                        self.damage = "" if not packed.strip(b"\0") else "junk after the gzip data"
                        break
                    unzip = zlib.decompressobj(wbits=31)
                out += unzip.decompress(packed, _AT_ONCE)
                packed = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
                if len(out) >= size:
                    yield bytes(out)
                    out.clear()
            else:
                out += unzip.flush()
                self.damage = "" if unzip.eof else "the gzip data is cut off"
        except zlib.error as error:
            self.damage = f"the gzip data is damaged ({error})"
        if out:
            yield bytes(out)

    def _refuse(self, why: str) -> None:
        msg = f"The source {why}"
        raise SourceError(msg, where=str(self.path), do="Check the path and the file.")


def clean_head(raw: bytes, path: Path) -> bytes:
    """Return the whole lines of a file's first bytes as UTF-8; refuses what is not text."""
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            msg = f"The source is {name} text."
            raise SourceError(msg, where=str(path), do=f"Convert it: iconv -f {name} -t UTF-8.")
    head = raw.removeprefix(_UTF8_MARK)
    if len(raw) >= HEAD and b"\n" in head:
        head = head[: head.rfind(b"\n") + 1]
    return utf8(head)


def utf8(data: bytes) -> bytes:
    r"""Return text as UTF-8; each line that is not is read as cp1252, or else as Latin-1.

    Example:
        >>> utf8(b"caf\xe9").decode("utf-8") == "caf\u00e9"
        True
    """
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _NOT_ASCII.sub(lambda line: _utf8_line(line[0]), data)
    return data


def _utf8_line(line: bytes) -> bytes:
    for encoding in ("utf-8", "cp1252", "latin-1"):
        try:
            return line.decode(encoding).encode()
        except UnicodeDecodeError:
            continue
    return line


def _whole_lines(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes and the rest of their last line in one piece: joining would copy it."""
    if not file.seekable():
        return file.read(size)
    begin = file.tell()
    file.seek(begin + size)
    rest = len(file.readline(LONGEST_LINE))
    file.seek(begin)
    return file.read(size + rest)


def _line_starting(word: bytes, buffer: bytes) -> int | None:
    if buffer.startswith(word):
        return 0
    place = buffer.find(b"\n" + word)
    return place + 1 if place >= 0 else None


def _cut(buffer: bytes, *, last: bool) -> tuple[int, Block]:
    """Return the block of whole records at the front of `buffer`, and where it ends."""
    if b'"' not in buffer:
        end = buffer.rfind(b"\n") + 1
        return end, Block(buffer if end == len(buffer) else buffer[:end])
    view = np.frombuffer(buffer, np.uint8)
    ends = np.flatnonzero(view == ord("\n")) + 1
    quotes = np.flatnonzero(view == ord('"'))
    per_line = np.diff(np.searchsorted(quotes, ends), prepend=0)
    odd = _odd_lines(view, ends, quotes, np.flatnonzero(per_line & 1))
    strays, whole = _strays(odd, len(ends), last=last)
    end = int(ends[whole - 1]) if whole else 0
    if not strays:
        return end, Block(buffer[:end], has_quotes=True)
    mended = view[:end].copy()
    in_stray = np.isin(np.searchsorted(ends, quotes, side="right"), strays)
    mended[quotes[in_stray]] = ord("'")
    places = tuple(int(ends[line]) - 1 for line in strays)
    return end, Block(mended.tobytes(), has_quotes=True, strays=places)


class _Odd(NamedTuple):
    """A line with an odd number of quotes, and whether it may open or close a quoted field."""

    line: int
    opens: bool
    closes: bool


def _odd_lines(
    view: NDArray[np.uint8],
    ends: NDArray[np.int64],
    quotes: NDArray[np.int64],
    lines: NDArray[np.int64],
) -> list[_Odd]:
    """Look at the quotes of odd lines: one that opens a field follows a separator, for example."""
    found = []
    for line in lines.tolist():
        start = int(ends[line - 1]) if line else 0
        first, beyond = np.searchsorted(quotes, (start, ends[line]))
        opener, closer = int(quotes[beyond - 1]), int(quotes[first])
        opens = opener == start or view[opener - 1] in _SEPARATORS
        found.append(_Odd(line, opens, view[closer + 1] in _SEPARATORS))
    return found


def _strays(odd: list[_Odd], lines: int, *, last: bool) -> tuple[tuple[int, ...], int]:
    """Pair odd lines into records.

    Returns the lines whose quote never closes, and how many lines make whole records.
    """
    strays: list[int] = []
    place = 0
    while place < len(odd):
        this = odd[place]
        after = odd[place + 1] if place + 1 < len(odd) else None
        if this.opens and after and after.closes and after.line - this.line <= SPAN:
            place += 2
        elif after or not this.opens or last or lines - this.line > SPAN:
            strays.append(this.line)
            place += 1
        else:
            return tuple(strays), this.line
    return tuple(strays), lines
