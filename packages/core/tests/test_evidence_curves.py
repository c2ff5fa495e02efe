"""Curves, histograms, bins and timelines: hand-computed, and thinned without inventing a point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.evidence import curves as module
from netvigil.evidence.bins import MOST, SLICES, cut
from netvigil.evidence.curves import TestTruth, curves, histogram
from netvigil.evidence.timeline import events, timeline
from netvigil.truth import ATTACK, BENIGN, UNKNOWN


def truth(*classes: str) -> TestTruth:
    """Each flow's class: a name, `benign` or `unknown`."""
    names = tuple(dict.fromkeys(c for c in classes if c not in {"benign", "unknown"}))
    state = [{"benign": BENIGN, "unknown": UNKNOWN}.get(c, ATTACK) for c in classes]
    attack = [names.index(c) if c in names else -1 for c in classes]
    return TestTruth(np.array(state, np.int8), np.array(attack, np.int32), names)


class TestTruthInWords:
    def test_every_flow_has_a_class(self):
        known = truth("scan", "benign", "unknown", "flood")
        assert known.words().to_pylist() == ["scan", "benign", "unknown", "flood"]
        assert known.words(np.array([3, 1])).to_pylist() == ["flood", "benign"]
        assert known.counts() == {"scan": 1, "flood": 1, "benign": 1, "unknown": 1}

    def test_an_attack_without_a_name_is_one(self):
        nameless = TestTruth(np.array([ATTACK], np.int8), np.array([-1], np.int32), ())
        assert nameless.words().to_pylist() == ["attack"]


class TestCurves:
    def test_by_hand(self):
        # From the highest score: attack, benign, (attack and benign tie), benign; one unknown.
        score = np.array([5.0, 4.0, 3.0, 3.0, 1.0, 9.0])
        known = truth("scan", "benign", "scan", "benign", "benign", "unknown")
        rows = curves([("m", 7, score)], known).to_pylist()
        found = {
            curve: [(round(r["x"], 4), round(r["y"], 4)) for r in rows if r["curve"] == curve]
            for curve in ("precision-recall", "roc")
        }
        assert found["precision-recall"] == [
            (0.0, 1.0),
            (0.5, 1.0),
            (0.5, 0.5),
            (1.0, 0.5),
            (1.0, 0.4),
        ]
        assert found["roc"] == [(0.0, 0.0), (0.0, 0.5), (0.3333, 0.5), (0.6667, 1.0), (1.0, 1.0)]
        assert {(r["method"], r["seed"]) for r in rows} == {("m", 7)}

    @pytest.mark.parametrize("classes", [("unknown",) * 3, ("scan",) * 3, ("benign",) * 3])
    def test_there_is_none_where_a_class_is_missing(self, classes):
        assert curves([("m", None, np.arange(3.0))], truth(*classes)).num_rows == 0

    def test_long_ones_are_thinned_and_keep_their_ends(self):
        rng = np.random.default_rng(0)
        attack = rng.random(20_000) < 0.05
        known = TestTruth(
            np.where(attack, ATTACK, BENIGN).astype(np.int8),
            np.where(attack, 0, -1).astype(np.int32),
            ("scan",),
        )
        score = rng.normal(size=20_000) + attack
        frame = curves([("m", None, score)], known).to_pandas()
        for curve, most in (("precision-recall", 1), ("roc", 2)):
            part = frame[frame["curve"] == curve]
            assert 100 < len(part) <= most * module.POINTS + 3
            assert part["x"].iloc[-1] == 1.0
            assert part["x"].is_monotonic_increasing
        # Every point of the thinned curve is a point of the whole one.
        order = np.argsort(score)[::-1]
        true, false = np.cumsum(attack[order]), np.cumsum(~attack[order])
        whole = {
            (np.float32(f), np.float32(t))
            for f, t in zip(false / false[-1], true / true[-1], strict=True)
        }
        part = frame[frame["curve"] == "roc"].iloc[1:]
        assert set(zip(part["x"], part["y"], strict=True)) <= whole


class TestHistogram:
    @given(
        st.lists(
            st.tuples(
                st.floats(-1e9, 1e9), st.sampled_from(["benign", "unknown", "scan", "flood"])
            ),
            min_size=1,
            max_size=60,
        )
    )
    def test_every_flow_is_counted_in_a_bin_around_its_score(self, flows):
        score = np.array([value for value, _ in flows])
        frame = histogram(score, truth(*(name for _, name in flows))).to_pandas()
        counted = frame.groupby(frame["attack"].astype(str))["flows"].sum().to_dict()
        names = [name for _, name in flows]
        assert counted == {name: names.count(name) for name in set(names)}
        reach = np.abs(score).max() * 1e-6 + 1e-6
        assert frame["low"].min() <= score.min() + reach
        assert frame["high"].max() >= score.max() - reach

    def test_many_classes_share_the_last_one(self):
        classes = [f"attack-{k}" for k in range(12)] * 2 + ["attack-0", "benign"]
        frame = histogram(np.arange(float(len(classes))), truth(*classes)).to_pandas()
        named = set(frame["attack"].astype(str))
        assert len(named) == module.CLASSES + 2
        assert frame["flows"].sum() == len(classes)
        assert frame[frame["attack"] == "other attacks"]["flows"].sum() == 6


