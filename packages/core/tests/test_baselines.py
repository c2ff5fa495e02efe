from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.baselines import ALL_BENIGN, NAMES, TrainCounts, pair_keys, service_keys
from netvigil.contracts import FlowInfo, FlowTable
from netvigil.contracts.flows import CANONICAL, TEXT, TIMESTAMP
from netvigil.errors import NotFittedError
from netvigil.evaluation import Ranking, auprc, auroc, tpr_at_fpr

DATA = Path(os.environ.get("NETVIGIL_DATA", Path(__file__).parents[4] / "shared" / "data"))


def flow_table(src, dst, dport=None, protocol=None, start=None):
    n = len(src)
    columns = {name: pa.nulls(n, kind) for name, kind in CANONICAL.items()}
    start = pa.array(np.arange(n) if start is None else start, pa.int64()).cast(TIMESTAMP)
    columns |= {"flow_id": pa.array(np.arange(n)), "start": start, "end": start}
    columns |= {"src_ip": pa.array(src, pa.string()).cast(TEXT)}
    columns |= {"dst_ip": pa.array(dst, pa.string()).cast(TEXT)}
    if dport is not None:
        columns["dst_port"] = pa.array(dport, pa.uint16())
    if protocol is not None:
        columns["protocol"] = pa.array(protocol, pa.uint8())
    return FlowTable(pa.table(columns), FlowInfo("test"))


hosts = st.sampled_from(["a", "b", "c", None])
rows = st.lists(st.tuples(hosts, hosts, st.sampled_from([53, 80, None])), min_size=1, max_size=40)


def table(drawn):
    src, dst, port = zip(*drawn, strict=True)
    return flow_table(src, dst, port, [6] * len(src))


class TestByHand:
    train = flow_table("aaab", "xxyx", [80, 80, 80, 53], [6, 6, 6, 17])
    test = flow_table("aabc", "xyyx", [80, 53, 53, 80], [6, 6, 17, 6])

    def test_scores(self):
        found = TrainCounts().update(self.train).scores(self.test)
        assert tuple(found) == NAMES
        assert found["source-novelty"].tolist() == [0, 0, 0, 1]
        assert found["pair-novelty"].tolist() == [0, 0, 1, 1]
        assert found["pair-port-novelty"].tolist() == [0, 1, 1, 1]
        assert found["source-rarity"] == pytest.approx(-np.log([4, 4, 2, 1]))
        assert found["pair-rarity"] == pytest.approx(-np.log([3, 2, 1, 1]))
        assert found["pair-port-rarity"] == pytest.approx(-np.log([3, 1, 1, 1]))
        assert found[ALL_BENIGN].tolist() == [0, 0, 0, 0]

    def test_direction_matters(self):
        found = TrainCounts().update(self.train).novelty(flow_table("x", "a"))
        assert found["pair-novelty"].tolist() == [1]

    def test_novelty_and_rarity_are_parts_of_scores(self):
        counts = TrainCounts().update(self.train)
        parts = counts.novelty(self.test) | counts.rarity(self.test)
        whole = counts.scores(self.test)
        assert set(parts) == set(whole) - {ALL_BENIGN}
        assert all(np.array_equal(parts[name], whole[name]) for name in parts)

    def test_sentences_say_the_gravest_thing_once(self):
        found = TrainCounts().update(self.train).unseen(self.test)
        told = np.stack(list(found.values()))
        assert told.sum(axis=0).tolist() == [0, 1, 1, 1]
        assert [s for s, new in found.items() if new[3]] == [
            "the training traffic never had this source"
        ]


def test_a_missing_port_is_no_port():
    keys = service_keys(flow_table("aaa", "bbb", [None, 0, 65535], [6, 6, None]))
    assert len(set(keys.tolist())) == 3


@settings(deadline=None, max_examples=25)
@given(rows, rows.map(lambda drawn: drawn[:6]), st.integers(1, 7))
def test_batches_do_not_matter(train, test, size):
    whole = TrainCounts().update(table(train))
    pieces = TrainCounts()
    for first in range(0, len(train), size):
        pieces.update(table(train[first : first + size]))
    one, other = whole.scores(table(test)), pieces.scores(table(test))
    assert one.keys() == other.keys()
    for name, scores in one.items():
        assert np.array_equal(scores, other[name])
    # nor does a flow's company in the test range
    for name, score in pieces.scores(table(test[-1:])).items():
        assert score[0] == one[name][-1]


@settings(deadline=None, max_examples=60)
@given(rows, rows)
def test_counts_are_those_of_a_dictionary(train, test):
    counts = TrainCounts().update(table(train))
    if counts.absent:
        return
    seen = {}
    for src, dst, _ in train:
        seen[src, dst] = seen.get((src, dst), 0) + 1
    wanted = [-np.log1p(seen.get((src, dst), 0)) for src, dst, _ in test]
    assert counts.rarity(table(test))["pair-rarity"] == pytest.approx(np.array(wanted))


