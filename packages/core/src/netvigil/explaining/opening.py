"""What a run left to explain: its bundle, its scores, and the source, wherever that lies now.

A run folder keeps no path to its source, so that it can be given away; the source is looked for by
name beside the run, or named, and its digest must be the one in the receipt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil.bundle import MANIFEST
from netvigil.cuts import Cuts
from netvigil.errors import ConfigError, RunError, SourceError
from netvigil.evaluation import Receipt
from netvigil.outputs import read_scores
from netvigil.sources import digest

UP = 3  # folders above a run in which its source is looked for: a suite's runs lie two deep


@dataclass(frozen=True)
class Scored:
    """Which flows were scored, and how: flow_id int64 [flows], score float64 [flows].

    `cut` is one for all, or float64 [flows] where it moves.
    """

    flow_id: NDArray[np.int64]
    score: NDArray[np.float64]
    cut: Cuts


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


def find_source(run: Path, receipt: Receipt | None, given: Path | None) -> tuple[Path, str]:
    """Return where the source lies and its digest, which must be that of the run."""
    if receipt is None:
        if given is None:
            msg = "A bundle is explained on a source."
            raise ConfigError(msg, where=str(run), do="Add --source PATH.")
        return given, digest(_there(given))
    used = receipt.data[0]
    for path in [given] if given else list(_places(run, used.source)):
        if path.exists() or given:
            sha256 = digest(_there(path))
            if sha256 == used.sha256:
                return path, sha256
            if given:
                msg = "This is not the source of the run, or it was changed since."
                where = f"{path}: sha256 {sha256[:16]}, in the receipt {used.sha256[:16]}"
                raise SourceError(msg, where=where, do="Name the file that the run read.")
    msg = f"The run's source '{used.source}' is not to be found."
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
