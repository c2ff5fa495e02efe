"""Windows as PyG data objects, for users' own models; netvigil's own methods need none of this.

All windows of a `WindowGraphs` become one disjoint graph; `batch` says which window a row is of, as
PyG's own batches do. Arrays are copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from netvigil.contracts import WindowGraphs
from netvigil.errors import ContractError


def to_hetero_data(graphs: WindowGraphs) -> HeteroData:
    """Return flows and hosts as two types of nodes, with four relations between them.

    Relations: `flow from host`, `flow to host`, and their reverses `host sends flow` and `host
    receives flow`; a flow is one node however often it is pointed at.

    Shapes:
        data["flow"]: x float32 [flows, features], flow_id int64 [flows], batch int64 [flows]
        data["host"]: x float32 [nodes, node features] or ones [nodes, 1], key int64 [nodes] (the
            bits of `node_key`), batch int64 [nodes]
        each relation: edge_index int64 [2, flows]

    Raises:
        ContractError: Windows without hosts.
    """
    flow = torch.arange(len(graphs.flow_id))
    source, target = _rows(graphs)
    data = HeteroData()
    data["flow"].x = _copy(graphs.flow_x)
    data["flow"].flow_id = _copy(graphs.flow_id)
    data["flow"].batch = _copy(graphs.window_of_flow())
    data["host"].x = _host_x(graphs)
    data["host"].key = _copy(graphs.node_key.view(np.int64))
    data["host"].batch = _window_of_node(graphs)
    for rows, away, back in ((source, "from", "sends"), (target, "to", "receives")):
        data["flow", away, "host"].edge_index = torch.stack([flow, rows])
        data["host", back, "flow"].edge_index = torch.stack([rows, flow])
    return data


def to_data(graphs: WindowGraphs) -> Data:
    """Return hosts as nodes and flows as directed edges between them.

    Shapes:
        x: float32 [nodes, node features] or ones [nodes, 1]; key, batch: int64 [nodes]
        edge_index: int64 [2, flows]; edge_attr: float32 [flows, features]; flow_id: int64 [flows]

    Raises:
        ContractError: Windows without hosts.
    """
    return Data(
        x=_host_x(graphs),
        edge_index=torch.stack(_rows(graphs)),
        edge_attr=_copy(graphs.flow_x),
        flow_id=_copy(graphs.flow_id),
        key=_copy(graphs.node_key.view(np.int64)),
        batch=_window_of_node(graphs),
    )


def _rows(graphs: WindowGraphs) -> tuple[Tensor, Tensor]:
    if not graphs.has_nodes:
        msg = f"Windows of the schema '{graphs.schema}' have no hosts to make a graph of."
        raise ContractError(msg, do="Choose the graph builder 'flow-host'.")
    source, target = graphs.node_rows()
    return _copy(source), _copy(target)


def _host_x(graphs: WindowGraphs) -> Tensor:
    nodes = len(graphs.node_key)
    return torch.ones(nodes, 1) if graphs.node_x is None else _copy(graphs.node_x)


def _window_of_node(graphs: WindowGraphs) -> Tensor:
    return _copy(np.repeat(np.arange(len(graphs)), np.diff(graphs.node_ptr)))


def _copy(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array))  # a copy: the windows' own arrays may be read-only
