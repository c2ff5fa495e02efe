"""The notebook's rule where it works and where it fails, and the rules that look at each edge."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil.errors import NotFittedError
from netvigil_tabular.weights import (
    KINDS,
    FlattenedMean,
    PerEdgeQuantile,
    PerEdgeRobust,
    TrafficWeights,
    generate,
    judge,
)
from netvigil_tabular.weights.rules import usual_rules


def verdicts(**settings):
    """Judge the usual rules on the half of the graphs that they were not fitted on."""
    train, test = generate(10_000, seed=0, **settings).split(0.5, seed=0)
    return dict(zip(("flat", "quantile", "robust"), judge(usual_rules(), train, test), strict=True))


def test_in_the_notebooks_setting_its_rule_finds_every_anomaly_and_nothing_else():
    train, test = generate(10_000, seed=0).split(0.5, seed=0)
    (found,) = judge([FlattenedMean()], train, test)
    assert (found.precision, found.recall) == (1, 1)
    assert found.flagged == test.y.sum()  # one flag for each graph, not one for each weight
    rule = FlattenedMean().fit(train.x)
    assert 40 < rule.cut_ < 75


@pytest.mark.parametrize("seed", range(3))
def test_where_edges_differ_in_scale_it_fails_and_the_robust_rule_does_not(seed):
    train, test = generate(10_000, seed=seed, spread=50.0).split(0.5, seed=seed)
    flat, robust = judge([FlattenedMean(), PerEdgeRobust()], train, test)
    assert flat.precision < 0.5
    assert (robust.precision, robust.recall) == (1, 1)


def test_every_kind_is_counted_apart():
    found = verdicts(kinds=tuple(KINDS), nodes=5, spread=50.0)
    robust = {each.kind: each for each in found["robust"].kinds}
    assert set(robust) == set(KINDS)
    for kind in ("burst", "burst-edge", "new-edge"):
        assert (robust[kind].recall, robust[kind].precision) == (1, 1)
    assert 0.9 < robust["scan"].recall < 1
    assert 0.5 < robust["drift"].recall < 1  # its first third is within the usual
    assert robust["silent-node"].recall == 0  # rules for large weights cannot see it
    assert robust["silent-node"].precision is None
    assert found["flat"].precision < 0.2


def by_hand(x, y):
    kinds = np.where(y, "burst", "normal")
    edges = np.array([[0, 1], [0, 2]])
    quiet = np.zeros(2, np.bool_)
    return TrafficWeights(np.array(x, float), np.array(y), kinds, edges, 3, np.ones(2), quiet)


TRAIN = by_hand([[0, 10], [1, 20], [2, 30], [3, 40], [4, 50]], [False] * 5)


def test_cuts_by_hand():
    flat = FlattenedMean(deviations=1).fit(TRAIN.x)
    assert flat.cut_ == pytest.approx(TRAIN.x.mean() + TRAIN.x.std())
    quantile = PerEdgeQuantile(keep=0.25).fit(TRAIN.x)
    assert quantile.cut_.tolist() == [3, 40]
    robust = PerEdgeRobust(deviations=2).fit(TRAIN.x)
    # Medians 2 and 30; median absolute deviations 1 and 10.
    assert robust.cut_.tolist() == pytest.approx([2 + 2 * 1.4826, 30 + 20 * 1.4826])
    assert quantile.flag(np.array([[3.0, 40.0], [3.1, 0.0], [9.0, 99.0]])).tolist() == [
        *(False, True, True),
    ]


def test_figures_by_hand():
    test = by_hand([[9, 0], [9, 99], [0, 0], [0, 99]], [True, False, True, False])
    (found,) = judge([PerEdgeQuantile(0.25)], TRAIN, test)
    # Flagged: graphs 0, 1 and 3; one of them is one of the two anomalies.
    assert (found.flagged, found.precision, found.recall) == (3, 1 / 3, 0.5)
    assert [(k.kind, k.graphs, k.recall, k.precision) for k in found.kinds] == [
        ("burst", 2, 0.5, 1 / 3)
    ]
    nothing = judge([PerEdgeQuantile(0.25)], TRAIN, by_hand([[0, 0]], [False]))[0]
    assert (nothing.flagged, nothing.precision, nothing.recall, nothing.kinds) == (
        *(0, None, None),
        (),
    )


@pytest.mark.parametrize("rule", usual_rules(), ids=lambda rule: rule.name)
def test_a_rule_learns_first(rule):
    with pytest.raises(NotFittedError, match="before it was fitted"):
        rule.flag(np.zeros((1, 3)))
