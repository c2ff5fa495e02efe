"""One axis of a suite drawn: means, deviations and seeds where a reader expects them."""

from __future__ import annotations

import pytest

from netvigil.comparison import compare
from netvigil.comparison.runs import Run
from netvigil.evaluation import Spread
from netvigil.report.axes import axis_effect, sweeps

from .test_comparison import RULE, method, receipt

BASE = {"depth": "two", "loss": "mse"}


def run(name, scores, *, sha256="a" * 64, base=BASE, **at):
    """Make a finished run of three seeds; `scores` are their AUROC."""
    mean = sum(scores) / len(scores)
    seeds = tuple(range(len(scores)))
    spread = Spread(mean=mean, sd=0.1, per_seed=tuple(scores))
    made = method("ae", seeds=seeds)
    made = made.model_copy(update={"metrics": made.metrics | {"auroc": spread}})
    judged = receipt(RULE, made, source=f"{sha256[0]}.csv", sha256=sha256)
    return Run(name, judged, at=at, base=base)


SUITE = [
    run("base", [0.8, 0.9], depth="two", loss="mse"),
    run("depth-four", [0.5, 0.7], depth="four", loss="mse"),
    run("loss-mae", [0.1, 0.2], depth="two", loss="mae"),
]


def points(figure):
    """Return what the first panel shows: (x, y) of each seed, each mean with its bar."""
    panel = figure.axes[0]
    seeds = [
        (float(x), float(y))
        for line in panel.lines
        if line.get_marker() == "o" and line.get_alpha() == pytest.approx(0.45)
        for x, y in zip(*line.get_data(), strict=True)
    ]
    bars = [each.get_children()[0].get_data() for each in panel.containers]
    return seeds, [(round(float(x[0]), 9), round(float(y[0]), 9)) for x, y in bars]


def test_the_axis_is_drawn_from_the_runs_in_which_nothing_else_moves():
    compared = compare(SUITE)
    depth, loss = sweeps(compared)
    assert (depth.values, loss.values) == (("two", "four"), ("mse", "mae"))
    figure = axis_effect(compared, depth)
    seeds, means = points(figure)
    assert seeds == [(0, 0.8), (0, 0.9), (1, 0.5), (1, 0.7)]
    assert means == [(0, 0.85), (1, 0.6)]
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["two", "four"]


def test_a_full_grid_counts_all_runs_of_a_value():
    grid = [
        run("a", [0.8], base={}, depth="two", loss="mse"),
        run("b", [0.6], base={}, depth="two", loss="mae"),
        run("c", [0.4], base={}, depth="four", loss="mse"),
    ]
    compared = compare(grid)
    depth = sweeps(compared)[0]
    seeds, means = points(axis_effect(compared, depth))
    assert seeds == [(0, 0.8), (0, 0.6), (1, 0.4)]
    assert means == [(0, 0.7), (1, 0.4)]


def test_two_data_stand_beside_each_other_and_the_data_is_no_axis_of_its_own():
    both = [
        run(
            f"{data}-{depth}",
            [score],
            sha256=data * 64,
            base={"depth": "two"},
            data=data,
            depth=depth,
        )
        for data, depth, score in (("a", "two", 0.8), ("a", "four", 0.7), ("b", "two", 0.6))
    ]
    compared = compare(both)
    (depth,) = sweeps(compared)
    _, means = points(axis_effect(compared, depth))
    assert means == [(-0.15, 0.8), (0.85, 0.7), (0.15, 0.6)]


def test_runs_of_no_suite_have_no_axis():
    assert sweeps(compare([Run("a", receipt(RULE, method("ae")))])) == []
