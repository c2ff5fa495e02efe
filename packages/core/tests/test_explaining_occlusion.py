"""Occlusion on a score that counts flows, so that every contribution is known."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil.contracts import WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.explaining.config import OcclusionConfig
from netvigil.explaining.occlusion import Group, Occlusion, neighbours, pairs
from netvigil.testing.synthetic.windows import windows

from .test_explaining_copies import scoring, window

SCANNER = 0


def from_source(graphs: WindowGraphs):
    """Score a flow by how many flows of its window its source sent."""
    rows, _ = graphs.node_rows()
    return np.bincount(rows, minlength=1)[rows].astype(np.float64)


def scan(*, to: int = 6, usual: int = 30, seed: int = 0) -> WindowGraphs:
    """One flow from host 0 to each of hosts 1 to `to`; `usual` flows into host 1 from others."""
    rng = np.random.default_rng(seed)
    hosts = to + 5
    src = [SCANNER] * to + rng.integers(to + 1, hosts, usual).tolist()
    dst = [*range(1, to + 1), *([1] * usual)]
    order = rng.permutation(len(src))
    return WindowGraphs(
        schema="flow-host",
        feature_names=("a",),
        flow_id=np.arange(len(src)),
        flow_x=np.zeros((len(src), 1), np.float32),
        flow_ptr=np.array([0, len(src)]),
        window_start=np.zeros(1, np.int64),
        flow_src=np.array(src, np.int32)[order],
        flow_dst=np.array(dst, np.int32)[order],
        node_ptr=np.array([0, hosts]),
        node_key=np.arange(1, hosts + 1, dtype=np.uint64),
    )


def scanned(graphs: WindowGraphs, host: int) -> int:
    """Return the row of the scanner's flow to a host."""
    return int(np.flatnonzero((graphs.flow_src == SCANNER) & (graphs.flow_dst == host))[0])


def explain(graphs, row, score=from_source, **settings):
    made = Occlusion(OcclusionConfig(**settings))
    return made.explain(scoring(score, seed=5), graphs, np.array([row]))[0]


def test_every_contribution_is_the_number_of_flows_that_the_source_sent():
    graphs = scan()
    row = scanned(graphs, 1)
    found = explain(graphs, row, pairs=50, flows=50)
    assert found.contributions[0].kind == "host"
    assert found.contributions[0].amount == 5
    for each in found.contributions:
        sent = int((graphs.flow_src[each.rows] == SCANNER).sum())
        assert each.amount == sent, each
        assert row not in each.rows
    kinds = [each.kind for each in found.contributions]
    assert kinds.count("host") == 2
    # A pair of one flow is named once, as a pair; all flows of the pair with host 1 are single too.
    assert kinds.count("pair") == len(pairs(graphs, neighbours(graphs, row)))
    named = np.unique(np.concatenate([each.rows for each in found.contributions]))
    assert named.tolist() == neighbours(graphs, row).tolist()


def test_the_check_takes_the_leading_groups_away_together():
    """The scanner's five other flows; five random neighbours hold 5 / 35 of these each."""
    graphs = scan(usual=30)
    found = explain(graphs, scanned(graphs, 1))
    check = found.faithfulness
    assert (check.named, check.things, check.pool) == (5, 5, "its neighbours")
    assert check.random == pytest.approx(5 * 5 / 35, abs=0.4)
    assert check.difference > 3.5


def test_where_most_neighbours_are_named_random_flows_are_of_the_whole_window():
    graphs = scan(to=3, usual=30)
    row = scanned(graphs, 3)  # its only neighbours are the scanner's two other flows
    graphs.flow_dst[graphs.flow_src == SCANNER] = 3  # which are of one pair of hosts now
    check = explain(graphs, row).faithfulness
    assert (check.named, check.things, check.pool) == (2, 2, "the flows of its window")
    assert check.random < 1


def test_a_group_that_is_most_of_the_window_leaves_the_check_to_others():
    """All flows are the scanner's, each to a host of its own: pairs are named, three at most."""
    graphs = scan(to=9, usual=0)
    found = explain(graphs, scanned(graphs, 9))
    assert (found.contributions[0].kind, found.contributions[0].amount) == ("host", 8)
    check = found.faithfulness
    assert (check.named, check.things, check.pool) == (3, 3, "its neighbours")
    assert check.difference == 0  # any three of the others matter as much


