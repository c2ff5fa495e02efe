"""Real attacks, explained: what is named is what a person would name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from netvigil.explaining.results import ExplainedFlow, Explanations, Told

from .commands import experiment, netvigil

ATTACKER = "198.18.134.99"
AUTOGRAPHAD: dict[str, dict[str, Any]] = {
    "train": {"drop_attacks": True},
    "encoder": {"name": "autographad", "epochs": 40, "device": "cpu"},
    "scorer": {"name": "weighted-terms"},
    "threshold": {"name": "quantile", "keep": 0.02},
}


def explained(run: Path, source: Path, attack: str) -> ExplainedFlow:
    """Explain the highest alert of an attack."""
    alerts = pq.read_table(run / "evidence" / "alerts.parquet").to_pylist()
    highest = max((a for a in alerts if a["attack"] == attack), key=lambda a: a["score"])
    out = run.parent / f"{attack}.json"
    netvigil("explain", run, "--source", source, "--flow", highest["flow_id"], "--out", out)
    found = Explanations.load(out)
    assert found is not None
    return found.flows[0]


def told(flow: ExplainedFlow) -> tuple[Told, Told]:
    features, neighbours = flow.told
    return features, neighbours


def leading(features: Told) -> list[str]:
    """Return the words of the features a reader is shown."""
    return [part.words for part in features.features[:5]]


@pytest.fixture(scope="module")
def records(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on flow records without ports, and its source."""
    folder = tmp_path_factory.mktemp("records")
    source = data / "westermo" / "flows_bottom.csv.gz"
    graph = {"builder": "flow-host"}
    file = experiment(folder / "e.toml", source, graph=graph, **AUTOGRAPHAD)
    netvigil("run", file, "--out", folder / "run", "--no-report")
    return folder / "run", source


def test_an_ssh_brute_force_is_many_answered_flows_between_two_hosts(
    records: tuple[Path, Path],
) -> None:
    flow = explained(*records, "ssh")
    features, neighbours = told(flow)
    assert {flow.src, flow.dst} >= {ATTACKER}
    pair = next(part for part in neighbours.neighbours if part.kind == "pair")
    assert pair.amount > 0
    assert pair.flows > 50
    assert ATTACKER in pair.words
    assert "TCP" in pair.words
    for check in (features.check, neighbours.check):
        assert check is not None
        assert check.named > check.random


def test_a_port_scan_is_nothing_but_syn_packets_without_payload(
    records: tuple[Path, Path],
) -> None:
    flow = explained(*records, "portscan2")
    features, _ = told(flow)
    assert {flow.src, flow.dst} >= {ATTACKER}
    words = leading(features)
    assert any(word.startswith(("x_ssynrate is 1;", "x_rsynrate is 0.9")) for word in words), words
    assert features.check is not None
    assert features.check.named > features.check.random


@pytest.mark.pcap
def test_a_port_scan_in_a_capture_is_one_host_many_ports_and_no_answer(
    data: Path, tmp_path: Path
) -> None:
    source = data / "westermo" / "right.pcap"
    labels = {"labeller": "events", "truth": str(data / "westermo" / "events.txt")}
    sections: dict[str, dict[str, Any]] = {
        "labels": labels,
        "split": {"axis": "flows", "train": 0.5},
        "graph": {"builder": "flow-host", "window_s": 60},
    }
    file = experiment(tmp_path / "e.toml", source, **AUTOGRAPHAD, **sections)
    netvigil("run", file, "--out", tmp_path / "run", "--no-report")
    flow = explained(tmp_path / "run", source, "portscan2")
    assert flow.src == ATTACKER
    _, neighbours = told(flow)
    around = max(neighbours.neighbours, key=lambda part: part.flows)
    assert around.flows > 100
    assert ATTACKER in around.words
    assert " ports, median 1 packet" in around.words
    assert "9" in around.words.split("% unanswered")[0][-2:]
