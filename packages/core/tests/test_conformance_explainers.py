"""The checks of explainers: core's own pass all, each check catches the fault it is for."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from netvigil import builtins, parts
from netvigil.contracts import Contribution, Explanation
from netvigil.testing.conformance import RuleBroken, check_explainer, checks_for

OWN = [
    pytest.param(
        part,
        id=part.name,
        marks=pytest.mark.skipif(
            part.name == "shap" and find_spec("shap") is None, reason="needs netvigil[shap]"
        ),
    )
    for part in builtins.netvigil_explainers()
]


class First:
    """Says that the first feature is all there is to it."""

    def __init__(self, config):
        self.config = config

    def check(self, scoring, windows):
        pass

    def explain(self, scoring, windows, rows):
        found = []
        for row in rows.tolist():
            found.append(self.one(scoring, windows, row))
            scoring.advance(1)
        return found

    def one(self, scoring, windows, row):
        amount = float(scoring.score(windows)[row])
        return Explanation((Contribution("feature", amount, name="x_0"),))


class LosesOne(First):
    def explain(self, scoring, windows, rows):
        return super().explain(scoring, windows, rows)[1:]


class CountsNothing(First):
    def explain(self, scoring, windows, rows):
        return super().explain(replace(scoring, advance=lambda _: None), windows, rows)


class LooksAside(First):
    def explain(self, scoring, windows, rows):
        found = super().explain(scoring, windows, rows)
        return [Explanation((replace(e.contributions[0], amount=float(len(rows))),)) for e in found]


class InventsAFeature(First):
    def one(self, scoring, windows, row):
        return Explanation((Contribution("feature", 1.0, name="x_9"),))


class NamesItself(First):
    def one(self, scoring, windows, row):
        return Explanation((Contribution("flow", 1.0, rows=np.array([row])),))


class Wanders(First):
    def one(self, scoring, windows, row):
        self.config = float(np.random.default_rng().random())
        return Explanation((Contribution("feature", self.config, name="x_0"),))


class Scribbles(First):
    def one(self, scoring, windows, row):
        windows.flow_x[row] = 0
        return super().one(scoring, windows, row)


class RefusesInItsOwnWords(First):
    def check(self, scoring, windows):
        raise KeyError(windows.schema)


class AcceptsAndFails(First):
    def explain(self, scoring, windows, rows):
        return super().explain(scoring, windows, rows) if windows.has_nodes else []


BROKEN = [
    (LosesOne, "one-explanation-per-flow"),
    (CountsNothing, "one-explanation-per-flow"),
    (LooksAside, "one-explanation-per-flow"),
    (InventsAFeature, "names-what-exists"),
    (NamesItself, "names-what-exists"),
    (Wanders, "twice-gives-the-same"),
    (Scribbles, "inputs-are-unchanged"),
    (RefusesInItsOwnWords, "what-it-cannot-explain-is-refused"),
    (AcceptsAndFails, "what-it-cannot-explain-is-refused"),
]


def part_of(made):
    return parts.Explainer(name="fake", summary="A fake explainer.", make=made)


@pytest.mark.parametrize("part", OWN)
def test_our_own_pass(part):
    check_explainer(part)


def test_a_sound_one_passes():
    check_explainer(part_of(First))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    check = next(check for check in checks_for(part) if check.id == name)
    with pytest.raises(RuleBroken, match="explainer 'fake'"):
        check(part)


def test_every_check_has_a_fault_it_catches():
    assert {check.id for check in checks_for(part_of(First))} == {name for _, name in BROKEN}