def test_where_the_window_is_nearly_nothing_else_there_is_no_check():
    src, dst = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    found = explain(window(flow_src=src, flow_dst=dst), 2)
    assert found.contributions[0].amount == 4
    assert found.faithfulness is None
    assert "most of the window" in found.remarks[0]


def test_an_explainer_that_draws_what_it_names_does_not_pass_the_check():
    """Over many windows it comes out at about nothing."""

    class Guess(Occlusion):
        def _faithful(self, scoring, window, row, listed, near, *, draws):
            rng = np.random.default_rng(int(window.flow_x[0, 0]))
            guessed = Group("pair", np.sort(rng.choice(near, 7, replace=False)))
            return super()._faithful(scoring, window, row, [(guessed, 1.0)], near, draws=draws)

    differences = []
    for seed in range(60):
        graphs = scan(to=8, usual=60, seed=seed)
        graphs.flow_x[:] = seed
        made = Guess(OcclusionConfig(pairs=40, flows=0))
        row = np.array([scanned(graphs, 1)])
        check = made.explain(scoring(from_source, seed=seed), graphs, row)[0].faithfulness
        differences.append(check.difference)
    graphs = scan(to=8, usual=60)
    honest = explain(graphs, scanned(graphs, 1)).faithfulness
    assert abs(np.mean(differences)) < 0.4
    assert honest.things == 7
    assert honest.difference > 5


def test_a_flow_without_neighbours():
    graphs = window()
    found = explain(graphs, 3)  # 3 -> 3, alone
    assert found.contributions == ()
    assert found.faithfulness is None
    assert "shares a host" in found.remarks[0]


def test_a_score_that_looks_at_no_neighbour_gives_nothing_to_check():
    found = explain(scan(), 0, score=lambda g: g.flow_x[:, 0].astype(float))
    assert {each.amount for each in found.contributions} == {0.0}
    assert found.faithfulness is None


def test_both_directions_of_a_pair_are_one_group():
    graphs = window(
        flow_src=np.array([0, 1, 1, 3, 0], np.int32), flow_dst=np.array([1, 0, 2, 3, 2], np.int32)
    )
    groups = pairs(graphs, neighbours(graphs, 4))  # 0 -> 2
    assert [group.rows.tolist() for group in groups] == [[0, 1], [2]]


def test_smaller_pairs_that_are_left_in_are_counted():
    """Host 0 with five others, host 1 with the four that 30 usual flows come from: nine pairs."""
    graphs = scan(to=6, usual=30)
    found = explain(graphs, scanned(graphs, 1), pairs=2)
    shown = [each for each in found.contributions if each.kind == "pair"]
    assert len(shown) == 2
    left = 35 - sum(len(each.rows) for each in shown)
    assert found.remarks == (
        f"7 smaller pairs of hosts ({left} of 35 neighbours) were not left out one by one",
    )


def test_the_budget_bounds_what_is_scored():
    scored = []

    def count(graphs):
        scored.append(len(graphs.flow_id))
        return from_source(graphs)

    graphs = scan(to=10, usual=60)
    explain(graphs, scanned(graphs, 1), score=count)
    generous = sum(scored)
    scored.clear()
    explain(graphs, scanned(graphs, 1), score=count, budget=len(graphs.flow_id) * 12)
    assert sum(scored) < generous / 2
    assert sum(scored) <= 17 * len(graphs.flow_id)


def test_the_same_flow_is_explained_alike_whatever_is_beside_it():
    graphs = windows(4, seed=7)
    made = Occlusion(OcclusionConfig())
    rows = np.array([1, 5, 60])
    together = made.explain(scoring(from_source, seed=1), graphs, rows)
    for row, found in zip(rows, together, strict=True):
        alone = made.explain(scoring(from_source, seed=1), graphs, np.array([row]))[0]
        assert alone.faithfulness == found.faithfulness
        assert [c.amount for c in alone.contributions] == [c.amount for c in found.contributions]


def test_windows_without_hosts_are_refused():
    bare = windows(3, schema="flows-only")
    with pytest.raises(IncompatiblePartsError, match="no hosts"):
        Occlusion(OcclusionConfig()).check(scoring(from_source), bare)
