"""What one process measures of a case, and what is made of it."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from netvigil import parts
from netvigil.bench import history, machine, table, worker
from netvigil.bench.limits import KINDS, Limit, Needs
from netvigil.cli import cli
from netvigil.errors import ConfigError, PluginError, SourceError

ORDER = {"flows": 1_000, "seed": 0, "device": "cpu", "seconds": 0.0, "traced_flows": 1_000}
RATES = machine.Rates(
    bandwidth=1e9,
    bandwidth_of_one=1e9,
    operations=1e9,
    lookups=1e8,
    matched=1e7,
    sorted=2e7,
    logarithms=4e7,
    drawn=5e7,
    decoded=8e8,
    steps=1e6,
    threads=1,
)


class Adding:
    """Adds random numbers up, in a way that the test chooses."""

    def __init__(self, way):
        self.way = way

    def setup(self, flows, *, seed):
        return np.random.default_rng(seed).random(flows)

    def run(self, prepared):
        self.way(prepared)
        return len(prepared)

    def needs(self, prepared):
        return Needs(moved=prepared.nbytes, operations=len(prepared))


def part(way=np.sum, **more):
    return parts.Benchmark(name="adding", summary="Adds.", make=lambda _: Adding(way), **more)


def kept(x):
    numbers = x.tolist()
    return sum(numbers)


def looped(x):
    total = 0.0
    for value in x:
        total += value
    return total


def cleared(x):
    return [float(value) for value in x]


@pytest.mark.parametrize("way", [np.sum, lambda x: np.sort(x).cumsum()])
def test_arrays_cost_no_python_object_per_flow(way):
    found = worker.measured(part(way), {**ORDER, "what": "objects"})
    assert abs(found["objects"]) < 0.01
    assert abs(found["steps"]) < 0.01


@pytest.mark.parametrize("way", [kept, cleared])
def test_a_list_of_flows_shows_among_the_objects(way):
    assert worker.measured(part(way), {**ORDER, "what": "objects"})["objects"] > 0.9


def test_a_loop_over_flows_shows_among_the_steps():
    assert worker.measured(part(looped), {**ORDER, "what": "objects"})["steps"] > 0.9


def test_growth_is_measured_at_four_sizes():
    found = worker.measured(part(), {**ORDER, "what": "growth"})["growth"]
    assert [items for items, _ in found] == [125, 250, 500, 1_000]
    assert all(seconds > 0 for _, seconds in found)


def test_time_has_items_seconds_peak_and_needs():
    found = worker.measured(part(), {**ORDER, "what": "time"})
    assert found["items"] == 1_000
    assert len(found["seconds"]) >= worker.AT_LEAST
    assert Needs(**found["needs"]) == Needs(moved=8_000, operations=1_000)


def test_a_peak_shows_what_a_call_holds():
    if not worker.RESET.exists():
        pytest.skip("needs the high-water mark that only Linux keeps")
    assert 90 < worker.peak_mb(partial(np.ones, 16_000_000)) < 170


def test_a_case_on_a_device_is_made_for_it():
    seen = []

    def make(config):
        seen.append(config.device)
        return Adding(np.sum)

    made = parts.Benchmark(name="on", summary="On.", make=make, config=parts.OnDevice)
    worker.measured(made, {**ORDER, "what": "time", "device": "cuda:1"})
    assert seen == ["cuda:1"]
    assert worker.described("acme", made)["devices"]
    assert not worker.described("acme", part())["devices"]


def test_rows_tell_rate_limit_and_what_failed():
    def broken(_):
        msg = "no"
        raise ValueError(msg)

    rows = list(
        table.rows([("acme", part()), ("acme", part(broken))], at=(500,), seconds=0, rates=RATES)
    )
    good, bad = rows
    assert good["rate"] > 0
    assert good["least_seconds"] == pytest.approx(max(500 * 8 / 1e9, 500 / 1e9))
    assert good["bound"] == "memory"
    assert bad["error"] == "ValueError: no"
    assert "ValueError: no" in table.markdown(rows)


@pytest.mark.parametrize(
    ("needs", "seconds", "bound"),
    [
        (Needs(moved=2e9, operations=1e9), 2.0, "memory"),
        (Needs(moved=1e9, operations=2e9), 2.0, "arithmetic"),
        # Kinds of computing add up, each at its own rate; memory moves meanwhile.
        (Needs(moved=5e9, lookups=2e8, matched=4e7), 2 + 4, "matching"),
        (Needs(lookups=3e8, sorted=4e7, drawn=5e7), 3 + 2 + 1, "look-ups"),
        (Needs(moved=1.5e9, operations=1e9, logarithms=4e7, decoded=8e8), 3.0, "arithmetic"),
        (Needs(moved=3.5e9, operations=1e9, logarithms=4e7, decoded=8e8), 3.5, "memory"),
        (Needs(sorted=1e7, decoded=16e8), 2.5, "decoding"),
    ],
    ids=str,
)
def test_a_limit_is_moving_or_all_kinds_of_computing(needs, seconds, bound):
    assert RATES.limit(needs) == Limit(pytest.approx(seconds), bound)


def test_before_a_card_the_slower_of_bus_and_memory_counts():
    card = replace(RATES, bus=4e8)
    assert card.limit(Needs(moved=2e9, operations=1e9)) == Limit(pytest.approx(5.0), "bus")
    assert card.limit(Needs(operations=1e9)) == Limit(1.0, "arithmetic")
    assert replace(RATES, bus=4e9).limit(Needs(moved=2e9)) == Limit(2.0, "memory")


def test_what_looks_on_adds_to_a_row_and_replaces_the_peak():
    def observe(work):
        work()
        return {"busy_s": 0.5, "peak_mb": 7.0}

    found = worker.measured(part(), {**ORDER, "what": "time", "observe": observe})
    assert found["busy_s"] == 0.5
    assert found["peak_mb"] == 7.0


def test_a_table_of_a_card_says_how_busy_it_was(monkeypatch):
    def observed(work, device):
        work()
        assert device == "cuda"
        return {"busy_s": 0.0, "peak_mb": 1.0}

    monkeypatch.setattr(machine, "card", lambda: SimpleNamespace(observed=observed))
    on = parts.Benchmark(
        name="on", summary="On.", make=lambda _: Adding(np.sum), config=parts.OnDevice
    )
    (row,) = table.rows([("acme", on)], at=(500,), seconds=0, rates=RATES, device="cuda")
    assert row["busy"] == 0
    head, _, line = table.markdown([row]).splitlines()
    assert head.endswith("| GPU busy |")
    assert line.endswith("| 0% |")
    assert head.count("|") == line.count("|")


def test_without_pytorch_no_card_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "netvigil.torch.card", None)
    with pytest.raises(PluginError, match="PyTorch, which is not installed"):
        machine.card()


def test_every_need_but_moving_has_a_word_and_a_rate():
    assert {field.name for field in fields(Needs)} == {"moved", *KINDS}
    assert {*KINDS, "bandwidth"} < {field.name for field in fields(machine.Rates)}


def test_cases_that_know_no_device_are_left_out_on_one():
    assert not list(table.rows([("acme", part())], device="cuda"))


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.5k", "10k,,1M", "k"])
def test_a_wrong_size_is_refused(text):
    with pytest.raises(ConfigError, match="no size"):
        table.sizes(text)


def test_the_machine_is_measured():
    rates = machine.rates(threads=1)
    assert rates.bandwidth >= rates.bandwidth_of_one > 1e8
    assert rates.operations > 1e8
    assert all(getattr(rates, kind) > 1e6 for kind in KINDS)
    assert rates.steps > 1e5
    about = machine.fingerprint()
    assert about["id"] == machine.fingerprint()["id"]
    assert about["cores"] >= 1


ROW = {"case": "adding", "unit": "flows", "flows": 1_000, "peak_mb": None}


def test_history_is_appended_read_drawn_and_falls_are_named(tmp_path):
    for number, rate in enumerate([100.0, 101.0, 99.0, 100.0, 60.0]):
        history.append(tmp_path, [{**ROW, "rate": rate}], revision=f"r{number}", rates=RATES)
    entries = history.read(tmp_path)
    assert [entry.rate for entry in entries] == [100.0, 101.0, 99.0, 100.0, 60.0]
    (sentence,) = history.falls(entries)
    assert "adding" in sentence
    assert "r4" in sentence
    text = history.page(entries)
    assert "Lower than just before" in text
    assert "<svg" in text


def test_a_gpu_is_not_compared_with_its_cpu(tmp_path):
    for device, rate in (("cuda", 100.0), ("cpu", 10.0), ("cuda", 99.0)):
        rows = [{**ROW, "rate": rate, "device": device}]
        history.append(tmp_path, rows, revision="", rates=RATES)
    assert history.falls(history.read(tmp_path)) == []


def test_a_hostile_history_is_escaped_or_refused(tmp_path):
    row = {**ROW, "case": "<script>x</script>", "rate": 1.0}
    path = history.append(tmp_path, [row], revision="", rates=RATES)
    assert "<script>x" not in history.page(history.read(tmp_path))
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(SourceError, match="line 2"):
        history.read(tmp_path)
    with pytest.raises(SourceError, match="no history"):
        history.read(tmp_path / "none")


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(worker, "found", lambda package=None: iter([("acme", part())]))
    monkeypatch.setattr(machine, "rates", lambda: RATES)


@pytest.mark.usefixtures("installed")
def test_bench_prints_json_tables_and_history(tmp_path):
    run = partial(CliRunner().invoke, cli)
    rows = json.loads(run(["bench", "--size", "1k,2k", "--seconds", "0", "--json"]).output)["rows"]
    assert [(row["case"], row["flows"]) for row in rows] == [("adding", 1000), ("adding", 2000)]
    assert "| adding |" in run(["bench", "--seconds", "0", "--markdown"]).output
    assert "adding" in run(["bench", "--list"]).output
    done = run(["bench", "--seconds", "0", "--history", str(tmp_path)])
    assert done.exit_code == 0, done.output
    html = tmp_path / "page.html"
    assert run(["bench", "history", str(tmp_path), "--html", str(html)]).exit_code == 0
    assert html.stat().st_size > 5_000
    assert json.loads(run(["bench", "machine", "--json"]).output)["rates"]["threads"] == 1


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("option", ["--package", "--room", "--case"])
def test_what_is_not_there_is_refused(option):
    done = CliRunner().invoke(cli, ["bench", option, "nothing"])
    assert isinstance(done.exception, ConfigError)


def test_floors_that_are_none_are_refused(tmp_path):
    floors = tmp_path / "floors.json"
    floors.write_text("[]")
    done = CliRunner().invoke(cli, ["bench", "compare", "a", "b", "--floors", str(floors)])
    assert isinstance(done.exception, ConfigError)
    assert Path(floors).exists()
