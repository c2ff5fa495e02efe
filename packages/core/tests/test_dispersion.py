"""Windows as graphs of hosts, and sums of rows by group."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netvigil.dispersion import links
from netvigil.grouped import add_rows
from netvigil.testing.synthetic.windows import windows


@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_links_are_those_of_a_loop(seed, loops, weighted):
    graphs = windows(4, seed=seed, flows=20, nodes=5)
    weight = np.random.default_rng(seed).random(len(graphs.flow_id)) if weighted else None
    found = links(graphs, weight, loops=loops)
    wanted: dict[tuple[int, int], list[float]] = {}
    for row, ends in enumerate(zip(*(side.tolist() for side in graphs.node_rows()), strict=True)):
        if loops or ends[0] != ends[1]:
            wanted.setdefault(ends, []).append(1.0 if weight is None else weight[row])
    pairs = list(zip(found.src.tolist(), found.dst.tolist(), strict=True))
    assert pairs == sorted(wanted)
    assert found.flows.tolist() == [len(wanted[pair]) for pair in pairs]
    np.testing.assert_allclose(found.weight, [sum(wanted[pair]) for pair in pairs])


def test_no_flow_no_link():
    found = links(windows(3)[1:2])
    assert len(found.src) == len(found.weight) == 0


@given(st.integers(0, 2**32), st.sampled_from([np.int32, np.int64]), st.integers(1, 60))
def test_rows_add_up_as_in_a_loop(seed, kind, block):
    rng = np.random.default_rng(seed)
    rows, groups = int(rng.integers(0, 50)), int(rng.integers(1, 6))
    group = rng.integers(-1, groups, rows).astype(kind)
    share = rng.random(rows).astype(np.float32)
    x = rng.standard_normal((rows, 3)).astype(np.float32)
    total, wanted = np.ones((groups, 3)), np.ones((groups, 3))
    for row in range(rows):
        if group[row] >= 0:
            wanted[group[row]] += share[row] * x[row]
    for first in range(0, rows, block):
        part = slice(first, first + block)
        add_rows(total, group[part], share[part], x[part])
    np.testing.assert_allclose(total, wanted, atol=1e-5)
