"""Phases: times add up by name, the display hears of every flow, the log has a line each."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from netvigil.phases import Phases


class Seen:
    def __init__(self):
        self.heard = []

    @contextmanager
    def phase(self, name, total):
        self.heard.append(("begin", name, total))
        yield lambda flows: self.heard.append(("advance", name, flows))
        self.heard.append(("end", name))


def test_flows_and_seconds_add_up_by_name(tmp_path):
    seen = Seen()
    phases = Phases(seen, log=tmp_path / "log.jsonl")
    for flows in (3, 4):
        with phases.phase("score", 10) as advance:
            advance(flows)
    with phases.phase("evaluate"):
        pass
    assert seen.heard == [
        ("begin", "score", 10),
        ("advance", "score", 3),
        ("end", "score"),
        ("begin", "score", 10),
        ("advance", "score", 4),
        ("end", "score"),
        ("begin", "evaluate", None),
        ("end", "evaluate"),
    ]
    summary = phases.summary()
    assert summary["score"]["flows"] == 7
    assert summary["score"]["flows_per_s"] == pytest.approx(7 / phases.seconds["score"], rel=0.01)
    assert summary["evaluate"]["flows_per_s"] is None
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["flows"]) for line in lines] == [
        ("score", 3),
        ("score", 4),
        ("evaluate", 0),
    ]


def test_a_phase_that_fails_is_not_counted(tmp_path):
    phases = Phases(log=tmp_path / "log.jsonl")

    def fail():
        with phases.phase("read") as advance:
            advance(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert phases.summary() == {}
    assert not (tmp_path / "log.jsonl").exists()
