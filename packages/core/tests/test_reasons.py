"""Alerts say why: the features that stand out, and what the train traffic never had."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil.baselines import UNSEEN, TrainCounts
from netvigil.contracts import ALERTS
from netvigil.profile import FeatureProfile
from netvigil.reasons import far_features, make_alerts

from . import fakes

S = 1_000_000


def flows(src, dst, dport):
    n = len(src)
    start = fakes.EPOCH_US + np.arange(n) * S
    ones = np.ones(n, np.int64)
    rows = {"start_us": start, "end_us": start, "src": src, "dst": dst, "dport": dport}
    return fakes.make_flows(rows | dict.fromkeys(("sport", "packets", "bytes"), ones))


PROFILE = FeatureProfile(("a", "b", "c"), np.array([0.0, 10.0, 5.0]), np.array([1.0, 2.0, 0.0]))


class TestProfile:
    def test_mean_and_deviation_of_the_train_flows(self):
        x = np.array([[1, 4], [3, 4]], np.float32)
        found = FeatureProfile.of(x, ("a", "b"))
        assert found.mean.tolist() == [2, 4]
        assert found.deviation.tolist() == [1, 0]
        again = FeatureProfile.from_state(found.get_state())
        assert again.names == found.names
        assert np.array_equal(again.deviation, found.deviation)

    def test_the_furthest_features_are_named_in_order_with_their_side(self):
        x = np.array([[4, 0, 5], [-3.5, 10, 5], [1, 11, 5]], np.float32)
        assert far_features(PROFILE, x) == [
            [
                "b is 5.0 deviations below its train mean",
                "a is 4.0 deviations above its train mean",
            ],
            ["a is 3.5 deviations below its train mean"],
            [],
        ]

    def test_a_feature_that_never_varied_counts_by_its_own_units(self):
        assert far_features(PROFILE, np.array([[0, 10, 9]], np.float32)) == [
            ["c is 4.0 deviations above its train mean"]
        ]

    def test_no_alerts(self):
        assert far_features(PROFILE, np.zeros((0, 3), np.float32)) == []


def test_alerts_are_the_flows_strictly_above_the_cut_with_all_their_reasons():
    train = flows(["a", "a"], ["x", "y"], [80, 80])
    test = flows(["a", "z", "a", "a"], ["x", "x", "x", "x"], [80, 80, 22, 80])
    score = np.array([2.0, 3.0, 4.0, 5.0])
    x = np.zeros((4, 3), np.float32) + PROFILE.mean.astype(np.float32)
    x[3, 0] = 9
    found = make_alerts(
        test, score, 2.0, x, profile=PROFILE, counts=TrainCounts().update(train), bundle="abc"
    )
    rows = found.table.to_pylist()
    assert found.table.schema.names == ALERTS.names
    assert [row["flow_id"] for row in rows] == [1, 2, 3]
    assert [row["score"] for row in rows] == [3, 4, 5]
    assert {row["cut"] for row in rows} == {2.0}
    assert {row["bundle"] for row in rows} == {"abc"}
    assert rows[0]["src_ip"] == "z"
    assert rows[0]["reasons"] == [UNSEEN["source"]]
    assert rows[1]["reasons"] == [UNSEEN["pair-port"]]
    assert rows[2]["reasons"] == ["a is 9.0 deviations above its train mean"]


def test_an_alert_without_a_single_reason_says_so():
    test = flows(["a"], ["x"], [80])
    x = PROFILE.mean.astype(np.float32)[None]
    found = make_alerts(
        test,
        np.array([1.0]),
        0.5,
        x,
        profile=PROFILE,
        counts=TrainCounts().update(test),
        bundle="",
    )
    assert found.table["reasons"].to_pylist() == [
        ["no single feature stands out; the combination does"]
    ]


@pytest.mark.parametrize("cut", [np.inf, 5.0])
def test_no_flow_above_the_cut_gives_an_empty_table(cut):
    test = flows(["a"], ["x"], [80])
    x = PROFILE.mean.astype(np.float32)[None]
    counts = TrainCounts().update(test)
    found = make_alerts(test, np.array([5.0]), cut, x, profile=PROFILE, counts=counts, bundle="")
    assert len(found) == 0
