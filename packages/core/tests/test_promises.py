"""Promised and realised rates by hand, and on their way from a threshold to receipt and page."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson as poisson_law

from netvigil import hookimpl, parts, runner
from netvigil.contracts import LabelTable
from netvigil.evaluation import (
    MethodScores,
    PromiseUse,
    ThresholdUse,
    evaluate,
    poisson,
    promise_words,
    realised,
    receipt_lines,
    to_markdown,
    wilson,
)
from netvigil.phases import Phases
from netvigil.protocols import Promise

from . import fakes

SHARE = PromiseUse(kind="share", value=0.05)
FPR = PromiseUse(kind="fpr", value=0.01)
DAILY = PromiseUse(kind="alerts-per-day", value=10.0)


class TestIntervals:
    def test_wilson_by_hand(self):
        # p = .1, n = 50, z = 1.96: centre (.1 + .0384) / 1.0768, half sqrt(.1 * .9 * .0768 + ...)
        low, high = wilson(5, 50)
        z = 1.959963984540054
        centre = (0.1 + z * z / 100) / (1 + z * z / 50)
        half = z * math.sqrt(0.1 * 0.9 / 50 + z * z / (4 * 50**2)) / (1 + z * z / 50)
        assert (low, high) == pytest.approx((centre - half, centre + half))
        assert (low, high) == pytest.approx((0.0435, 0.2136), abs=1e-4)  # as in the textbooks

    @given(st.integers(0, 400), st.integers(1, 400))
    def test_wilson_holds_the_share_and_stays_a_share(self, count, flows):
        count = min(count, flows)
        low, high = wilson(count, flows)
        assert 0 <= low <= count / flows <= high <= 1

    @pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.6889), (10, 4.7954, 18.3904)])
    def test_poisson_as_in_garwoods_table(self, count, low, high):
        assert poisson(count) == pytest.approx((low, high), abs=1e-4)

    @given(st.integers(1, 500))
    def test_poisson_leaves_a_fortieth_on_each_side(self, count):
        low, high = poisson(count)
        assert poisson_law.sf(count - 1, low) == pytest.approx(0.025)
        assert poisson_law.cdf(count, high) == pytest.approx(0.025)


class TestRealised:
    def test_a_share_over_seeds(self):
        found = realised(SHARE, [4, 8], flows=100, seconds=None)
        assert found.rate.per_seed == (0.04, 0.08)
        assert found.rate.mean == pytest.approx(0.06)
        assert found.rate.sd == pytest.approx(0.04 / math.sqrt(2))
        assert (found.rate.low, found.rate.high) == wilson(6, 100)
        assert promise_words(found) == (
            "0.05 of the flows flagged, at most; realised 0.0600 (95 % interval 0.0278 to 0.1248) "
            "on 100 flows: all test flows, known or not"
        )

    def test_alerts_a_day(self):
        found = realised(DAILY, [3], flows=900, seconds=43_200.0)
        assert found.rate.mean == 6.0
        assert found.rate.sd is None
        assert (found.rate.low, found.rate.high) == pytest.approx(
            (2 * 0.6187, 2 * 8.7673), abs=1e-3
        )

    def test_more_than_promised_is_said_only_where_the_interval_says_it(self):
        words = promise_words(realised(FPR, [30], flows=1_000, seconds=None))
        assert words.endswith("known to be benign; MORE THAN PROMISED")
        assert "MORE" not in promise_words(realised(FPR, [14], flows=1_000, seconds=None))

    @pytest.mark.parametrize(
        ("promise", "flows", "seconds", "reason"),
        [(FPR, 0, None, "no test flows known to be benign"), (DAILY, 9, None, "no clock")],
    )
    def test_what_cannot_be_measured_says_why(self, promise, flows, seconds, reason):
        found = realised(promise, [0], flows=flows, seconds=seconds)
        assert found.rate.mean is None
        assert reason in found.rate.reason
        assert "not measured" in promise_words(found)

    def test_no_promise_no_figure(self):
        assert realised(None, [3], flows=10, seconds=None) is None


class TestEvaluate:
    IDS = np.arange(100)
    # 80 flows are known, ten of them attacks; scores 90 and above are alerts.
    LABELS = LabelTable.of(IDS[:80], IDS[:80] >= 70, pa.array([""] * 70 + ["scan"] * 10))

    def found(self, promise, cut=64.0):
        use = ThresholdUse(mode="label-free", rule="r", provenance="p", promise=promise)
        run = MethodScores(method="m", score=self.IDS.astype(float), cut=cut, threshold=use)
        return evaluate(
            flow_id=self.IDS,
            labels=self.LABELS,
            runs=[run],
            start_us=self.IDS * 10**9,
            resamples=1,
        ).headline

    def test_a_share_is_of_all_test_flows(self):
        found = self.found(SHARE).methods[0].realised
        assert (found.flows, found.rate.mean) == (100, 0.35)

    def test_a_false_positive_rate_is_of_known_benign_flows(self):
        found = self.found(FPR).methods[0].realised
        assert (found.flows, found.rate.mean) == (70, 5 / 70)

    def test_alerts_a_day_take_the_length_of_the_test_range(self):
        found = self.found(DAILY).methods[0].realised
        assert found.seconds == 99_000.0
        assert found.rate.mean == pytest.approx(35 / (99_000 / 86_400))

    def test_nothing_is_measured_without_a_cut_or_a_promise(self):
        assert self.found(SHARE, cut=None).methods[0].realised is None
        assert self.found(None).methods[0].realised is None

    def test_the_table_has_a_column_only_where_something_is_promised(self):
        assert "| FPR (promised 0.01) |" in to_markdown(self.found(FPR))
        assert "promised" not in to_markdown(self.found(None))


class Promised(fakes.Quantile):
    kind = "share"

    def promise(self):
        return Promise(self.kind, self.config.keep)


class PromisedDaily(Promised):
    kind = "alerts-per-day"


class PromisedFpr(Promised):
    kind = "fpr"


class PromisePlugin:
    @hookimpl
    def netvigil_thresholds(self):
        for made in (Promised, PromisedDaily, PromisedFpr):
            name = f"promised-{made.kind}"
            yield parts.Threshold(
                name=name, summary="Promises.", config=fakes.QuantileConfig, make=made
            )


def run(folder, kind, **sections):
    source = fakes.write_csv(folder / "a.csv", fakes.traffic(400))
    sections = {"threshold": {"name": f"promised-{kind}", "keep": 0.2}, **sections}
    experiment = fakes.experiment(source, **sections)
    plugins = fakes.plugins(PromisePlugin())
    return runner.run(experiment, plugins, base=folder, out=folder / "run", phases=Phases())


@pytest.mark.parametrize("kind", ["share", "fpr", "alerts-per-day"])
def test_a_run_keeps_promise_and_outcome_in_its_receipt(kind, tmp_path):
    receipt = run(tmp_path, kind, evaluate={"resamples": 1})
    assert receipt.threshold.promise == PromiseUse(kind=kind, value=0.2)
    methods = receipt.evaluation.headline.methods
    assert all(method.realised.promise.kind == kind for method in methods)
    own = next(method for method in methods if method.kind == "method")
    assert receipt.realised == own.realised
    assert type(receipt).from_json(receipt.to_json()) == receipt
    ((said),) = [words for subject, words in receipt_lines(receipt) if subject == "promise"]
    assert "realised" in said


@pytest.mark.parametrize("kind", ["share", "fpr", "alerts-per-day"])
def test_without_labels_a_receipt_says_what_can_be_measured(kind, tmp_path):
    receipt = run(tmp_path, kind, labels=None, train={"drop_attacks": False})
    assert receipt.evaluation is None
    assert (receipt.realised.rate.mean is None) == (kind == "fpr")
    if kind == "share":
        test = receipt.split.parts["test"].flows
        assert receipt.realised.flows == test
        assert receipt.realised.rate.mean * test == pytest.approx(
            (tmp_path / "run" / "alerts.jsonl").read_text("utf-8").count("\n")
        )
