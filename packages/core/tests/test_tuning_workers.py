"""Trials in several processes: the same trials, and no process left behind."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
from contextlib import contextmanager

import pytest

from netvigil.errors import ConfigError, RunError
from netvigil.phases import Phases
from netvigil.tuning.trials import NoLossError
from netvigil.tuning.workers import THREADS, _answer, _thread_limit

from . import fakes
from .tunable import log_lines, search

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

pytest.importorskip("optuna")


@pytest.fixture
def source(tmp_path):
    return fakes.write_csv(tmp_path / "a.csv", fakes.traffic(300))


def points(folder):
    """Return each trial's settings and outcome, in no order."""
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return sorted(
            json.dumps({k: v for k, v in row.items() if k != "seconds"})
            for row in csv.DictReader(file)
        )


class Switch:
    """A display whose user stops the search after some trials."""

    def __init__(self, stop_after):
        self.left = stop_after

    @contextmanager
    def phase(self, name, total):
        def advance(trials):
            self.left -= trials if name == "trials" else 0
            if self.left <= 0:
                raise KeyboardInterrupt

        yield advance


def test_stopped_and_resumed_with_two_workers_is_one_process(source, tmp_path, monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    alone = search(source, tmp_path / "alone")
    with pytest.raises(KeyboardInterrupt):
        search(source, tmp_path / "t", jobs=2, phases=Phases(Switch(3)))
    assert multiprocessing.active_children() == []
    together = search(source, tmp_path / "t", jobs=2, resume=True)
    assert multiprocessing.active_children() == []
    assert together.best == alone.best
    assert points(tmp_path / "t") == points(tmp_path / "alone")
    share = str(max(1, (os.cpu_count() or 1) // 2))
    lines = [line for line in log_lines(tmp_path / "t") if line.get("event") == "epoch"]
    assert {line["threads"] for line in lines} == {share}
    assert not any(name in os.environ for name in THREADS)


def test_a_worker_that_dies_stops_the_search(source, tmp_path):
    with pytest.raises(RunError, match="exit code 3") as caught:
        search(source, tmp_path / "t", jobs=2, encoder={"name": "learner", "dies": True})
    assert "--resume and fewer --jobs" in str(caught.value)
    assert multiprocessing.active_children() == []


class Channel:
    """A worker's answer, without a worker."""

    def __init__(self, *answer):
        self.answer = answer

    def recv_bytes(self):
        return json.dumps(self.answer).encode()


def test_what_a_worker_cannot_settle_is_raised_here():
    told = {"what": "No loss.", "where": "here", "do": "Choose another."}
    with pytest.raises(NoLossError, match="No loss") as caught:
        _answer(Channel("no loss", told), None)
    assert isinstance(caught.value, ConfigError)
    with pytest.raises(RunError, match="ZeroDivisionError"):
        _answer(Channel("bug", {"trace": "ZeroDivisionError: by hand"}), None)


def test_threads_that_the_user_chose_stay(monkeypatch):
    monkeypatch.setenv(THREADS[0], "7")
    monkeypatch.delenv(THREADS[1], raising=False)
    with _thread_limit(2):
        assert (os.environ[THREADS[0]], os.environ[THREADS[1]]) == ("7", "2")
    assert os.environ[THREADS[0]] == "7"
    assert THREADS[1] not in os.environ
