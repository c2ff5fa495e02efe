from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import FlowFeatures
from netvigil.testing.conformance import checks_for
from netvigil.testing.strategies import flow_tables
from netvigil_flowprep import plugin
from netvigil_flowprep.graphs.flows_only import FlowsOnly, FlowsOnlyConfig

PART = next(part for part in plugin.netvigil_graph_builders() if part.name == "none")


@given(flow_tables(clock=False, addresses=False), st.integers(1, 7), st.integers(0, 20))
def test_any_source_is_cut_by_row_number(flows, count, first_row):
    builder = FlowsOnly(FlowsOnlyConfig(window_flows=count))
    builder.check(flows)
    window = builder.window_of(flows, first_row=first_row)
    x = np.arange(len(flows), dtype=np.float32)[:, None]
    graphs = builder.build(flows, FlowFeatures(x, ("x_a",)), window)
    assert graphs.flow_id.tolist() == flows.flow_id.tolist()
    assert not graphs.has_nodes
    rows = first_row + np.arange(len(flows))
    assert (graphs.window_start[graphs.window_of_flow()] == rows // count * count).all()
    assert np.all(np.diff(graphs.flow_ptr) <= count)


def test_conformance():
    for check in checks_for(PART):
        check(PART)
