"""Encodings with planted outliers: the smallest input that tells a scorer from noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import EncodedFlows


class Planted(NamedTuple):
    """An encoding, and which of its flows are outliers: bool [flows]."""

    encoded: EncodedFlows
    outlier: NDArray[np.bool_]


def encoded(
    flows: int = 600,
    *,
    seed: int = 0,
    dim: int = 6,
    outliers: int = 0,
    distance: float = 8.0,
    terms: Sequence[str] = ("features", "structure", "kl"),
) -> Planted:
    """Make flows in three correlated clusters, with outliers `distance` standard deviations away.

    The clusters are the same for every seed, so that one call gives a train range and another a
    test range of one source; outliers lie in random directions, at random places. Each term is a
    positive error, a few times larger for outliers.

    Shapes:
        embedding: float32 [flows, dim]; terms: float32 [flows] each; outlier: bool [flows]
    """
    world = np.random.default_rng([dim, 20])
    centres = 3.0 * world.standard_normal((3, dim))
    shape = np.eye(dim) + 0.3 * world.standard_normal((dim, dim)) / np.sqrt(dim)
    rng = np.random.default_rng([seed, dim, 21])
    x = centres[rng.integers(3, size=flows)] + rng.standard_normal((flows, dim)) @ shape
    planted = np.zeros(flows, np.bool_)
    planted[rng.permutation(flows)[:outliers]] = True
    away = rng.standard_normal((outliers, dim))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    # From the middle of all clusters: further out than any of them, whatever the direction.
    reach = distance + np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()
    x[planted] = centres.mean(axis=0) + reach * away
    errors = np.exp(0.5 * rng.standard_normal((flows, len(terms))))
    errors[planted] *= 6.0
    columns = errors.astype(np.float32).T
    whole = EncodedFlows(
        flow_id=np.arange(flows, dtype=np.int64) * 3 + 5,  # gaps, as in any filtered source
        window_start=np.sort(rng.integers(0, 10, flows)) * 180_000_000,
        embedding=x.astype(np.float32),
        terms={name: np.ascontiguousarray(c) for name, c in zip(terms, columns, strict=True)},
    )
    return Planted(whole, planted)
