"""Windows read as graphs of hosts: which host talks to which, how often, how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import WindowGraphs


class Links(NamedTuple):
    """The directed links of all windows, each once, in the order of source and destination.

    Shapes:
        src, dst: int64 [links], rows of `node_key`; a link never leaves its window
        flows: int64 [links], how many flows it stands for
        weight: float64 [links], the sum of what flows weigh; their number unless weights were given
    """

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    flows: NDArray[np.int64]
    weight: NDArray[np.float64]


def links(
    graphs: WindowGraphs, weight: NDArray[np.float64] | None = None, *, loops: bool = False
) -> Links:
    """Return who sends to whom; as a matrix, `src` are rows and `dst` columns.

    Flows of a host to itself are links only with `loops`.

    Shapes:
        weight: float64 [flows], such as bytes, or None for 1 each
    """
    src, dst = graphs.node_rows()
    kept = np.ones(len(src), np.bool_) if loops else src != dst
    nodes = len(graphs.node_key)
    pair, place = np.unique(src[kept] * nodes + dst[kept], return_inverse=True)
    flows = np.bincount(place, minlength=len(pair))
    total: NDArray[np.float64] = flows.astype(np.float64)
    if weight is not None:
        total = np.bincount(place, weight[kept], len(pair)).astype(np.float64)
    return Links(pair // max(nodes, 1), pair % max(nodes, 1), flows, total)
