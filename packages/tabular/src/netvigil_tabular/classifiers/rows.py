"""What a classifier learns from: the labelled rows of windows, sampled and weighed by class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.classes import class_codes, class_names
from netvigil.contracts import LabelTable, WindowStream
from netvigil.errors import ContractError

FEW = 50  # flows of a class that every sample keeps: a class of which it has none is never learnt


class Rows(NamedTuple):
    """Labelled flows in time order: features float32 [rows, features], classes int64 [rows]."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    names: tuple[str, ...]
    features: tuple[str, ...]


def labelled_rows(windows: WindowStream, labels: LabelTable, *, classifier: str) -> Rows:
    """Copy the labelled flows out of windows, in one walk.

    Raises:
        ContractError: No features, labels of one class only, or of other flows.
    """
    names = class_names(labels)
    xs, ys = [], []
    features: tuple[str, ...] = ()
    for batch in windows:
        features = batch.feature_names
        code = class_codes(labels, np.asarray(batch.flow_id), names)
        xs.append(np.asarray(batch.flow_x)[code >= 0])
        ys.append(code[code >= 0])
    if not features:
        msg = f"Classifier '{classifier}' was given flows without a feature."
        raise ContractError(msg, do="Name some in [features] set, or let transforms keep some.")
    y = np.concatenate(ys)
    missing = [name for code, name in enumerate(names) if not (y == code).any()]
    if missing:
        msg = f"No flow of the windows has the class {', '.join(missing)} that the labels know."
        raise ContractError(msg, do="Pass the windows that the labels are of.")
    return Rows(np.concatenate(xs), y, names, features)


def sample(y: NDArray[np.int64], most: int | None, seed: int) -> NDArray[np.int64] | None:
    """Return the rows of a sample, rising, or None where all are taken.

    Each class keeps its share, but `FEW` flows at least (or all it has), so that a sample may hold
    a few rows more than `most` where there are many rare classes.
    """
    if most is None or len(y) <= most:
        return None
    rng = np.random.default_rng(seed)
    kept = []
    for code in np.unique(y).tolist():
        rows = np.flatnonzero(y == code)
        wanted = max(round(len(rows) * most / len(y)), min(len(rows), FEW))
        kept.append(rng.choice(rows, wanted, replace=False))
    return np.sort(np.concatenate(kept))


def balanced(y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a weight per row by which every class counts alike, 1 on average.

    Example:
        >>> balanced(np.array([0, 0, 0, 1]))
        array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    count = np.bincount(y)
    classes = int((count > 0).sum())
    return np.asarray(len(y) / (classes * count[y].astype(np.float64)))
