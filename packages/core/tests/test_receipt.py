from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from netvigil.contracts import LabelTable
from netvigil.errors import ContractError
from netvigil.evaluation import (
    DataUse,
    Evaluation,
    FeatureUse,
    LabelUse,
    MethodScores,
    PartUse,
    Phase,
    Receipt,
    SplitUse,
    ThresholdUse,
    evaluate,
    receipt_lines,
)

FREE = ThresholdUse(mode="label-free", rule="quantile", provenance="top 5 % of calibration scores")
ORACLE = ThresholdUse(mode="oracle", rule="best-f1", provenance="best F1 on the test range")

FLOWS = 600
IDS = np.arange(1000, 1000 + FLOWS)
ATTACK = np.arange(FLOWS) % 10 == 0
NAMES = np.where(ATTACK, np.where(np.arange(FLOWS) % 20 == 0, "scan", "MISCONF-DUPLICATION"), "")
START = np.arange(FLOWS) * 1_000_000
PAIR = (np.arange(FLOWS) % 7).astype(np.uint64)
LABELS = LabelTable.of(IDS, ATTACK, pa.array(NAMES))


def scores(seed, shift=2.0):
    return np.random.default_rng(seed).normal(size=FLOWS) + shift * ATTACK


def run(seed=0, method="hbos", **changes):
    values = {"score": scores(seed), "cut": 1.5, "seed": seed, "threshold": FREE} | changes
    return MethodScores(method=method, **values)


def judged(*runs, **changes):
    values = {"flow_id": IDS, "labels": LABELS, "start_us": START, "pair": PAIR, "resamples": 50}
    return evaluate(**(values | {"runs": runs or [run()]} | changes))


