"""Alerts say why: the features that stand out, and what the train traffic never had."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from netvigil.baselines import UNSEEN, TrainCounts
from netvigil.contracts import ALERTS, FlowFeatures
from netvigil.profile import FeatureProfile, UsualValues, sampled
from netvigil.reasons import far_features, large_errors, make_alerts

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


def features(flows, **categories):
    x = np.stack([np.arange(flows), np.arange(flows) % 3], axis=1).astype(np.float32)
    return FlowFeatures(
        x,
        ("n", "m"),
        {k: pa.array(v, pa.string()).dictionary_encode() for k, v in categories.items()},
    )


class TestWhatIsUsual:
    def test_percentiles_and_shares_by_hand(self):
        found = UsualValues.of(features(101, proto=["tcp"] * 50 + ["udp"] * 30 + [None] * 21))
        assert found.percentiles[0].tolist() == [5, 50, 95]
        assert found.categories["proto"] == pytest.approx(
            {"tcp": 50 / 101, "udp": 30 / 101, None: 21 / 101}
        )

    def test_a_column_without_values_has_no_percentiles(self):
        raw = FlowFeatures(np.full((4, 1), np.nan, np.float32), ("n",))
        assert np.isnan(UsualValues.of(raw).percentiles).all()

    def test_a_bundle_brings_all_of_it_back(self):
        raw = features(300, proto=["tcp", None, "udp"] * 100)
        rows, few = sampled(raw, seed=1)
        made = FeatureProfile.of(raw.x, raw.names, rows=rows, raw=few, seed=1)
        again = FeatureProfile.from_state(made.get_state())
        assert again.background.shape == (100, 2)
        assert np.array_equal(again.background, made.background)
        assert again.median.tolist() == [149.5, 1]
        assert again.usual.names == ("n", "m")
        assert again.usual.categories == made.usual.categories
        assert again.groups() == made.groups()

    def test_the_sample_is_seeded_bounded_and_in_order(self, monkeypatch):
        monkeypatch.setattr("netvigil.profile.LOOKED_AT", 50)
        raw = features(300, proto=["tcp", "udp", "icmp"] * 100)
        (rows, few), (again, _), (other, _) = (sampled(raw, seed=s) for s in (1, 1, 2))
        assert len(rows) == len(few) == 50
        assert np.array_equal(rows, again)
        assert not np.array_equal(rows, other)
        assert (np.diff(rows) > 0).all()
        assert few.categories["proto"].to_pylist() == [["tcp", "udp", "icmp"][r % 3] for r in rows]

    def test_columns_of_a_category_are_one_feature_and_a_namesake_is_not(self):
        names = ("n", "proto='tcp'", "proto=rare", "proto:rarity", "proto=odd", "proto2='x'")
        usual = UsualValues(("n", "proto=odd"), np.zeros((2, 3)), {"proto": {}, "proto2": {}})
        none = np.zeros(6)
        assert FeatureProfile(names, none, none, usual=usual).groups() == {
            "n": (0,),
            "proto": (1, 2, 3),
            "proto=odd": (4,),
            "proto2": (5,),
        }


class TestLargeErrors:
    def test_shares_by_hand_with_where_the_value_lies(self):
        x = np.array([[0.0, 14, 5]], np.float32)
        errors = np.array([[3, 6, 1]], np.float32)
        assert large_errors(PROFILE, x, errors) == [
            [
                "60% of the error: b is 2.0 deviations above its train mean",
                "30% of the error: a is at its train mean",
                "10% of the error: c is at its train mean",
            ]
        ]

    def test_small_shares_are_not_named(self):
        errors = np.array([[0, 99, 1]], np.float32)
        assert len(large_errors(PROFILE, np.zeros((1, 3), np.float32), errors)[0]) == 1

    def test_a_category_counts_as_one_and_is_named_by_its_value(self):
        usual = UsualValues(categories={"proto": {"tcp": 0.9}})
        names = ("a", "proto='tcp'", "proto='udp'")
        profile = FeatureProfile(
            names, np.array([0, 0.9, 0.1]), np.array([1, 0.3, 0.3]), usual=usual
        )
        errors = np.array([[4, 3, 3]], np.float32)
        found = large_errors(profile, np.array([[0, 0, 1]], np.float32), errors)[0]
        assert found[0] == "60% of the error: proto is 'udp', which is rare in training"
        found = large_errors(profile, np.array([[0, 1, 0]], np.float32), errors)[0]
        assert found[0] == "60% of the error: proto is 'tcp'"

    def test_no_error_and_no_alert(self):
        none = np.zeros((1, 3), np.float32)
        assert large_errors(PROFILE, none, none) == [[]]
        assert large_errors(PROFILE, none[:0], none[:0]) == []


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
