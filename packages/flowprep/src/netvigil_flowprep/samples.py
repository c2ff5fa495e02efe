"""Sample `office`: twelve minutes of a small network with attacks, recorded in a lab.

`sample/README.md` says who was in it, what happened and how it was made. The flows and labels are
those that the capture and its events become, for those who have no NFStream.
"""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from netvigil.parts import PartConfig
from netvigil.protocols import SampleFiles

NAMES = SampleFiles(
    capture=Path("capture.pcapng.gz"),  # readers of captures decompress by themselves
    events=Path("events.toml"),
    flows=Path("flows.parquet"),
    labels=Path("flows.labels.parquet"),
    readme=Path("README.md"),
)


class Office:
    """Writes the files that come with this package."""

    def __init__(self, config: PartConfig) -> None:
        self.config = config

    def write(self, folder: Path) -> SampleFiles:
        """Copy all files into this folder."""
        written = {name: folder / path for name, path in vars(NAMES).items()}
        with as_file(files("netvigil_flowprep") / "sample") as shipped:
            for path in written.values():
                shutil.copyfile(shipped / path.name, path)
        return SampleFiles(**written)
