"""What a host looks like in a window: nothing of other windows, no address, no label.

The article gives each flow's address bits to the node that happens to have the flow's row number
(its central bug), and addresses name the attackers. Here a host starts from what its flows of this
window show: how many it sends and receives, with how many peers and services (how many, not which:
no port is told), and the means of their features. What the specification lists beyond that (bytes,
packets, share of SYN and RST) is in those means as far as the pipeline's features hold it. Whether
a host is internal cannot be told from the hashed keys that windows carry, nor can address bits, so
neither exists as a setting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import WindowGraphs

COUNTS = ("sent", "received", "peers_sent_to", "peers_received_from", "services")


def host_features(graphs: WindowGraphs) -> NDArray[np.float32]:
    """Describe every host of every window, in one vectorised pass.

    Shapes:
        returns: float32 [nodes, 5 + 2 features]: log(1 + count) of flows sent and received, of
            distinct destinations and sources, of distinct services asked for; then the mean
            features of flows sent, and of flows received (0 where there are none)

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> graphs = windows(3)
        >>> host_features(graphs).shape == (len(graphs.node_key), 5 + 2 * graphs.flow_x.shape[1])
        True
    """
    nodes, (source, destination) = len(graphs.node_key), graphs.node_rows()
    sent, received = (np.bincount(rows, minlength=nodes) for rows in (source, destination))
    counts = np.empty((nodes, len(COUNTS)), np.float32)
    counts[:, 0], counts[:, 1] = sent, received
    counts[:, 2] = _distinct(source, destination.astype(np.uint64), nodes)
    counts[:, 3] = _distinct(destination, source.astype(np.uint64), nodes)
    service = graphs.flow_service
    counts[:, 4] = 0 if service is None else _distinct(source, np.asarray(service), nodes)
    np.log1p(counts, out=counts)
    x = np.asarray(graphs.flow_x)
    means = [_mean(x, rows, degree) for rows, degree in ((source, sent), (destination, received))]
    return np.concatenate([counts, *means], axis=1)


def _distinct(node: NDArray[np.int64], other: NDArray[np.uint64], nodes: int) -> NDArray[np.int64]:
    """Count the distinct values that stand beside each node, int64 [nodes]."""
    order = np.lexsort((other, node))
    node, other = node[order], other[order]
    new = np.ones(len(node), np.bool_)
    new[1:] = (node[1:] != node[:-1]) | (other[1:] != other[:-1])
    return np.bincount(node[new], minlength=nodes)


def _mean(
    x: NDArray[np.float32], node: NDArray[np.int64], degree: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean features of each node's flows, float32 [nodes, features]."""
    mean = np.zeros((len(degree), x.shape[1]), np.float32)
    if not len(x):
        return mean
    order = np.argsort(node, kind="stable")
    busy = np.flatnonzero(degree)
    first = np.concatenate([[0], np.cumsum(degree[busy])[:-1]])
    mean[busy] = np.add.reduceat(x[order], first, axis=0) / degree[busy, None]
    return mean
