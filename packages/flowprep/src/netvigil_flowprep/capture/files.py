"""Which files a source of captures consists of, and a capture's bytes where they are compressed."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netvigil.errors import SourceError
from netvigil_flowprep.capture.container import GZIP_MAGIC, is_capture
from netvigil_flowprep.tally import escape

_PIECE = 1 << 20


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
    with gzip.open(path) as stream, copy.open("wb") as out:
        while True:
            try:
                piece = stream.read(_PIECE)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                return Capture(copy, f"the gzip stream breaks off ({escape(str(error))})")
            if not piece:
                return Capture(copy)
            try:
                out.write(piece)
            except OSError as error:
                msg = f"The capture cannot be decompressed: {error.strerror or error}."
                do = f"Free space in {copy.parent.parent}, or decompress it yourself."
                raise SourceError(msg, where=str(path), do=do) from error
