"""Search spaces: what they hold, and every mistake named with a way out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.config import Tune
from netvigil.errors import ConfigError
from netvigil.tuning.objectives import GOALS
from netvigil.tuning.spaces import Axis, Range, Space, resolve_space, trials_of

from . import tunable

LOSS, AGREEMENT = GOALS["validation-loss"], GOALS["seed-agreement"]
ENCODER = tunable.load().encoder("learner")


def space(table, goal=AGREEMENT, **settings):
    return resolve_space(Tune(**({"space": table, "sampler": "tpe"} | settings)), ENCODER, goal)


def test_a_name_is_looked_up_with_the_encoder():
    found = space("published", sampler="grid")
    assert found.name == "published"
    assert found.describe() == tunable.SPACE
    assert found.size == 8


def test_lists_hold_any_value_that_toml_can_say():
    values = [1, 2.5, "cosine", True, [1, 2], {"kl": 0.1}]
    assert space({"encoder.x": values}).describe() == {"encoder.x": values}


def test_toml_nests_keys_without_quotes():
    nested = {"encoder": {"layers": [1, 2], "rate": {"low": 0.1, "high": 0.2}}}
    found = space(nested)
    assert [axis.key for axis in found.axes] == ["encoder.layers", "encoder.rate"]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_points_are_all_points_once(lengths):
    axes = tuple(Axis(f"encoder.a{i}", tuple(range(n))) for i, n in enumerate(lengths))
    whole = Space("s", axes)
    points = [json.dumps(whole.point(i)) for i in range(whole.size)]
    assert len(set(points)) == len(points)
    examples = [json.dumps(p) for p in whole.examples(1_000)]
    assert examples == points


def test_examples_of_a_large_space_are_few_and_inside():
    axes = (Axis("encoder.a", tuple(range(100))), Axis("encoder.b", range=Range(low=0, high=9)))
    found = list(Space("s", axes).examples(20))
    assert len(found) == 20
    assert all(p["encoder.a"] in range(100) and p["encoder.b"] in {0, 9} for p in found)


@pytest.mark.parametrize(
    ("values", "whole", "top"),
    [
        ({"low": 1, "high": 8}, True, 8),
        ({"low": 1, "high": 8.0}, False, 8),
        ({"low": 1.0, "high": 8.0, "int": True}, True, 8),
        ({"low": 0, "high": 10, "step": 4}, True, 8),
        ({"low": 0.0, "high": 0.3, "step": 0.1}, False, pytest.approx(0.3)),
        ({"low": 1e-4, "high": 1e-2, "log": True}, False, 1e-2),
    ],
)
def test_ranges(values, whole, top):
    found = Range.model_validate(values)
    assert found.whole is whole
    assert found.top == top


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("publshed", ["publishes no search space 'publshed'", "published, wide", "Did you mean"]),
        ({"graph.window_s": [60]}, ["cannot vary 'graph.window_s'", "prepared once", "per value"]),
        ({"split.train": [0.5]}, ["cannot vary 'split.train'", "prepared once"]),
        ({"encodr.shift": [1]}, ["cannot vary 'encodr.shift'", "Did you mean 'encoder'?"]),
        ({"run.seeds": [1]}, ["cannot vary 'run.seeds'", "[encoder] and [scorer]"]),
        ({"encoder": [1]}, ["cannot vary 'encoder'", "write 'encoder.layers'"]),
        ({"encoder.shift": []}, ["'encoder.shift' needs a list", "low ="]),
        ({"encoder.shift": [0.1, 0.1]}, ["lists a value twice"]),
        ({"encoder.shift": [None]}, ["lists null"]),
        ({"encoder.shift": [float("nan")]}, ["JSON cannot say"]),
        ({"encoder.shift": {"low": 2, "high": 1}}, ["low must be less than high", "encoder.shift"]),
        ({"encoder.shift": {"low": 1, "high": 2, "lg": 1}}, ["'lg'", "Did you mean 'log'?"]),
        ({"encoder.shift": {"low": 0, "high": 2, "log": True}}, ["log needs a low above 0"]),
        ({"encoder.shift": {"low": 0, "high": 2, "step": 0.5, "int": True}}, ["whole step"]),
        ({"scorer.w": [{"a": 1}], "scorer.w.a": [1]}, ["'scorer.w.a' lies inside 'scorer.w'"]),
        ({}, ["cannot judge an empty space"]),
    ],
)
def test_mistakes_are_named(table, words):
    with pytest.raises(ConfigError) as caught:
        space(table)
    for word in words:
        assert word in str(caught.value)


def test_a_loss_judges_no_scorer_and_no_objective_a_threshold():
    with pytest.raises(ConfigError, match=r"cannot judge scorer\.noise") as caught:
        space({"scorer.noise": [1, 2]}, LOSS)
    assert "before any scorer or threshold" in str(caught.value)
    with pytest.raises(ConfigError, match="which no threshold changes"):
        space("cuts", AGREEMENT)
    assert space("wide", LOSS).idle == ("scorer.noise", "threshold.keep")
    assert space("wide", AGREEMENT).idle == ("threshold.keep",)


def test_a_grid_takes_no_range():
    with pytest.raises(ConfigError, match=r"every point of a range: encoder\.shift"):
        space({"encoder.shift": {"low": 0.0, "high": 1.0}}, sampler="grid")


@pytest.mark.parametrize(
    ("sampler", "trials", "expected"),
    [("grid", None, 8), ("grid", 3, 3), ("grid", 99, 8), ("tpe", None, 8), ("tpe", 99, 99)],
)
def test_how_many_trials(sampler, trials, expected):
    settings = Tune(sampler=sampler, trials=trials)
    assert trials_of(settings, resolve_space(settings, ENCODER, LOSS)) == expected


def test_a_range_needs_a_number_of_trials():
    settings = Tune(space={"encoder.shift": {"low": 0.0, "high": 1.0}}, sampler="random")
    with pytest.raises(ConfigError, match="--trials 50"):
        trials_of(settings, resolve_space(settings, ENCODER, LOSS))
