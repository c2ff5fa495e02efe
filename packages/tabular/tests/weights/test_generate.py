"""What is drawn: the notebook's numbers, each kind's own mark, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import ConfigError
from netvigil_tabular.weights import KINDS, NORMAL, generate

ALL = tuple(KINDS)


def test_the_notebooks_setting():
    made = generate(seed=0)
    assert made.x.shape == (10_000, 3)
    assert made.edges.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert made.base.tolist() == [20, 20, 20]
    normal, odd = made.x[~made.y], made.x[made.y]
    # 20 x (1 + min(N, 1)), not below 0; a bursting weight is 3 x 20 and 3 to 4 times 5 above.
    assert normal.min() == 0
    assert normal.max() == 40
    assert odd.min() >= 75
    assert odd.max() <= 80
    # A normal draw lies above one deviation with probability .1587, below minus one likewise.
    assert (normal == 40).mean() == pytest.approx(0.1587, abs=0.01)
    assert (normal == 0).mean() == pytest.approx(0.1587, abs=0.01)
    assert made.y.mean() == pytest.approx(0.05, abs=0.008)
    assert set(made.kind[made.y]) == {"burst"}


@given(st.integers(0, 2**32), st.integers(3, 6), st.sampled_from([1.0, 30.0]))
def test_the_same_seed_draws_the_same_graphs(seed, nodes, spread):
    settings = {"rate": 0.3, "kinds": ALL, "spread": spread}
    first, again = (generate(60, nodes, seed=seed, **settings) for _ in range(2))
    assert first.x.tobytes() == again.x.tobytes()
    assert first.kind.tolist() == again.kind.tolist()
    assert first.x.shape == (60, nodes * (nodes - 1) // 2)
    assert (first.x >= 0).all()
    assert np.array_equal(first.y, first.kind != NORMAL)
    other = generate(60, nodes, seed=seed + 1, **settings)
    assert first.x.tobytes() != other.x.tobytes()


def of(kind, graphs=400, **settings):
    made = generate(graphs, 5, seed=3, rate=0.5, kinds=[kind], **settings)
    return made, made.x[made.y], made.x[~made.y]


def test_edges_may_differ_in_scale():
    made, odd, normal = of("burst", spread=100.0)
    assert made.base.max() / made.base.min() == pytest.approx(100)
    assert np.exp(np.log(made.base).mean()) == pytest.approx(20)
    assert (normal <= 2 * made.base).all()
    # The multiplier grows with the edge: 3 bases and .75 to 1 base above.
    assert ((odd >= 3.75 * made.base) & (odd <= 4 * made.base)).all()
    assert len(set(made.base.tolist())) == 10


def test_a_burst_on_one_edge():
    made, odd, _ = of("burst-edge")
    assert ((odd > 2 * made.base).sum(axis=1) == 1).all()
    assert set((odd > 2 * made.base).argmax(axis=1).tolist()) == set(range(10))


def test_a_new_edge():
    made, odd, normal = of("new-edge")
    assert made.quiet.sum() == 1
    assert (normal[:, made.quiet] == 0).all()
    assert (odd[:, made.quiet] >= 10).all()
    assert (odd[:, made.quiet] <= 40).all()
    assert (odd[:, ~made.quiet] <= 40).all()


def test_a_silent_node():
    made, _, _ = of("silent-node")
    totals = made.totals()
    assert (totals[made.y] == 0).any(axis=1).all()
    assert (totals[~made.y] == 0).any(axis=1).mean() < 0.02


def test_a_drift_is_consecutive_and_grows_from_nothing_to_four_times():
    made, odd, _ = of("drift")
    rows = np.flatnonzero(made.y)
    assert rows.tolist() == list(range(rows[0], rows[0] + len(rows)))
    # Weights average 20 x (1 - .083) where nothing drifts: E min(N, 1) is -.083 before the clip.
    early, late = odd[: len(odd) // 10].mean(), odd[-len(odd) // 10 :].mean()
    assert late / early == pytest.approx(3.85 / 1.15, rel=0.1)


def test_a_drift_among_other_kinds_keeps_their_number():
    made = generate(3000, 4, seed=5, rate=0.6, kinds=ALL)
    rows = np.flatnonzero(made.kind == "drift")
    assert rows.tolist() == list(range(rows[0], rows[0] + len(rows)))
    counts = [int((made.kind == kind).sum()) for kind in ALL]
    assert min(counts) > 240  # 300 each, give or take three and a half deviations
    assert max(counts) < 360


def test_a_scan_raises_all_edges_of_one_node():
    made, odd, _ = of("scan")
    raised = odd >= 2 * made.base
    per_node = np.stack([raised[:, (made.edges == n).any(axis=1)].all(axis=1) for n in range(5)])
    assert per_node.any(axis=0).all()


def test_the_mix_of_kinds():
    made = generate(4000, seed=0, rate=0.5, kinds={"burst": 3, "scan": 1})
    shares = [(made.kind == kind).mean() for kind in ("burst", "scan")]
    assert shares == pytest.approx([0.375, 0.125], abs=0.025)


@pytest.mark.parametrize("rate", [0, 1])
def test_no_anomaly_and_nothing_else(rate):
    assert generate(50, seed=0, rate=rate).y.mean() == rate


def test_two_nodes_and_one_graph():
    made = generate(1, 2, seed=0)
    assert made.x.shape == (1, 1)
    assert made.totals().tolist() == [[made.x[0, 0]] * 2]


def test_parts_are_dealt_out_once():
    made = generate(101, seed=0, rate=0.3)
    first, second = made.split(0.6, seed=1)
    assert (len(first), len(second)) == (61, 40)
    whole = np.concatenate([first.x, second.x])
    assert sorted(map(tuple, whole.tolist())) == sorted(map(tuple, made.x.tolist()))
    assert first.kind.tolist() == made.split(0.6, seed=1)[0].kind.tolist()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": ["busrt"]}, "Did you mean 'burst'?"),
        ({"kinds": []}, "kinds: none"),
        ({"kinds": {"burst": 0}}, "of no weight"),
        ({"nodes": 1}, "nodes = 1"),
        ({"graphs": 0}, "graphs = 0"),
        ({"rate": 1.5}, "rate = 1.5"),
        ({"base": 0}, "base = 0"),
        ({"spread": 0.5}, "spread = 0.5"),
        ({"nodes": 2, "kinds": ["new-edge"]}, "new-edge needs 3 nodes"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn(settings, words):
    with pytest.raises(ConfigError) as caught:
        generate(**({"graphs": 10, "seed": 0} | settings))
    assert words in str(caught.value)
