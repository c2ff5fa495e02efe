"""A sample of the test flows for projections, and the alerts with what is usual beside them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.cuts import Cuts, at
from netvigil.evidence.curves import TestTruth
from netvigil.evidence.tables import table
from netvigil.truth import ATTACK

FLOWS = (
    800  # of a projection: t-SNE in three dimensions takes two seconds, and more points hide others
)


def draw(truth: TestTruth, *, seed: int) -> NDArray[np.int64]:
    """Return rows of the test part, rising: at most half attacks, each class as far as it goes.

    Rare classes are drawn first, so that none is crowded out; what is no attack is drawn uniformly.
    """
    rng = np.random.default_rng(seed)
    attacks = np.flatnonzero(truth.state == ATTACK)
    others = np.flatnonzero(truth.state != ATTACK)
    room = min(FLOWS // 2, len(attacks))
    if len(others) < FLOWS // 2:
        room = min(len(attacks), FLOWS - len(others))
    codes, counts = np.unique(truth.attack[attacks], return_counts=True)
    chosen = []
    for place, code in enumerate(codes[np.argsort(counts, kind="stable")]):
        rows = attacks[truth.attack[attacks] == code]
        share = min(len(rows), room // (len(codes) - place))
        chosen.append(rng.choice(rows, share, replace=False))
        room -= share
    taken = sum(map(len, chosen))
    chosen.append(rng.choice(others, min(len(others), FLOWS - taken), replace=False))
    return np.sort(np.concatenate(chosen))


def sample(
    rows: NDArray[np.int64],
    flow_id: NDArray[np.int64],
    score: NDArray[np.float64],
    truth: TestTruth,
    *,
    cut: Cuts,
    features: NDArray[np.float32],
    embedding: NDArray[np.float32] | None,
) -> pa.Table:
    """Return the sampled flows with their transformed features and, where there are, embeddings.

    Shapes:
        rows: int64 [sample]; flow_id, score: [test flows]
        features, embedding: float32 [sample, features], [sample, dim]
    """
    return table(
        "sample",
        flow_id=flow_id[rows],
        attack=truth.words(rows),
        score=score[rows],
        alert=score[rows] > at(cut, rows),
        features=_lists(features),
        embedding=pa.nulls(len(rows), pa.list_(pa.float32()))
        if embedding is None
        else _lists(embedding),
    )


def _lists(matrix: NDArray[np.float32]) -> pa.ListArray:
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
