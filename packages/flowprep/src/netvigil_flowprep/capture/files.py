"""Which files a source of captures consists of, and a capture's bytes where they are compressed."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from netvigil.errors import SourceError
from netvigil_flowprep.capture.container import GZIP_MAGIC, is_capture
from netvigil_flowprep.tally import escape

_PIECE = 1 << 20
_GZIP_WINDOW = 31  # zlib's way to say: a gzip header, any window size


@dataclass(frozen=True)
class Capture:
    """A capture NFStream can open: `path` is the file or its decompressed copy.

    `damage` says where the compressed stream broke off, empty where it is whole.
    """

    path: Path
    damage: str = ""


def capture_files(source: Path) -> list[Path]:
    """Return the file itself, or a folder's visible files in the order of their names."""
    if source.is_dir():
        files = sorted(p for p in source.iterdir() if p.is_file() and not p.name.startswith("."))
        if files:
            return files
        msg = "The folder holds no files."
    elif source.is_file():
        return [source]
    else:
        msg = "This is no regular file." if source.exists() else "There is no such file or folder."
    raise SourceError(msg, where=str(source), do="Name a capture or a folder of captures.")


def starts_a_capture(path: Path) -> bool:
    """Say whether a file begins like a capture, compressed or not; False where unreadable."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head[:2] == GZIP_MAGIC:
            with gzip.open(path) as stream:
                head = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return is_capture(head)


@contextmanager
def opened(path: Path) -> Iterator[Capture]:
    """Give a capture, decompressed into a temporary file where it is gzip; that file goes away.

    Raises:
        SourceError: The file cannot be read, or the copy cannot be written.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
    except OSError as error:
        msg = f"The file cannot be read: {error.strerror or error}."
        raise SourceError(msg, where=str(path), do="Check its permissions.") from error
    if not compressed:
        yield Capture(path.resolve())
        return
    with tempfile.TemporaryDirectory(prefix="netvigil-") as folder:
        yield _decompressed(path, Path(folder) / "capture")


def _decompressed(path: Path, copy: Path) -> Capture:
    # NFStream opens files by name only, so the plain bytes must lie somewhere.
    damage = ""
    with path.open("rb") as file:
        out = copy.open("wb")
        try:
            with out:
                for piece in _pieces(file):
                    out.write(piece)
        except (EOFError, zlib.error) as error:
            damage = f"the gzip stream breaks off ({escape(str(error))})"
        except OSError as error:
            msg = f"The capture cannot be decompressed: {error.strerror or error}."
            do = f"Free space in {copy.parent.parent}, or decompress it yourself."
            raise SourceError(msg, where=str(path), do=do) from error
    return Capture(copy, damage)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a gzip file of any number of members holds, all of it that can be had."""
    unzip, packed = zlib.decompressobj(wbits=_GZIP_WINDOW), b""
    while packed := packed or file.read(_PIECE):
        if unzip.eof:
            unzip = zlib.decompressobj(wbits=_GZIP_WINDOW)
        yield unzip.decompress(packed, _PIECE)
        packed = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
    if not unzip.eof:
        msg = "it ends early"
        raise EOFError(msg)
