from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.torch.generators import generator
from netvigil_anomale.corruption import Corruption, Slots, permute, pieces
from netvigil_anomale.pair_batch import PairBatch, corrupted_sums


def slots_of(windows: Any, direction: str = "both", block: int = 32_768) -> Slots:
    return PairBatch.of(windows, direction, block=block).slots  # type: ignore[arg-type]


def laid_out(slots: Slots, rng: torch.Generator) -> Corruption:
    """Put drawn pieces together: the rows of each host's slots, in the order they come."""
    rows: list[list[int]] = [[] for _ in slots.degree]
    for piece in pieces(slots, rng):
        ptr = piece.ptr.tolist()
        for k, node in enumerate(piece.node.tolist()):
            rows[node] += (piece.row[ptr[k] : ptr[k + 1]] + piece.first).tolist()
    assert [len(r) for r in rows] == slots.degree.tolist()
    return Corruption(torch.tensor([row for of_node in rows for row in of_node]))


FLOWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12)


@given(
    st.lists(FLOWS, min_size=1, max_size=4),
    st.sampled_from(["both", "in", "out"]),
    st.sampled_from([1, 2, 5, 100]),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_feature_row_is_used_as_often_as_it_is_an_edge(
    graph: Any, flows: Any, direction: str, block: int, seed: int
) -> None:
    windows = graph(*flows, nodes=[5] * len(flows))
    slots = slots_of(windows, direction, block)
    every = [(u, v) for window in flows for u, v in window]
    times = [2 if direction == "both" and u != v else 1 for u, v in every]
    wanted = np.repeat(np.arange(len(every)), times)
    assert slots.rows(0, len(wanted)).tolist() == wanted.tolist()
    window_of = windows.window_of_flow()
    for drawn in (permute(slots, generator(seed)), laid_out(slots, generator(seed))):
        row = drawn.row.numpy()
        assert sorted(row.tolist()) == wanted.tolist()
        gathering = np.repeat(np.arange(len(windows)), np.diff(slots.window_ptr))
        assert (window_of[row] == gathering).all() if len(row) else True


@pytest.mark.parametrize("block", [100, 3, 1])
@pytest.mark.parametrize("deal", [1, 10**9], ids=["counted", "dealt"])
def test_all_arrangements_are_equally_likely(
    graph: Any, monkeypatch: pytest.MonkeyPatch, block: int, deal: int
) -> None:
    # Four flows into hosts 0 (two slots), 1, 2: which two flows go to host 0, in 12 arrangements.
    monkeypatch.setattr("netvigil_anomale.corruption.SLOTS_PER_COUNT", deal)
    slots = slots_of(graph([(3, 0), (3, 0), (3, 1), (3, 2)]), "in", block)
    rng = generator(11)
    seen: dict[tuple[int, ...], int] = {}
    draws = 1500
    for _ in range(draws):
        row = laid_out(slots, rng).row.tolist()
        key = (*sorted(row[:2]), *row[2:])
        seen[key] = seen.get(key, 0) + 1
    expected = draws / 12
    chi2 = sum((count - expected) ** 2 / expected for count in seen.values())
    assert len(seen) == 12
    assert chi2 < 31.3  # 11 degrees of freedom: exceeded once in 1,000 seeds


def test_the_whole_permutation_is_uniform_within_each_window(graph: Any) -> None:
    slots = slots_of(graph([(0, 1)] * 3, [(0, 0)], [(0, 1)] * 2), "in")
    rng, seen, draws = generator(5), {}, 2400
    for _ in range(draws):
        key = tuple(permute(slots, rng).row.tolist())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 12
    assert {row[3] for row in seen} == {3}
    chi2 = sum((count - draws / 12) ** 2 / (draws / 12) for count in seen.values())
    assert chi2 < 31.3


@pytest.mark.parametrize("direction", ["both", "in", "out"])
def test_sums_piece_by_piece_are_those_of_the_whole_permutation(graph: Any, direction: str) -> None:
    rng = np.random.default_rng(3)
    windows = graph(
        [tuple(pair) for pair in rng.integers(0, 9, (400, 2))],
        [(0, 0)],
        [],
        [tuple(pair) for pair in rng.integers(0, 3, (50, 2))],
        nodes=[9, 1, 0, 3],
    )
    slots = slots_of(windows, direction, block=64)
    drawn = laid_out(slots, generator(1))
    sums = corrupted_sums(windows.flow_x, pieces(slots, generator(1)), len(slots.degree))
    x = torch.from_numpy(windows.flow_x)[drawn.row]
    host = torch.repeat_interleave(torch.arange(13), torch.from_numpy(slots.degree))
    torch.testing.assert_close(sums, torch.zeros(13, 3).index_add_(0, host, x))


def test_the_same_generator_draws_the_same(graph: Any) -> None:
    slots = slots_of(graph([(0, 1), (1, 2), (2, 2)] * 50), block=16)
    first, second = (laid_out(slots, generator(4)).row for _ in range(2))
    assert first.equal(second)
    assert not first.equal(laid_out(slots, generator(5)).row)