class TestBins:
    def test_windows_where_they_are_as_many_as_a_line_needs(self):
        windows = np.repeat(np.arange(10), 3)
        when = np.arange(30) * 100
        bins = cut(when, windows, clock=True)
        assert bins.words == "windows of the run"
        assert bins.of_flow.tolist() == windows.tolist()
        assert bins.start.tolist() == [300 * k for k in range(10)]
        assert bins.end.tolist() == [300 * k + 201 for k in range(10)]

    @pytest.mark.parametrize("windows", [None, np.zeros(500, int), np.arange(500)], ids=str)
    def test_slices_where_windows_are_none_few_or_many(self, windows):
        when = np.sort(np.random.default_rng(0).integers(0, 10**9, 500))
        bins = cut(when, windows, clock=True)
        assert len(bins) == SLICES
        assert len(bins) <= MOST
        assert ((bins.start[bins.of_flow] <= when) & (when < bins.end[bins.of_flow])).all()
        assert (np.diff(bins.of_flow) >= 0).all()

    def test_one_flow_is_one_bin(self):
        bins = cut(np.array([5]), np.array([0]), clock=False)
        assert (bins.of_flow.tolist(), bins.start.tolist(), bins.end.tolist()) == ([0], [5], [6])


class TestTimeline:
    def test_by_hand(self):
        when = np.array([0, 1, 2, 3, 100, 101])
        bins = cut(when, np.array([0, 0, 0, 0, 1, 1]), clock=True)
        bins = type(bins)(
            np.array([0, 0, 0, 0, 1, 1], np.int32), np.array([0, 100]), np.array([4, 102]), ""
        )
        score = np.array([1.0, 4.0, 2.0, 3.0, 9.0, 0.0])
        known = truth("benign", "benign", "scan", "unknown", "scan", "benign")
        frame = timeline({"test": (bins, score, known, 2.5)}).to_pandas()
        assert frame["cut"].tolist() == [2.5, 2.5]
        assert frame["flows"].tolist() == [4, 2]
        assert frame["known"].tolist() == [3, 2]
        assert frame["attacks"].tolist() == [1, 1]
        assert frame["alerts"].tolist() == [2, 1]
        assert frame["false_alerts"].tolist() == [1, 0]
        assert frame["score_max"].tolist() == [4.0, 9.0]
        assert frame["score_median"].tolist() == [2.0, 0.0]
        assert frame["score_q95"].tolist() == [4.0, 9.0]
        assert (frame["start"].tolist(), frame["end"].tolist()) == ([0, 100], [4, 102])

    def test_only_the_test_part_has_numbered_bins(self):
        bins = cut(np.array([0, 9]), None, clock=True)
        score, known = np.array([1.0, 2.0]), truth("benign", "benign")
        moving = np.array([0.5, 2.5])
        frame = timeline(
            {"calibrate": (bins, score, known, 1.5), "test": (bins, score, known, moving)}
        ).to_pandas()
        assert frame["cut"].tolist() == [1.5, 1.5, 0.5, 2.5]
        assert frame["alerts"].tolist() == [0, 1, 1, 0]
        assert frame.groupby("part")["bin"].agg(list).to_dict() == {
            "calibrate": [-1, -1],
            "test": [0, 9],
        }


class TestEvents:
    def test_near_flows_of_one_class_are_one_event(self):
        when = np.array([0, 5, 6, 40, 41])
        end = np.array([30, 6, 9, 50, 43])
        found = events(
            when, end, truth("scan", "scan", "flood", "scan", "benign"), gap=10
        ).to_pylist()
        assert sorted((e["attack"], e["start"], e["end"], e["flows"]) for e in found) == [
            ("flood", 6, 9, 1),
            ("scan", 0, 30, 2),
            ("scan", 40, 50, 1),
        ]

    def test_a_class_that_never_rests_has_bounded_events(self):
        when = np.arange(5_000) * 100
        found = events(when, when, truth(*["scan"] * 5_000), gap=10)
        assert 1 <= found.num_rows <= 400
        assert sum(found["flows"].to_pylist()) == 5_000

    def test_there_are_none_without_attacks(self):
        when = np.arange(3)
        assert events(when, when, truth("benign", "unknown", "benign"), gap=1).num_rows == 0
