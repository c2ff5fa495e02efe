"""The gate's way of working, its processes replaced by figures that a test writes down."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from netvigil.bench import gate, orders, page, rules, shown
from netvigil.bench.sides import Side, side_of
from netvigil.errors import ConfigError, RunError

BASE, HEAD = (Side(name, Path(sys.executable)) for name in ("base", "head"))
PLAN = gate.Plan(rounds=4, most=8)


def about(name, **more):
    known = {"package": "acme", "room": "score", "unit": "flows", "flows": 800, "hot": True}
    return {"name": name, **known, **more}


class Processes:
    """Answers orders; `asked` keeps (side, what, cases)."""

    def __init__(self, **cases):
        self.cases, self.asked = cases, []
        self.has = {"base": dict(cases), "head": dict(cases)}

    def ask(self, side, order, limits=None, prefix=()):
        asked = tuple(order.get("cases") or ())
        self.asked.append((side.name, order["what"], asked))
        has = self.has[side.name]
        if order["what"] == "list":
            return {name: about(name, **case.get("about", {})) for name, case in has.items()}
        return {n: about(n) | self.answer(side.name, n, order["what"]) for n in asked}

    def answer(self, side, name, what):
        case = self.has[side][name]
        head = side == "head"
        if "error" in case and head:
            return {"error": case["error"]}
        if what == "objects":
            return {"objects": case.get("objects", 0.0) * head, "steps": 0.0}
        if what == "growth":
            power = case.get("power", 1.0) if head else 1.0
            return {"growth": [[n, n**power] for n in (100, 200, 400, 800)]}
        times = case.get("times")
        rounds = sum(1 for s, w, c in self.asked if (s, w) == (side, "time") and name in c) - 1
        second = times[rounds % len(times)] if times and head else case.get("ratio", 1.0)
        peak = case.get("peak", 1.0) if head else 1.0
        return {"items": 800, "seconds": [second if head else 1.0], "peak_mb": 100 * peak}


@pytest.fixture
def compare(monkeypatch):
    def run(processes, plan=PLAN):
        monkeypatch.setattr(orders, "ask", processes.ask)
        monkeypatch.setattr(orders, "modules_of_help", lambda _: 100)
        return gate.compare(BASE, HEAD, plan)

    return run


def test_equal_sides_pass_and_nothing_is_run_again(compare):
    processes = Processes(a={}, b={})
    outcome = compare(processes)
    assert not outcome.failed
    assert [case.facts.verdict for case in outcome.cases] == ["same", "same"]
    order = "".join(side[0] for side, what, _ in processes.asked if what == "time")
    assert order == "bhhbbhhb"


def test_what_is_slower_is_confirmed_and_fails(compare):
    processes = Processes(a={"ratio": 1.3}, b={})
    outcome = compare(processes)
    slow, same = outcome.cases
    assert outcome.failed
    assert slow.facts.change.rounds == 8
    assert same.facts.change.rounds == 4
    assert slow.reasons[0].startswith("slower: 1.30x")
    assert not same.reasons


def test_only_what_is_unsure_runs_again_and_no_more_than_most(compare):
    processes = Processes(a={"times": [1.0, 1.0, 1.3, 1.3]}, b={})
    outcome = compare(processes, replace(PLAN, most=12))
    assert [case.facts.change.rounds for case in outcome.cases] == [12, 4]
    assert not outcome.failed
    assert "unsure" in outcome.cases[0].remarks[0]


def test_a_faster_case_is_said_and_passes(compare):
    outcome = compare(Processes(a={"ratio": 0.5}))
    assert not outcome.failed
    assert "Faster: a." in shown.headline(outcome)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"peak": 2.0}, "heavier: 100 MB before, 200 MB now"),
        ({"power": 2.0}, "grows: time like n^2.00, before n^1.00"),
        ({"objects": 1.0}, "Python objects per flow: 1.00, before 0.00"),
        ({"error": "ValueError: no"}, "fails: ValueError: no"),
    ],
)
def test_other_ways_to_become_worse_fail(compare, case, reason):
    outcome = compare(Processes(a=case))
    assert outcome.failed
    assert outcome.cases[0].reasons == (reason,)


def test_objects_are_a_matter_of_hot_paths_only(compare):
    assert not compare(Processes(a={"objects": 1.0, "about": {"hot": False}})).failed


def test_growth_is_looked_at_three_times_before_it_fails(compare):
    processes = Processes(a={"power": 2.0}, b={})
    compare(processes)
    looks = [cases for side, what, cases in processes.asked if (side, what) == ("head", "growth")]
    assert looks == [("a", "b"), ("a",), ("a",)]
    looks = [cases for side, what, cases in processes.asked if (side, what) == ("base", "growth")]
    assert looks == [("a",)] * 3


def test_what_is_clean_on_head_is_not_counted_on_base(compare):
    processes = Processes(a={}, b={"objects": 1.0})
    compare(processes)
    looks = [(side, cases) for side, what, cases in processes.asked if what == "objects"]
    assert looks == [("head", ("a", "b")), ("base", ("b",))]


def test_cases_of_one_side_only_are_named(compare):
    processes = Processes(a={}, new={}, gone={})
    del processes.has["base"]["new"], processes.has["head"]["gone"]
    outcome = compare(processes)
    assert [case.name for case in outcome.cases] == ["a"]
    assert outcome.notes == ("New in head: new.", "No longer in head: gone.")


def test_nothing_in_common_is_refused(compare):
    processes = Processes(a={}, b={})
    del processes.has["base"]["a"], processes.has["head"]["b"]
    with pytest.raises(ConfigError, match="no case in common"):
        compare(processes)


def test_an_unknown_case_or_package_is_refused_with_the_nearest(compare):
    with pytest.raises(ConfigError, match="alpha"):
        compare(Processes(alpha={}), gate.Plan(cases=("alpah",)))
    with pytest.raises(ConfigError, match="acme"):
        compare(Processes(a={}), gate.Plan(packages=("acne",)))


def test_when_time_is_over_nothing_optional_begins(compare):
    processes = Processes(a={"ratio": 1.3})
    outcome = compare(processes, replace(PLAN, within_s=-1.0))
    assert {what for _, what, _ in processes.asked} == {"list", "time"}
    assert outcome.cases[0].facts.change.rounds == 4
    assert outcome.notes == ("No time was left for: growth.", "No time was left for: objects.")


def test_more_modules_fail():
    assert list(rules.modules(100, 121)) == ["netvigil --help imports 121 modules, before 100"]
    assert not list(rules.modules(100, 119))
    assert not list(rules.modules(None, 500))


def test_a_peak_counts_only_beyond_every_round_of_base():
    assert not rules.heavier([100, 170], [200, 210])
    assert rules.heavier([100, 110], [200, 210])
    assert not rules.heavier([1, 1], [10, 10])  # MB that nobody misses
    assert not rules.heavier([math.nan], [500])


def test_reports_hold_every_case_and_escape_hostile_names(compare):
    outcome = compare(Processes(a={"ratio": 1.3}, b={}))
    outcome = replace(outcome, head=Side("<b>|`x", Path(sys.executable)))
    text, html = shown.markdown(outcome), page.to_html(outcome)
    assert "| a |" in text
    assert "| b |" in text
    assert "<b>" not in text
    assert "<b>|" not in html
    assert "&lt;b&gt;" in html
    values = json.loads(json.dumps(shown.as_dict(outcome), default=str))
    assert values["failed"]
    assert [case["name"] for case in values["cases"]] == ["a", "b"]


def test_a_side_is_a_python_a_checkout_or_a_revision(tmp_path):
    found = side_of(sys.executable, repository=tmp_path, scratch=tmp_path / "s")
    assert found.python == Path(sys.executable)
    with pytest.raises(ConfigError, match="no git revision"):
        side_of("--upload-pack=x", repository=tmp_path, scratch=tmp_path / "s")


def test_the_environment_of_a_side_is_not_ours(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    found = Side("x", Path(sys.executable), variables={"A": "1"}).environment(threads=1)
    assert "PYTHONPATH" not in found
    assert "VIRTUAL_ENV" not in found
    assert (found["OMP_NUM_THREADS"], found["PYTHONHASHSEED"], found["A"]) == ("1", "0", "1")


def test_a_python_without_netvigil_is_said(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no netvigil here >&2\nexit 3\n")
    script.chmod(0o755)
    with pytest.raises(RunError, match="no netvigil here"):
        orders.listed(Side("old", script))
