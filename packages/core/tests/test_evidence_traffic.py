"""Edges, samples and what is usual: held against loops in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from netvigil.baselines import pair_keys
from netvigil.contracts import FlowTable
from netvigil.evidence import details, sample, traffic
from netvigil.evidence.curves import TestTruth
from netvigil.features import FeatureContract, extract
from netvigil.truth import ATTACK, BENIGN

from . import fakes

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


def flows(count: int = 400, *, seed: int = 0) -> FlowTable:
    return fakes.make_flows(fakes.traffic(count, seed=seed))


def facts_of(table: FlowTable, *, seed: int = 0, bins: int = 5) -> traffic.FlowFacts:
    rng = np.random.default_rng(seed)
    attack = np.array([ip == "203.0.113.9" for ip in table.table["src_ip"].to_pylist()])
    truth = TestTruth(
        np.where(attack, ATTACK, BENIGN).astype(np.int8),
        np.where(attack, rng.integers(0, 2, len(table)), -1).astype(np.int32),
        ("scan", "flood"),
    )
    score = rng.normal(size=len(table)) + 3 * attack
    return traffic.FlowFacts(
        bin=(np.arange(len(table)) * bins // len(table)).astype(np.int32),
        score=score,
        alert=score > 2,
        attack=truth.words(),
        is_attack=attack,
    )


def by_loop(table: FlowTable, facts: traffic.FlowFacts) -> dict[tuple[int, str, str], dict]:
    """Sum up as someone without arrays would."""
    edges: dict = defaultdict(
        lambda: {
            "flows": 0,
            "bytes": 0,
            "alerts": 0,
            "attacks": 0,
            "score": -np.inf,
            "services": Counter(),
            "attack": Counter(),
        }
    )
    for row, line in enumerate(table.table.to_pylist()):
        edge = edges[int(facts.bin[row]), line["src_ip"], line["dst_ip"]]
        edge["flows"] += 1
        edge["bytes"] += (line["fwd_bytes"] or 0) + (line["bwd_bytes"] or 0)
        edge["alerts"] += bool(facts.alert[row])
        edge["attacks"] += bool(facts.is_attack[row])
        edge["score"] = max(edge["score"], facts.score[row])
        edge["services"][f"tcp/{line['dst_port']}"] += 1
        edge["attack"][facts.attack[row].as_py()] += 1
    return edges


class TestTraffic:
    @pytest.mark.parametrize("batch", [400, 7])
    def test_it_sums_up_what_a_loop_does(self, batch):
        table = flows()
        facts = facts_of(table)
        made = traffic.traffic(
            lambda: (table.slice(k, batch) for k in range(0, len(table), batch)), facts
        )
        expected = by_loop(table, facts)
        found = [edge for edge in made.edges.to_pylist() if edge["bin"] >= 0]
        assert len(found) == len(expected)
        for edge in found:
            wanted = expected[edge["bin"], edge["src"], edge["dst"]]
            for name in ("flows", "bytes", "alerts", "attacks", "score"):
                assert edge[name] == pytest.approx(wanted[name]), name
            said = dict(
                word.split(" \N{MULTIPLICATION SIGN}") for word in edge["services"].split(", ")
            )
            assert {k: int(v) for k, v in said.items()}.items() <= wanted["services"].items()
            assert wanted["attack"][edge["attack"]] == max(wanted["attack"].values())
        assert (made.bins_drawn, made.pairs_left_out) == (5, 0)

    def test_a_small_whole_is_a_graph_of_its_own(self):
        table = flows()
        made = traffic.traffic(lambda: [table], facts_of(table)).edges.to_pandas()
        whole = made[made["bin"] == traffic.WHOLE]
        assert whole["flows"].sum() == len(table)
        assert not whole.duplicated(["src", "dst"]).any()

    def test_crowded_bins_keep_the_pairs_with_alerts(self, monkeypatch):
        monkeypatch.setattr(traffic, "EDGES_OF_BIN", 3)
        table = flows()
        facts = facts_of(table)
        made = traffic.traffic(lambda: [table], facts)
        frame = made.edges.to_pandas()
        assert frame.groupby("bin").size().max() == 3
        assert made.pairs_left_out == len(by_loop(table, facts)) - len(frame)
        loudest = max(by_loop(table, facts).items(), key=lambda item: item[1]["alerts"])
        assert ((frame["bin"] == loudest[0][0]) & (frame["src"] == loudest[0][1])).any()

    def test_a_page_has_room_for_some_bins_only(self, monkeypatch):
        monkeypatch.setattr(traffic, "EDGES", 60)
        monkeypatch.setattr(traffic, "EDGES_OF_BIN", 10)
        table = flows(2_000)
        facts = facts_of(table, bins=40)
        made = traffic.traffic(lambda: [table], facts)
        assert made.edges.num_rows <= 60
        assert 2 <= made.bins_drawn < 40
        kept = set(made.edges["bin"].to_pylist())
        loud = Counter(facts.bin[facts.alert | facts.is_attack].tolist())
        assert loud.most_common(1)[0][0] in kept

    def test_there_is_none_without_addresses(self):
        assert traffic.nothing().edges.num_rows == 0


class TestSample:
    @pytest.mark.parametrize(("attacks", "others"), [(5, 10), (5_000, 3), (3_000, 9_000), (0, 50)])
    def test_it_is_bounded_and_rare_classes_come_first(self, attacks, others):
        attack = np.zeros(attacks, np.int32)
        attack[:4] = 1
        truth = TestTruth(
            np.array([ATTACK] * attacks + [BENIGN] * others, np.int8),
            np.concatenate([attack, np.full(others, -1, np.int32)]),
            ("common", "rare"),
        )
        rows = sample.draw(truth, seed=0)
        assert len(rows) == min(sample.FLOWS, attacks + others)
        assert (np.diff(rows) > 0).all()
        taken = Counter(truth.words(rows).to_pylist())
        assert taken["rare"] == min(4, attacks)
        assert rows.tolist() == sample.draw(truth, seed=0).tolist()


class TestUsual:
    CONTRACT = FeatureContract(("fwd_bytes", "x_a"), ())

    def test_it_is_the_mean_over_the_pair(self):
        train, alerts = flows(60), flows(40, seed=1)
        made = details.usual(
            [train.slice(0, 23), train.slice(23)], self.CONTRACT, pair_keys(alerts)
        )
        keys, x = pair_keys(train), extract(train, self.CONTRACT).x.astype(float)
        assert made.of_all == pytest.approx(x.mean(axis=0), rel=1e-5)
        for row, key in enumerate(pair_keys(alerts)):
            own = keys == key
            assert made.flows[row] == own.sum()
            if own.any():
                assert made.of_pair[row] == pytest.approx(x[own].mean(axis=0), rel=1e-5)
            else:
                assert np.isnan(made.of_pair[row]).all()
        assert (made.flows == 0).any()
        assert (made.flows > 0).any()
