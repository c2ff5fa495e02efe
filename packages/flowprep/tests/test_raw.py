from __future__ import annotations

import numpy as np

from netvigil.parts import NoConfig
from netvigil.testing.conformance import checks_for
from netvigil.testing.synthetic import windows
from netvigil_flowprep import plugin
from netvigil_flowprep.raw import Raw


def test_the_embedding_is_the_features_themselves():
    graphs = windows(500, seed=1)
    encoded = Raw(NoConfig()).encode(graphs)
    assert np.shares_memory(encoded.embedding, graphs.flow_x)
    assert np.array_equal(encoded.embedding, graphs.flow_x)
    assert encoded.flow_id.tolist() == graphs.flow_id.tolist()
    assert np.array_equal(encoded.window_start, graphs.window_start[graphs.window_of_flow()])


def test_conformance():
    (part,) = plugin.netvigil_encoders()
    for check in checks_for(part):
        check(part)
