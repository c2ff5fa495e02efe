"""Write out a sample that a package brings: a small recorded data set with its truth."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

from netvigil import parts
from netvigil.errors import SourceError, UnknownPartError
from netvigil.plugins import Plugins
from netvigil.protocols import SampleFiles


def write_sample(plugins: Plugins, folder: Path, *, name: str | None = None) -> SampleFiles:
    """Write a sample into a new or empty folder, whole or not at all, and say where its files are.

    Without a name it is the first of those installed, in the order of their names.

    Raises:
        UnknownPartError: No such sample, or none at all, is installed.
        SourceError: The folder holds something already.
    """
    part = plugins.sample(name or _first(plugins))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = "The folder for the sample is not empty."
        raise SourceError(msg, where=str(folder), do="Give a new folder with --to.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        made = Path(scratch) / "sample"
        made.mkdir()
        written = part.make(part.config()).write(made)
        made.replace(folder)
    names = {field.name: getattr(written, field.name) for field in fields(SampleFiles)}
    return SampleFiles(**{name: folder / path.relative_to(made) for name, path in names.items()})


def _first(plugins: Plugins) -> str:
    names = plugins.names(parts.Sample)
    if not names:
        msg = "No installed package brings a sample."
        raise UnknownPartError(msg, do="pip install netvigil-flowprep")
    return names[0]
