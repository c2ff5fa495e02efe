from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netvigil_anomale import pairs as module
from netvigil_anomale.pairs import Pairs, gathered_sums, loops_of

FLOWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=15)


@given(st.lists(FLOWS, min_size=1, max_size=4), st.booleans())
def test_pairs_are_counted_per_window(graph: Any, flows: Any, sparse: bool) -> None:
    windows = graph(*flows, nodes=[300 if sparse else 7] * len(flows))
    found = Pairs.of(windows)
    src, dst = windows.node_rows()
    wanted: dict[tuple[int, int], int] = {}
    for pair in zip(src.tolist(), dst.tolist(), strict=True):
        wanted[pair] = wanted.get(pair, 0) + 1
    edges = found.edges
    told = zip(edges.src.tolist(), edges.dst.tolist(), edges.count.tolist(), strict=True)
    assert {(u, v): n for u, v, n in told} == wanted
    assert found.dense == (not sparse)
    row = found.rows(windows, 0, len(src)) if len(src) else np.empty(0, int)
    assert edges.src[row].tolist() == src.tolist()
    assert edges.dst[row].tolist() == dst.tolist()
    assert edges.window[row].tolist() == windows.window_of_flow().tolist()


@pytest.mark.parametrize("direction", ["both", "in", "out"])
@pytest.mark.parametrize("nodes", [8, 400], ids=["dense", "sorted"])
def test_blocks_change_nothing(
    graph: Any, monkeypatch: pytest.MonkeyPatch, direction: Any, nodes: int
) -> None:
    rng = np.random.default_rng(1)
    flows = [[tuple(p) for p in rng.integers(0, 8, (n, 2))] for n in (70, 0, 1, 33)]
    windows = graph(*flows, nodes=[nodes] * 4)
    whole = Pairs.of(windows)
    sums = gathered_sums(windows, whole, direction)
    monkeypatch.setattr(module, "ROWS", 9)
    monkeypatch.setattr(
        module, "blocks", lambda flows, rows=9: ((a, min(a + 9, flows)) for a in range(0, flows, 9))
    )
    piecewise = Pairs.of(windows)
    assert np.array_equal(whole.key, piecewise.key)
    assert np.array_equal(whole.edges.count, piecewise.edges.count)
    torch.testing.assert_close(sums, gathered_sums(windows, piecewise, direction))
    src, dst = windows.node_rows()
    wanted = torch.zeros(4 * nodes, 3)
    x = torch.from_numpy(windows.flow_x)
    if direction != "out":
        wanted.index_add_(0, torch.from_numpy(dst), x)
    if direction != "in":
        keep = torch.from_numpy((src != dst) | (direction == "out"))
        wanted.index_add_(0, torch.from_numpy(src)[keep], x[keep])
    torch.testing.assert_close(sums, wanted)
    assert loops_of(windows).tolist() == np.flatnonzero(src == dst).tolist()


def test_reverses_are_added_for_all_but_loops(graph: Any) -> None:
    edges = Pairs.of(graph([(0, 1), (0, 1), (2, 2)])).edges.both_ways()
    told = zip(edges.src.tolist(), edges.dst.tolist(), edges.count.tolist(), strict=True)
    assert sorted(told) == [(0, 1, 2), (1, 0, 2), (2, 2, 1)]
