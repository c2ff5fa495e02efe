"""Core's own micro-benchmarks, with nothing but core installed."""

from __future__ import annotations

import pytest

from netvigil import builtins
from netvigil.bench.limits import Bounded, Needs
from netvigil.bench.rooms import EvaluateScores, ReportRun
from netvigil.bench.scratch import Scratch

PARTS = list(builtins.netvigil_benchmarks())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_benchmarks_run(part):
    case = part.make(part.config())
    prepared = case.setup(200 if part.room != "explain" else 10, seed=0)
    items = case.run(prepared)
    assert isinstance(case, Bounded) == (part.name == "evaluate-scores")
    if part.unit != "flows":
        assert items == 1
    elif part.room == "explain":
        assert items == case.run(prepared) > 5, "a case can be run again"
    else:
        assert items == case.run(prepared) == 200


def test_each_of_cores_rooms_has_a_case():
    rooms = {part.room for part in PARTS}
    assert rooms == {"evaluate", "explain", "audit", "report", "start"}
    assert {part.name for part in PARTS if part.hot} == {"evaluate-scores"}


def test_scores_need_twice_as_much_for_twice_the_flows():
    case = EvaluateScores()
    for flows in (1_000, 2_000):
        # 8 bytes of score and 1 of truth, read and written; 20 resamples.
        assert case.needs(case.setup(flows, seed=0)) == Needs(
            moved=2 * 9 * flows, sorted=flows, drawn=20 * flows, lookups=20 * flows
        )


def test_a_finished_run_goes_when_nobody_holds_it():
    prepared = ReportRun().setup(300, seed=0)
    run = prepared.run
    assert {"evidence", "receipt.json"} <= {path.name for path in run.iterdir()}
    del prepared
    assert not run.exists()


def test_scratch_folders_differ():
    first, second = Scratch(), Scratch()
    assert first.path != second.path
    assert first.path.is_dir()
