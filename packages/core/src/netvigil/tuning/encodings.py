"""Encodings on disk, so that many scorer settings cost one training per encoder setting and seed.

Plain arrays only: NumPy refuses object arrays, which could execute code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import EncodedFlows
from netvigil.pipeline import Chosen

_PARTS = ("train", "calibrate", "held_out")
_ARRAYS = ("flow_id", "window_start", "embedding", "row")


@dataclass(frozen=True)
class Encoding:
    """One fitted encoder's work: its loss where it has one, and the parts where needed."""

    loss: float | None
    train: EncodedFlows | None = None
    calibrate: EncodedFlows | None = None
    held_out: EncodedFlows | None = None

    def save(self, path: Path) -> None:
        """Write everything to one file, which appears whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {}
        terms: dict[str, list[str]] = {}
        for name in _PARTS:
            part = getattr(self, name)
            if part is None:
                continue
            found = {key: getattr(part, key) for key in _ARRAYS}
            arrays |= {f"{name}-{k}": array for k, array in found.items() if array is not None}
            arrays |= {f"{name}-term-{i}": term for i, term in enumerate(part.terms.values())}
            terms[name] = list(part.terms)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            described = np.array(json.dumps({"loss": self.loss, "terms": terms}))
            np.savez(file, described=described, allow_pickle=False, **arrays)
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> Encoding:
        """Read it back."""
        with np.load(path, allow_pickle=False) as file:
            described = json.loads(str(file["described"]))
            parts = {}
            for name, terms in described["terms"].items():
                found = {k: file[f"{name}-{k}"] for k in _ARRAYS if f"{name}-{k}" in file}
                named = {term: file[f"{name}-term-{i}"] for i, term in enumerate(terms)}
                parts[name] = EncodedFlows(**found, terms=named)
        return Encoding(described["loss"], *(parts.get(name) for name in _PARTS))


def encoding_name(encoder: Chosen, seed: int) -> str:
    """Return a file name that is equal for equal encoder settings, package version and seed."""
    text = json.dumps(encoder.describe(), sort_keys=True, default=str)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:20]}-{seed}.npz"
