"""A folder for the files of a case, which is there for as long as what was prepared."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize


class Scratch:
    """A temporary folder that goes when nobody holds it, at the latest when Python ends.

    `TemporaryDirectory` does the same, but warns unless it is closed, and a case has no end.
    """

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="netvigil-bench-"))
        finalize(self, shutil.rmtree, self.path, ignore_errors=True)