class TestEvaluate:
    def test_counts(self):
        found = judged()
        head = found.headline
        assert (head.flows, head.attacks, head.benign) == (600, 60, 540)
        assert head.prevalence == 0.1
        assert head.positive_class == "attack"
        assert found.unknown == 0
        assert found.seconds == 599.0

    def test_unknown_flows_are_left_out_and_counted(self):
        known = LabelTable.of(IDS[:300], ATTACK[:300], pa.array(NAMES[:300]))
        wild = scores(0)
        wild[300:] = 1e6  # would ruin every figure
        found = judged(run(score=wild), labels=known)
        clean = judged(
            run(score=wild[:300]), flow_id=IDS[:300], start_us=START[:300], pair=PAIR[:300]
        )
        assert found.unknown == 300
        assert found.headline.flows == 300
        mine, theirs = (e.headline.methods[0].metrics for e in (found, clean))
        assert mine["auroc"].mean == theirs["auroc"].mean
        assert mine["f1"] == theirs["f1"]
        # an operator gets those alerts all the same
        assert mine["alerts_per_hour"].mean > 300 * 3600 / 600

    def test_order_of_labels_does_not_matter(self):
        order = np.random.default_rng(0).permutation(FLOWS)
        shuffled = LabelTable.of(IDS[order], ATTACK[order], pa.array(NAMES[order]))
        assert judged(labels=shuffled) == judged()

    def test_excluded_classes_get_a_second_headline(self):
        found = judged(exclude=["misconf_duplication", "nowhere"])
        second = found.without_excluded
        assert second.excluded == {"MISCONF-DUPLICATION": 30}
        assert second.title == "without MISCONF-DUPLICATION"
        assert (second.flows, second.attacks) == (570, 30)
        assert [a.attack for a in second.methods[0].attacks] == ["scan"]
        assert found.headline.attacks == 60
        assert found.exclude_unmatched == ("nowhere",)
        rates = [h.methods[0].metrics["alerts_per_hour"] for h in (found.headline, second)]
        assert rates[0] == rates[1]

    def test_no_second_headline_where_nothing_matches(self):
        found = judged(exclude=["nowhere"])
        assert found.without_excluded is None
        assert found.exclude_unmatched == ("nowhere",)

    def test_seeds_have_mean_and_deviation(self):
        found = judged(*(run(seed) for seed in range(3)))
        (method,) = found.headline.methods
        spread = method.metrics["auroc"]
        assert method.seeds == (0, 1, 2)
        assert spread.mean == pytest.approx(np.mean(spread.per_seed))
        assert spread.sd == pytest.approx(np.std(spread.per_seed, ddof=1))
        assert spread.low < spread.mean < spread.high
        assert judged(run()).headline.methods[0].metrics["auroc"].sd is None

    def test_the_interval_is_of_the_mean_over_seeds(self):
        # Averaging over seeds takes noise out of the score, so its interval is narrower.
        many = judged(*(run(seed) for seed in range(8))).headline.methods[0].metrics["auroc"]
        one = judged(run(0)).headline.methods[0].metrics["auroc"]
        assert many.high - many.low < one.high - one.low

    def test_lazy_runs_are_walked_through_once(self):
        found = judged(runs=(run(seed) for seed in range(2)), exclude=["scan"])
        assert found.headline.methods[0].seeds == (0, 1)
        assert found.without_excluded.methods[0].seeds == (0, 1)

    def test_differences_are_paired(self):
        reference = run(0, method="pair-rarity", kind="baseline")
        better = run(method="better", score=scores(0) + 1.0 * ATTACK)
        found = judged(reference, better).headline.differences
        assert {d.metric for d in found} == {"auroc", "auprc", "tpr_at_fpr_1%", "tpr_at_fpr_5%"}
        (auroc,) = [d for d in found if d.metric == "auroc"]
        assert (auroc.method, auroc.reference) == ("better", "pair-rarity")
        assert 0 < auroc.low < auroc.mean < auroc.high
        twin = judged(reference, run(method="twin")).headline.differences
        assert all((d.mean, d.low, d.high) == (0.0, 0.0, 0.0) for d in twin)
        assert judged(better).headline.differences == ()

    def test_the_oracle_is_marked_and_stays_out_of_the_headline(self):
        (method,) = judged(run(threshold=ORACLE)).headline.methods
        assert method.oracle.mode == "oracle"
        for name in ("precision", "recall", "f1", "macro_f1", "mcc", "fpr", "alerts_per_hour"):
            assert method.metrics[name].mean is None
            assert "oracle" in method.metrics[name].reason
        assert method.confusions == (None,)
        assert method.attacks[0].recall.mean is None
        assert method.metrics["auroc"].mean is not None

    def test_an_honest_cut_is_never_better_than_the_oracle(self):
        (method,) = judged().headline.methods
        assert method.metrics["f1"].mean <= method.oracle.f1.mean

    def test_windows_are_resampled_where_there_are_enough(self):
        assert judged(window_start=START // 10_000_000).headline.bootstrap.by == "window"
        few = judged(window_start=START // 100_000_000).headline.bootstrap
        assert few.by == "flow"
        assert "only 6 windows" in few.why

    def test_without_clock_addresses_or_cut(self):
        (method,) = judged(run(cut=None), start_us=None, pair=None).headline.methods
        assert method.metrics["f1"].reason == "no cut was set"
        assert "no addresses" in method.metrics["within_pair_auroc"].reason
        (method,) = judged(start_us=None).headline.methods
        assert "no clock" in method.metrics["alerts_per_hour"].reason

    @pytest.mark.parametrize("truth", [True, False])
    def test_one_class_never_crashes_and_never_is_nan(self, truth):
        labels = LabelTable.of(IDS, np.full(FLOWS, truth), pa.array(["x"] * FLOWS))
        found = judged(labels=labels, exclude=["x"])
        metrics = found.headline.methods[0].metrics
        assert metrics["auroc"].mean is None
        assert metrics["auroc"].reason
        assert "NaN" not in found.model_dump_json()

    def test_no_labels_at_all(self):
        found = judged(labels=LabelTable.empty())
        assert found.unknown == FLOWS
        assert found.headline.prevalence is None
        assert found.headline.methods[0].metrics["auprc"].reason == "no flow with a known label"

    def test_no_flows_at_all(self):
        nothing = np.empty(0, np.int64)
        found = judged(run(score=np.empty(0)), flow_id=nothing, start_us=nothing, pair=PAIR[:0])
        assert found.headline.flows == 0

    def test_an_infinite_cut_raises_no_alert(self):
        (method,) = judged(run(cut=math.inf)).headline.methods
        assert method.metrics["recall"].mean == 0.0
        assert method.metrics["precision"].reason == "no alert at this cut"
        (method,) = judged(run(cut=-math.inf)).headline.methods
        assert method.metrics["recall"].mean == 1.0

    def test_wrong_calls_are_refused(self):
        with pytest.raises(ContractError, match="seed 0"):
            judged(run(0), run(0))
        with pytest.raises(ContractError, match="score of hbos has the shape"):
            judged(run(score=np.zeros(3)))
        with pytest.raises(ContractError, match="pair has the shape"):
            judged(pair=PAIR[:3])
        with pytest.raises(ContractError, match="not finite"):
            judged(run(score=np.full(FLOWS, np.nan)))
        with pytest.raises(ContractError, match="not a number"):
            run(cut=math.nan)

    def test_one_call_twice_is_one_result(self):
        assert judged(run(0), run(1)) == judged(run(0), run(1))

    def test_it_goes_through_json(self):
        found = judged(run(0), run(1), exclude=["scan"])
        assert Evaluation.model_validate_json(found.model_dump_json()) == found


DATA = DataUse(source="a.csv", sha256="ab" * 32, flows=10, format="zeek", time_basis="clock")
SPLIT = SplitUse(protocol="time", purge_s=180.0, parts={"train": PartUse(flows=6, attacks=0)})
FEATURES = FeatureUse(
    feature_set="auto", names=("fwd_bytes",), sha256="cd" * 32, denied={"x_sttl": "TTL"}
)


def receipt(**changes):
    values = {
        "data": [DATA],
        "split": SPLIT,
        "features": FEATURES,
        "labels": LabelUse(train_filter=False),
        "threshold": FREE,
        "train_attack_share": 0.0,
        "evaluation": judged(
            *(run(seed) for seed in range(5)),
            MethodScores(method="pair-rarity", score=scores(9, 0.1), kind="baseline"),
        ),
        "phases": [Phase(name="read", seconds=2.0, flows=10)],
        "seeds": range(5),
        "config": {"run": {"seeds": [0, 1, 2, 3, 4]}},
    }
    return Receipt.of(**(values | changes))


def pitfall(number, **changes):
    (found,) = [p for p in receipt(**changes).pitfalls if p.id == number]
    return found


class TestReceipt:
    def test_it_goes_through_json(self):
        one = receipt()
        assert Receipt.from_json(one.to_json()) == one

    def test_it_is_frozen_and_strict(self):
        with pytest.raises(ValidationError):
            receipt().seeds = ()
        with pytest.raises(ValidationError):
            Receipt.from_json(receipt().to_json().replace('"seeds"', '"sedes"', 1))

    def test_it_states_machine_and_versions(self):
        one = receipt()
        assert one.hardware.cpu
        assert one.hardware.cores >= 1
        assert {"netvigil", "numpy"} <= one.versions.keys()

    def test_lines_say_what_counts(self):
        allowed = FEATURES.model_copy(update={"allowed_shortcuts": ("x_sttl",)})
        lines = dict(receipt_lines(receipt(features=allowed)))
        assert "ALLOWED: x_sttl" in lines["features"]
        assert lines["threshold"] == "label-free: top 5 % of calibration scores"
        assert lines["phases"] == "read 2.00 s (5 flows/s)"
        assert "not: train filter" in lines["labels used by"]
        assert lines["prevalence"] == "10.00% (60 of 600 flows)"

    def test_lines_defuse_hostile_names(self):
        evil = DATA.model_copy(update={"source": "a\x1b[31m\u202e.csv"})
        lines = dict(receipt_lines(receipt(data=[evil])))
        assert lines["data"].startswith(r"a\x1b[31m\u202e.csv")

    def test_without_labels_there_is_a_receipt_without_figures(self):
        one = receipt(evaluation=None, train_attack_share=None)
        assert dict(receipt_lines(one))["attacks in training"] == "unknown"


class TestPitfalls:
    def test_all_ten_in_order(self):
        assert [p.id for p in receipt().pitfalls] == [f"P{n}" for n in range(1, 11)]

    def test_an_honest_run_guards_data_snooping(self):
        assert pitfall("P3").state == "guarded"
        assert pitfall("P5").state == "guarded"
        assert pitfall("P4").state == "guarded"

    @pytest.mark.parametrize(
        ("number", "changes", "words"),
        [
            ("P3", {"threshold": ORACLE}, "threshold set on the test labels"),
            ("P3", {"threshold": FREE.model_copy(update={"mode": "validation-labels"})}, "labels"),
            ("P3", {"split": SPLIT.model_copy(update={"shuffled": True})}, "shuffled"),
            ("P3", {"data": [DATA.model_copy(update={"time_basis": "row-order"})]}, "no clock"),
            ("P3", {"labels": LabelUse(train_filter=True)}, "labels of the train range"),
            ("P5", {"threshold": ORACLE}, "test range"),
            ("P5", {"labels": LabelUse(train_filter=False, tuning=True)}, "tuned with labels"),
            ("P1", {}, "one source"),
            ("P8", {}, "10.00%"),
            (
                "P4",
                {"features": FEATURES.model_copy(update={"allowed_shortcuts": ("x_sttl",)})},
                "x_sttl",
            ),
        ],
    )
    def test_settings_that_touch_one(self, number, changes, words):
        found = pitfall(number, **changes)
        assert found.state == "touched"
        assert words in found.why

    def test_a_score_of_pairs_is_told(self):
        truth = PAIR == 3
        truth[::17] = False
        labels = LabelTable.of(IDS, truth, pa.array(["x"] * FLOWS))
        by_pair = MethodScores(method="pairs", score=(PAIR == 3).astype(float))
        why = pitfall("P4", evaluation=judged(by_pair, labels=labels)).why
        assert "tells pairs apart, not flows" in why

    def test_missing_and_better_baselines_are_told(self):
        alone = judged(run())
        assert "no baseline" in pitfall("P6", evaluation=alone).why
        strong = MethodScores(method="pair-rarity", score=scores(0, 9.0), kind="baseline")
        why = pitfall("P6", evaluation=judged(run(), strong)).why
        assert why.startswith("pair-rarity reaches the AUPRC of hbos")
        assert pitfall("P6").state == "guarded"

    def test_few_attacks_and_few_seeds_are_told(self):
        few = LabelTable.of(IDS, np.arange(FLOWS) < 6, pa.array(["x"] * FLOWS))
        why = pitfall("P7", evaluation=judged(run(), labels=few)).why
        assert "only 6 attacks" in why
        assert "fewer than 5 seeds: hbos" in why
        assert pitfall("P7").state == "guarded"

    def test_doubted_and_missing_labels_are_told(self):
        half = LabelTable.of(IDS[:300], ATTACK[:300], pa.array(NAMES[:300]))
        why = pitfall("P2", evaluation=judged(labels=half, exclude=["scan"])).why
        assert "300 test flows have no label" in why
        assert "scan" in why
        assert pitfall("P2").state == "not judged"

    def test_what_the_tool_cannot_know_is_not_judged(self):
        assert pitfall("P9").state == pitfall("P10").state == "not judged"
        assert pitfall("P6", evaluation=None).state == "not judged"
