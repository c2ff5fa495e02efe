"""The small inputs for tests: windows, encodings with planted outliers, hypothesis strategies."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import FlowTable
from netvigil.testing.strategies import flow_tables, label_tables
from netvigil.testing.synthetic import encoded, windows


@pytest.mark.parametrize("schema", ["flow-host", "flows-only"])
def test_windows_hold_the_odd_ones_first(schema):
    graphs = windows(6, seed=1, flows=20, schema=schema)
    sizes = np.diff(graphs.flow_ptr)
    assert sizes[0] == 1
    assert sizes[1] == 0
    assert (sizes[2:] >= 10).all()
    if schema == "flow-host":
        assert graphs.flow_src[0] == graphs.flow_dst[0]
        assert set(graphs[2:3].node_key) & set(graphs[3:4].node_key)
    again = windows(6, seed=1, flows=20, schema=schema)
    assert np.array_equal(graphs.flow_x, again.flow_x)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(0, 20), st.integers(1, 8))
def test_encoded_plants_as_many_outliers_as_asked(flows, outliers, dim):
    made = encoded(flows, seed=3, outliers=min(outliers, flows), dim=dim)
    assert made.outlier.sum() == min(outliers, flows)
    assert made.encoded.embedding.shape == (flows, dim)
    assert np.all(np.diff(made.encoded.flow_id) > 0)


def test_outliers_lie_far_from_every_usual_flow():
    usual = encoded(400, seed=1).encoded.embedding
    probe = encoded(200, seed=2, outliers=40)
    away = np.linalg.norm(probe.encoded.embedding[:, None] - usual, axis=2).min(axis=1)
    assert away[probe.outlier].min() > np.median(away[~probe.outlier])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_strategies_draw_legal_tables_and_their_oddities(data):
    clock, addresses = data.draw(st.booleans()), data.draw(st.booleans())
    flows = data.draw(flow_tables(clock=clock, addresses=addresses))
    # Checks everything again, from scratch.
    FlowTable(flows.table, flows.info)
    assert flows.has_addresses in ({True, False} if addresses and len(flows) else {False})
    labels = data.draw(label_tables(flows.flow_id))
    assert set(labels.table["flow_id"].to_pylist()) <= set(flows.flow_id.tolist())


def test_without_hypothesis_the_strategies_say_what_to_install():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from netvigil.errors import NetvigilError\n"
        "try:\n    import netvigil.testing.strategies\n"
        "except NetvigilError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install hypothesis" in done.stdout


def test_synthetic_and_conformance_need_no_test_library():
    code = (
        "import sys; sys.modules['hypothesis'] = sys.modules['pytest'] = None\n"
        "import netvigil.testing.synthetic, netvigil.testing.conformance\n"
        "print(sorted({'torch', 'sklearn', 'netvigil_flowprep'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
