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
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs
from netvigil.torch.graphs import GraphBatch
from netvigil.torch.segments import segment_sum

COUNTS = ("sent", "received", "peers_sent_to", "peers_received_from", "services")


def host_features(graphs: WindowGraphs, graph: GraphBatch) -> Tensor:
    """Describe every host of every window, in one vectorised pass.

    Shapes:
        graph: the same windows as tensors
        returns: float32 [nodes, 5 + 2 features]: log(1 + count) of flows sent and received, of
            distinct destinations and sources, of distinct services asked for; then the mean
            features of flows sent, and of flows received (0 where there are none)

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> graphs = windows(3)
        >>> found = host_features(graphs, GraphBatch.of(graphs))
        >>> found.shape == (len(graphs.node_key), 5 + 2 * graphs.flow_x.shape[1])
        True
    """
    means = [
        segment_sum(graph.x, side) / side.degree.clamp(min=1)[:, None]
        for side in (graph.src, graph.dst)
    ]
    return torch.cat([torch.from_numpy(_counts(graphs)).to(graph.x.device), *means], 1)


def _counts(graphs: WindowGraphs) -> NDArray[np.float32]:
    """Return the logarithms of counts, float32 [nodes, 5]."""
    nodes, (source, destination) = len(graphs.node_key), graphs.node_rows()
    counts = np.zeros((nodes, len(COUNTS)), np.float32)
    counts[:, 0] = np.bincount(source, minlength=nodes)
    counts[:, 1] = np.bincount(destination, minlength=nodes)
    counts[:, 2] = _distinct(source, destination, nodes, nodes)
    counts[:, 3] = _distinct(destination, source, nodes, nodes)
    if graphs.flow_service is not None:
        services = pa.array(graphs.flow_service).dictionary_encode()
        number = services.indices.to_numpy().astype(np.int64)
        counts[:, 4] = _distinct(source, number, nodes, len(services.dictionary))
    return np.log1p(counts, out=counts)


def _distinct(
    node: NDArray[np.int64], other: NDArray[np.int64], nodes: int, others: int
) -> NDArray[np.int64]:
    """Count the distinct numbers, each below `others`, that stand beside each node, [nodes]."""
    pair = np.sort(node * others + other)  # integers sort several times faster than pairs of them
    new = np.ones(len(pair), np.bool_)
    new[1:] = pair[1:] != pair[:-1]
    return np.bincount(pair[new] // max(others, 1), minlength=nodes)
