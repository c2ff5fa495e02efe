"""The published pipeline's graph: a networkx multigraph of Python objects, made directed.

As the Anomal-E notebook builds it (`Anomal_E_cicids2017.ipynb`): features as lists, one edge object
per flow, `to_directed`, which makes two edges of each flow, and the conversion to arrays that
`dgl.from_networkx` does (nodes renumbered, edges and their features collected one by one).
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd


def multigraph(src: list[str], dst: list[str], x: np.ndarray[Any, Any]) -> int:
    """Build one graph of all flows; returns its number of flows."""
    frame = pd.DataFrame({"src": src, "dst": dst, "h": x.tolist()})
    graph = nx.from_pandas_edgelist(
        frame, "src", "dst", ["h"], create_using=nx.MultiGraph()
    ).to_directed()
    graph = nx.convert_node_labels_to_integers(graph, ordering="sorted")
    source, target, features = [], [], []
    for one, other, attributes in graph.edges(data=True):
        source.append(one)
        target.append(other)
        features.append(attributes["h"])
    edges, values = np.array([source, target]), np.array(features, np.float32)
    assert edges.shape[1] == len(values)
    return len(frame)