def test_state_goes_through_a_bundle():
    counts = TrainCounts().update(TestByHand.train)
    again = TrainCounts().set_state(counts.get_state())
    one, other = counts.scores(TestByHand.test), again.scores(TestByHand.test)
    assert all(np.array_equal(one[name], other[name]) for name in NAMES)
    assert again.flows_ == 4


def test_without_addresses_they_are_absent_with_the_reason():
    nowhere = flow_table([None, None], [None, None], [80, 80], [6, 6])
    counts = TrainCounts().update(nowhere)
    assert set(counts.absent) == set(NAMES) - {ALL_BENIGN}
    assert set(counts.absent.values()) == {"the flows have no addresses"}
    assert list(counts.scores(nowhere)) == [ALL_BENIGN]
    assert counts.unseen(nowhere) == {}


def test_a_batch_without_addresses_does_not_hide_the_others():
    counts = TrainCounts().update(flow_table([None], [None])).update(flow_table("a", "b"))
    assert counts.absent == {}
    assert counts.novelty(flow_table("a", "b"))["pair-novelty"].tolist() == [0]


def test_nothing_before_the_train_range():
    with pytest.raises(NotFittedError):
        TrainCounts().scores(TestByHand.test)
    with pytest.raises(NotFittedError):
        TrainCounts().get_state()


def test_many_batches_merge(monkeypatch):
    monkeypatch.setattr("netvigil.key_counts.MERGE_AT", 4)
    counts = TrainCounts()
    for number in range(30):
        counts.update(flow_table([f"h{number % 7}"], ["x"]))
    rarity = counts.rarity(flow_table(["h0", "h6", "h9"], ["x", "x", "x"]))["pair-rarity"]
    assert rarity == pytest.approx(-np.log([6, 5, 1]))


class TestRealData:
    """First 60 % of the flows by time minus attacks are train, the last 30 % test."""

    def judge(self, flows, attack):
        n = len(flows)
        train = (np.arange(n) < int(0.6 * n)) & ~attack
        test = np.arange(n) >= n - int(0.3 * n)
        scores = TrainCounts().update(flows.take(train)).scores(flows.take(test))
        ranked = {name: Ranking.of(score, attack[test]) for name, score in scores.items()}
        return {name: (auroc(r).value, auprc(r).value) for name, r in ranked.items()}, ranked

    def test_unsw(self):
        path = DATA / "unsw-nb15" / "UNSW-NB15_1.first20000.csv"
        if not path.exists():
            pytest.skip(f"real data is absent: {path}")
        raw = pd.read_csv(path, header=None, dtype=str, encoding="utf-8-sig")  # noqa: TID251
        raw = raw.sort_values(28, key=lambda stime: stime.astype(int), kind="stable")
        ports = [int(p, 0) if p != "-" else None for p in raw[3]]
        protocols = pd.factorize(raw[4])[0]
        starts = raw[28].astype(int).to_numpy() * 1_000_000
        flows = flow_table(raw[0].tolist(), raw[2].tolist(), ports, protocols, starts)
        found, ranked = self.judge(flows, (raw[48] == "1").to_numpy())
        # measured independently with other code
        assert found["pair-rarity"] == pytest.approx((0.987, 0.795), abs=6e-4)
        assert found["pair-novelty"] == pytest.approx((0.912, 0.692), abs=6e-4)
        assert found["source-novelty"] == pytest.approx((0.720, 0.373), abs=6e-4)
        assert found["pair-port-novelty"] == pytest.approx((0.840, 0.225), abs=6e-4)
        # the 0/1 rule is one point: TPR .843 at FPR 1.87 %
        assert tpr_at_fpr(ranked["pair-novelty"], 0.01).value == 0.0
        assert tpr_at_fpr(ranked["pair-novelty"], 0.0188).value == pytest.approx(0.843, abs=6e-4)
        assert tpr_at_fpr(ranked["pair-rarity"], 0.05).value == pytest.approx(0.986, abs=6e-4)

    def test_westermo(self):
        path = DATA / "westermo" / "flows_bottom.csv.gz"
        if not path.exists():
            pytest.skip(f"real data is absent: {path}")
        raw = pd.read_csv(path, low_memory=False)  # noqa: TID251
        raw = raw.sort_values("start", kind="stable")
        # the address columns, which hold the link-layer address where there is no other
        flows = flow_table(raw["sAddress"].tolist(), raw["rAddress"].tolist())
        found, _ = self.judge(flows, (raw["NST_B_Label"] == 1).to_numpy())
        assert found["pair-rarity"] == pytest.approx((0.690, 0.457), abs=6e-4)
        assert found["pair-novelty"] == pytest.approx((0.686, 0.412), abs=6e-4)


def test_pair_keys_are_stable_across_tables():
    one, other = flow_table("ab", "xy"), flow_table("zb", "wy")
    assert pair_keys(one)[1] == pair_keys(other)[1]
