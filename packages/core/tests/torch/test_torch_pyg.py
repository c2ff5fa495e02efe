"""Windows as PyG data, for users."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netvigil.contracts import WindowGraphs
from netvigil.errors import ContractError

from .learners import windows

# PyG itself still compiles with the deprecated torch.jit when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")


def test_flows_and_hosts_become_nodes_with_four_relations():
    from netvigil.torch.pyg import to_hetero_data

    graphs = windows([3, 0, 4])
    data = to_hetero_data(graphs)
    assert data.validate(raise_on_error=True)
    source, target = graphs.node_rows()
    flow = np.arange(7)
    wanted = {
        ("flow", "from", "host"): (flow, source),
        ("host", "sends", "flow"): (source, flow),
        ("flow", "to", "host"): (flow, target),
        ("host", "receives", "flow"): (target, flow),
    }
    assert set(data.edge_types) == set(wanted)
    for relation, rows in wanted.items():
        assert data[relation].edge_index.tolist() == [r.tolist() for r in rows]
    assert data["flow"].flow_id.tolist() == graphs.flow_id.tolist()
    assert data["flow"].batch.tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert data["host"].batch.tolist() == [0] * 4 + [2] * 4
    assert torch.equal(data["flow"].x, torch.tensor(graphs.flow_x))
    assert data["host"].x.tolist() == [[1.0]] * 8
    assert data["host"].key.numpy().view(np.uint64).tolist() == graphs.node_key.tolist()


def test_hosts_become_nodes_and_flows_their_edges():
    from netvigil.torch.pyg import to_data

    graphs = windows([3, 4], node_x=True)
    data = to_data(graphs)
    assert data.validate(raise_on_error=True)
    assert data.edge_index.tolist() == [r.tolist() for r in graphs.node_rows()]
    assert torch.equal(data.edge_attr, torch.tensor(graphs.flow_x))
    assert torch.equal(data.x, torch.tensor(graphs.node_x))
    assert data.flow_id.tolist() == graphs.flow_id.tolist()
    assert data.num_nodes == 8
    assert data.is_directed()


def test_windows_without_hosts_are_refused():
    from netvigil.torch.pyg import to_data, to_hetero_data

    flows = windows([3])
    plain = WindowGraphs(
        schema="flows-only",
        feature_names=flows.feature_names,
        flow_id=flows.flow_id,
        flow_x=flows.flow_x,
        flow_ptr=flows.flow_ptr,
        window_start=flows.window_start,
        flow_src=np.zeros(0, np.int32),
        flow_dst=np.zeros(0, np.int32),
        node_ptr=np.zeros(2, np.int64),
        node_key=np.zeros(0, np.uint64),
    )
    for convert in (to_data, to_hetero_data):
        with pytest.raises(ContractError, match="no hosts"):
            convert(plain)
