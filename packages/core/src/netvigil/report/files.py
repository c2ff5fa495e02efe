"""A file that appears whole or not at all."""

from __future__ import annotations

from pathlib import Path


def write_file(path: Path, content: str | bytes) -> None:
    """Write one file, in place of an older one; a folder that is missing is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
