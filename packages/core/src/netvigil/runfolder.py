"""A run's folder: worked on under `<name>.partial`, given its name when everything in it is whole.

A killed run leaves the partial folder, from which `--resume` goes on; finished steps are not done
again, and a partial folder of another experiment or another source is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netvigil.errors import RunError


class RunFolder:
    """The folder of one run while it is being made."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.partial = out.with_name(f"{out.name}.partial")

    def begin(self, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Make the partial folder, or go on in one of the same experiment and source.

        Raises:
            RunError: The run exists; a partial one exists and `resume` was not asked for; nothing
                to resume; the partial one is of another experiment or source.
        """
        if self.out.exists():
            msg = "There is a finished run of that name."
            raise RunError(msg, where=str(self.out), do="Choose another --out, or remove it.")
        note = self.partial / "identity.json"
        wanted = json.loads(json.dumps(identity))
        if resume:
            if not note.exists():
                msg = "There is no unfinished run to resume."
                raise RunError(msg, where=str(self.partial), do="Start it without --resume.")
            found = json.loads(note.read_text("utf-8"))
            differ = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            if differ:
                msg = f"The unfinished run differs in: {', '.join(differ)}."
                raise RunError(
                    msg, where=str(self.partial), do="Resume with the same file, or remove it."
                )
            return
        if self.partial.exists() and any(self.partial.iterdir()):
            msg = "There is an unfinished run of that name."
            do = "Go on with --resume, or remove the folder to start again."
            raise RunError(msg, where=str(self.partial), do=do)
        self.partial.mkdir(parents=True, exist_ok=True)
        self.write(note.name, json.dumps(wanted, indent=1))

    @property
    def work(self) -> Path:
        """Where intermediate files lie; gone when the run is finished."""
        return self.partial / "work"

    def write(self, name: str, text: str) -> None:
        """Write one file of the run; it appears whole or not at all."""
        partial = self.partial / f".{name}.partial"
        try:
            partial.write_text(text, "utf-8")
            partial.replace(self.partial / name)
        finally:
            partial.unlink(missing_ok=True)

    def finish(self) -> Path:
        """Drop the intermediate files and give the folder its name."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.partial.replace(self.out)
        # Last: a kill before this line leaves a whole run, with one file too many.
        (self.out / "identity.json").unlink()
        return self.out


def fresh(folder: Path) -> Path:
    """Return an empty folder to write into, dropping what a killed attempt left."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder
