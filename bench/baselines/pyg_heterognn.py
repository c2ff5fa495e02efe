"""The heterogeneous classifier the article's way: a loop per chunk, PyG's layers and loader.

Written from the published description as a careful user of PyG would, with its defects mended where
they would not run or not compare: one row per host instead of one per flow, int64 links, losses by
class number. What is slow about it is kept: hosts are looked up in Python chunk by chunk, each
chunk becomes a `HeteroData`, and a `DataLoader` collates sixteen of them anew in every epoch. Links
keep their direction in four relations, so that the network is the one it is compared with.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netvigil.contracts import WindowGraphs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyG compiles at import with torch.jit, which torch deprecated
    from torch_geometric.data import HeteroData
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import HeteroConv, SAGEConv

OF_SOURCE, OF_TARGET = ("host", "sends", "flow"), ("host", "receives", "flow")
SOURCE, TARGET = ("flow", "from", "host"), ("flow", "to", "host")
RELATIONS = (OF_SOURCE, OF_TARGET, SOURCE, TARGET)
FIRST = (OF_SOURCE, SOURCE)
REVERSED = {OF_SOURCE: SOURCE, OF_TARGET: TARGET}
TOGETHER = 16  # chunks per step, the article's


class Network(nn.Module):
    """Three layers of `HeteroConv`, and a linear map to classes."""

    def __init__(
        self, features: int, hosts: int, classes: int, *, hidden: int = 64, layers: int = 3
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for layer in range(layers):
            flow, host = (features, hosts) if layer == 0 else (hidden, hidden)
            # A node's own weights and bias stand in the first relation of its kind alone.
            own = {
                edge: {"root_weight": edge in FIRST, "bias": edge in FIRST} for edge in RELATIONS
            }
            to_flow = {e: SAGEConv((host, flow), hidden, **own[e]) for e in (OF_SOURCE, OF_TARGET)}
            to_host = {e: SAGEConv((flow, host), hidden, **own[e]) for e in (SOURCE, TARGET)}
            self.convs.append(HeteroConv({**to_flow, **to_host}, aggr="sum"))
        self.classes = nn.Linear(hidden, classes)

    def forward(self, x: dict[str, Tensor], edges: dict[tuple[str, str, str], Tensor]) -> Tensor:
        """Return logits, [flows, classes]."""
        for conv in self.convs:
            x = {kind: functional.leaky_relu(value) for kind, value in conv(x, edges).items()}
        logits: Tensor = self.classes(x["flow"])
        return logits


def to_hetero(
    graphs: WindowGraphs, hosts: NDArray[np.float32], y: NDArray[np.int64]
) -> list[HeteroData]:
    """Turn every window that holds flows into PyG's own form, host by host as the article does.

    Shapes:
        hosts: [nodes, host features], a row per node of `graphs`; y: [flows], the class of each
    """
    made, first = [], 0
    for number in range(len(graphs)):
        window = graphs[number : number + 1]
        nodes, flows = len(window.node_key), len(window.flow_id)
        if flows:
            start = int(graphs.node_ptr[number])
            data = HeteroData()
            data["flow"].x = torch.tensor(window.flow_x)
            data["flow"].y = torch.tensor(y[first : first + flows])
            data["host"].x = torch.tensor(hosts[start : start + nodes])
            row = {key: place for place, key in enumerate(window.node_key.tolist())}
            keys = window.node_key.tolist()
            for edge, ends in ((OF_SOURCE, window.flow_src), (OF_TARGET, window.flow_dst)):
                pairs = [(row[keys[end]], flow) for flow, end in enumerate(ends.tolist())]
                index = torch.tensor(pairs, dtype=torch.int64).T.contiguous()
                data[edge].edge_index = index
                data[REVERSED[edge]].edge_index = index.flip(0)
            made.append(data)
        first += flows
    return made


def train(network: Network, windows: Sequence[HeteroData], *, epochs: int) -> list[float]:
    """Train in steps of sixteen chunks and return each epoch's mean loss, weighted by flows.

    Batches go to where the network is, as a careful user's loop has it.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(list(windows), batch_size=TOGETHER)
    curve = []
    for _ in range(epochs):
        total, flows = 0.0, 0
        for collated in loader:
            batch = collated.to(network.classes.weight.device)
            optimizer.zero_grad()
            logits = network(batch.x_dict, batch.edge_index_dict)
            loss = functional.cross_entropy(logits, batch["flow"].y)
            torch.autograd.backward(loss)
            optimizer.step()
            total, flows = total + loss.item() * len(logits), flows + len(logits)
        curve.append(total / flows)
    return curve
