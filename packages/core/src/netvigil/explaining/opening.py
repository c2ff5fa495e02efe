"""What a run left to explain: its bundle, its scores, and its sources, wherever they lie now.

A run folder keeps no path to its source, so that it can be given away; the source is looked for by
name beside the run, or named, and its digest must be the one in the receipt. A run with a test
source of its own has two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil.bundle import MANIFEST
from netvigil.cuts import Cuts
from netvigil.errors import ConfigError, RunError, SourceError
from netvigil.evaluation import DataUse, Receipt
from netvigil.outputs import read_scores
from netvigil.sources import digest

UP = 3  # folders above a run in which its source is looked for: a suite's runs lie two deep


@dataclass(frozen=True)
class Scored:
    """Which flows were scored, and how: flow_id int64 [flows], score float64 [flows]."""

    flow_id: NDArray[np.int64]
    score: NDArray[np.float64]
    cut: Cuts

    @property
    def first_cut(self) -> float:
        """The cut, or the first one where it moves."""
        return float(np.ravel(self.cut)[0]) if np.size(self.cut) else float("inf")


def open_run(run: Path) -> tuple[Path, Receipt | None]:
    """Return the bundle to use, and the run's receipt where it is a run."""
    if (run / MANIFEST).is_file():
        return run, None
    receipt = run / "receipt.json"
    if not receipt.is_file():
        msg = "This is neither a run folder nor a bundle."
        do = "A run folder holds receipt.json, a bundle manifest.json."
        raise ConfigError(msg, where=str(run), do=do)
    if not (run / "bundle" / MANIFEST).is_file():
        msg = "The run has no bundle any more, so nothing can be scored again."
        raise RunError(msg, where=str(run / "bundle"), do="Run the experiment again.")
    return run / "bundle", Receipt.from_json(receipt.read_bytes())


def find_sources(
    run: Path, receipt: Receipt | None, given: Sequence[Path]
) -> list[tuple[Path, str]]:
    """Return where each source lies, in the order in which the run read them, with its digest.

    Paths given are told apart by their digests; what is not given is looked for by name.

    Raises:
        SourceError: One is not to be found, or a path given is none of them.
    """
    found = [(path, digest(_there(path))) for path in given]
    if receipt is None:
        if len(found) != 1:
            msg = "A bundle is explained on one source."
            raise ConfigError(msg, where=str(run), do="Add --source PATH, once.")
        return found
    wanted = [use.sha256 for use in receipt.data]
    stray = next(((path, sha256) for path, sha256 in found if sha256 not in wanted), None)
    if stray is not None:
        msg = "This is not the source of the run, or it was changed since."
        listed = ", ".join(f"{use.source} {use.sha256[:16]}" for use in receipt.data)
        where = f"{stray[0]}: sha256 {stray[1][:16]}; in the receipt: {listed}"
        raise SourceError(msg, where=where, do="Name the file that the run read.")
    by_digest = {sha256: path for path, sha256 in found}
    return [(by_digest.get(use.sha256) or _search(run, use), use.sha256) for use in receipt.data]


def _search(run: Path, use: DataUse) -> Path:
    """Look for a source by its name and digest."""
    for path in _places(run, use.source):
        if path.exists() and digest(path) == use.sha256:
            return path
    msg = f"The run's source '{use.source}' is not to be found, or was changed."
    where = f"looked in the current folder, beside {run} and above it"
    raise SourceError(msg, where=where, do="Run folders keep no paths: add --source PATH.")


def _there(path: Path) -> Path:
    if not path.exists():
        msg = "There is no such source."
        raise SourceError(msg, where=str(path), do="Check the path given with --source.")
    return path


def _places(run: Path, name: str) -> Iterator[Path]:
    yield Path(name)
    for folder in [run.absolute(), *run.absolute().parents][: UP + 1]:
        yield folder / name


def recorded_scores(run: Path, receipt: Receipt | None, bundle: str) -> Scored | None:
    """Return what the run scored, or None for a bundle, which has scored nothing yet."""
    if receipt is None:
        return None
    path = run / "scores.parquet"
    scores, cut = read_scores(path)
    made_by = (pq.read_schema(path).metadata or {}).get(b"netvigil.bundle", b"").decode()
    if made_by != bundle:
        msg = "The run's scores are of another bundle than the one that lies there."
        raise RunError(msg, where=str(path), do="Run the experiment again.")
    return Scored(scores.flow_id, scores.score, cut)
