from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef, roc_auc_score

from netvigil.errors import ContractError
from netvigil.evaluation import (
    Confusion,
    Ranking,
    alerts_per_hour,
    auprc,
    auroc,
    best_f1,
    per_attack,
    tpr_at_fpr,
    within_pair,
)


def ranked(score, is_attack):
    return Ranking.of(np.asarray(score, float), np.asarray(is_attack, bool))


# No deadline: a shared machine stalls now and then.
quick = settings(deadline=None, max_examples=50)
# Few distinct scores, so that most examples have ties.
tied = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=60)
both = tied.filter(lambda rows: len({attack for _, attack in rows}) == 2)


def columns(rows):
    return np.array([s for s, _ in rows], float), np.array([a for _, a in rows], bool)


class TestRanking:
    def test_a_hand_count(self):
        # attacks at 4 and 2, benign at 3, 2 and 1: 4 beats three, 2 beats one and ties one
        ranking = ranked([4, 3, 2, 2, 1], [True, False, True, False, False])
        assert auroc(ranking).value == pytest.approx((3 + 1.5) / 6)
        # steps: {4}: recall 1/2 at precision 1; {3}: nothing new; {2,2}: 1/2 more at 2/4
        assert auprc(ranking).value == pytest.approx(0.5 * 1 + 0.5 * 0.5)

    def test_equal_scores_say_nothing(self):
        ranking = ranked([7, 7, 7, 7], [True, False, False, False])
        assert auroc(ranking).value == 0.5
        assert auprc(ranking).value == 0.25

    def test_minus_zero_is_zero(self):
        assert len(ranked([0.0, -0.0], [True, False]).score) == 1

    @pytest.mark.parametrize("function", [auroc, auprc, lambda r: tpr_at_fpr(r, 0.01)])
    @pytest.mark.parametrize(
        ("truth", "reason"),
        [([True, True], "no benign"), ([False, False], "no attack"), ([], "no flow")],
    )
    def test_one_class_is_none_with_a_reason(self, function, truth, reason):
        figure = function(ranked(range(len(truth)), truth))
        assert figure.value is None
        assert reason in figure.reason

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_scores_must_be_finite(self, bad):
        with pytest.raises(ContractError, match="1 scores are not finite"):
            ranked([0.0, bad], [True, False])

    def test_lengths_must_agree(self):
        with pytest.raises(ContractError, match="2 scores stand beside 1 labels"):
            ranked([1, 2], [True])

    @quick
    @given(both)
    def test_agrees_with_scikit_learn(self, rows):
        score, truth = columns(rows)
        ranking = Ranking.of(score, truth)
        assert auroc(ranking).value == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
        assert auprc(ranking).value == pytest.approx(
            average_precision_score(truth, score), abs=1e-12
        )

    @quick
    @given(both, st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0]))
    def test_tpr_at_fpr_is_the_best_real_cut(self, rows, limit):
        score, truth = columns(rows)
        cuts = [*np.unique(score), -math.inf]
        reached = [
            (score[truth] > cut).mean()
            for cut in cuts
            if (score[~truth] > cut).mean() <= limit + 1e-12
        ]
        assert tpr_at_fpr(Ranking.of(score, truth), limit).value == pytest.approx(max(reached))

    @quick
    @given(both)
    def test_leaving_out_idle_cuts_changes_nothing(self, rows):
        score, truth = columns(rows)
        ranking = Ranking.of(score, truth)
        coarse = np.searchsorted(ranking.coarse_ptr(), ranking.ptr[:-1], side="right")
        merged = Ranking.of(
            -np.repeat(coarse, np.diff(ranking.ptr)).astype(float), truth[ranking.order]
        )
        assert auroc(merged).value == pytest.approx(auroc(ranking).value)
        assert auprc(merged).value == pytest.approx(auprc(ranking).value)
        for limit in (0.0, 0.1, 0.5):
            assert tpr_at_fpr(merged, limit) == tpr_at_fpr(ranking, limit)

    def test_a_rule_above_the_limit_has_no_threshold(self):
        # a 0/1 rule that fires on 80 % of attacks and 2 % of benign flows
        truth = np.arange(1100) < 100
        score = np.zeros(1100)
        score[:80] = 1
        score[100:120] = 1
        ranking = Ranking.of(score, truth)
        assert tpr_at_fpr(ranking, 0.01).value == 0.0
        assert tpr_at_fpr(ranking, 0.02).value == 0.8

    def test_a_limit_that_is_met_exactly_counts(self):
        truth = np.arange(1010) < 10
        score = np.where(truth, 5.0, 0.0)
        score[10] = 9.0  # one of 1,000 benign flows
        assert tpr_at_fpr(Ranking.of(score, truth), 0.001).value == 1.0


class TestBestF1:
    @quick
    @given(both)
    def test_no_cut_is_better_and_the_cut_delivers(self, rows):
        score, truth = columns(rows)
        best, reason = best_f1(Ranking.of(score, truth))
        assert reason == ""
        assert f1_score(truth, score > best.cut) == pytest.approx(best.f1)
        cuts = [*np.unique(score), -math.inf]
        assert best.f1 == max(Confusion.at(score, truth, cut).f1().value for cut in cuts)

    def test_needs_both_classes(self):
        assert best_f1(ranked([1], [True])) == (None, "no benign flow among the known flows")


class TestConfusion:
    def test_scores_at_the_cut_are_no_alerts(self):
        counts = Confusion.at(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1, 1, 0, 0], bool), 2.0)
        assert counts == Confusion(
            true_positives=0, false_positives=1, false_negatives=2, true_negatives=1
        )

    def test_by_hand(self):
        counts = Confusion(8, 2, 4, 86)
        assert counts.precision().value == 0.8
        assert counts.recall().value == pytest.approx(8 / 12)
        assert counts.f1().value == pytest.approx(16 / 22)
        assert counts.macro_f1().value == pytest.approx((16 / 22 + 172 / 178) / 2)
        assert counts.fpr().value == pytest.approx(2 / 88)
        mcc = (8 * 86 - 2 * 4) / math.sqrt(10 * 12 * 88 * 90)
        assert counts.mcc().value == pytest.approx(mcc)

    def test_counts_of_millions_do_not_overflow(self):
        huge = Confusion(3_000_000, 0, 0, 3_000_000)
        assert huge.mcc().value == 1.0

    def test_doing_nothing(self):
        nothing = Confusion(0, 0, 336, 9664)
        assert nothing.precision() == (None, "no alert at this cut")
        assert nothing.recall().value == nothing.f1().value == nothing.mcc().value == 0.0
        assert nothing.macro_f1().value == pytest.approx(0.491, abs=5e-4)  # at 3.36 % attacks

    @pytest.mark.parametrize(
        "counts", [Confusion(0, 3, 0, 4), Confusion(3, 0, 4, 0), Confusion(0, 0, 0, 0)]
    )
    def test_one_class_is_none_with_a_reason(self, counts):
        assert counts.mcc().value is None
        assert counts.mcc().reason
        assert counts.macro_f1().value is None
        figures = [counts.precision(), counts.recall(), counts.fpr(), counts.f1(), counts.ppv(0.01)]
        assert all(f.reason if f.value is None else math.isfinite(f.value) for f in figures)

    @quick
    @given(both, st.integers(-4, 3))
    def test_agrees_with_scikit_learn(self, rows, cut):
        score, truth = columns(rows)
        counts = Confusion.at(score, truth, cut)
        alert = score > cut
        assert counts.f1().value == pytest.approx(f1_score(truth, alert, zero_division=0))
        assert counts.macro_f1().value == pytest.approx(
            f1_score(truth, alert, average="macro", zero_division=0)
        )
        assert counts.mcc().value == pytest.approx(matthews_corrcoef(truth, alert), abs=1e-12)

    def test_base_rate(self):
        # 1 million flows an hour, 10 attacks, all found, FPR 1 %: 10 of 10,010 alarms are true
        counts = Confusion(100, 1000, 0, 99_000)
        assert counts.ppv(1e-5).value == pytest.approx(10 / (10 + 0.01 * 999_990))


class TestPerAttack:
    def figures(self, score, truth, names, cut=1.5):
        score, truth = np.array(score, float), np.array(truth, bool)
        ranking = Ranking.of(score, truth)
        return per_attack(ranking, score=score, is_attack=truth, attack=np.array(names), cut=cut)

    def test_by_hand(self):
        scan, ddos = self.figures(
            [3, 1, 2, 0, 1, 2], [1, 1, 1, 0, 0, 0], ["ddos", "scan", "scan", "", "", ""]
        )
        assert (scan.attack, scan.support) == ("scan", 2)
        assert scan.recall.value == 0.5
        assert scan.auroc.value == pytest.approx((1.5 + 2.5) / 6)
        assert (ddos.attack, ddos.support, ddos.auroc.value) == ("ddos", 1, 1.0)

    def test_without_benign_flows_or_a_cut(self):
        (only,) = self.figures([1, 2], [1, 1], ["a", "a"], cut=None)
        assert only.support == 2
        assert only.recall == (None, "no cut")
        assert only.auroc.value is None
        assert "no benign" in only.auroc.reason

    def test_without_attacks(self):
        assert self.figures([1, 2], [0, 0], ["", ""]) == ()

    @quick
    @given(both, st.data())
    def test_each_class_is_an_auroc_of_its_own(self, rows, data):
        score, truth = columns(rows)
        names = np.array(
            data.draw(st.lists(st.sampled_from("ab"), min_size=len(rows), max_size=len(rows)))
        )
        for found in self.figures(score, truth, names):
            keep = ~truth | (names == found.attack)
            assert found.auroc.value == pytest.approx(roc_auc_score(truth[keep], score[keep]))
            assert found.support == int((truth & (names == found.attack)).sum())


class TestWithinPair:
    def test_by_hand(self):
        score = [5, 1, 9, 2, 2, 3]
        truth = [True, False, False, True, False, True]
        pair = np.array([1, 1, 1, 2, 2, 3], np.uint64)
        found = within_pair(ranked(score, truth), is_attack=np.array(truth), pair=pair)
        # pair 1: 5 beats 1, loses to 9; pair 2: a tie; pair 3 has no benign flow
        assert found == (pytest.approx((1 + 0.5) / 3), "", 2, 5, 3)

    def test_a_score_of_the_pair_is_worth_nothing(self):
        rng = np.random.default_rng(0)
        pair = rng.integers(0, 20, 2000).astype(np.uint64)
        truth = rng.random(2000) < pair / 25
        found = within_pair(ranked(pair.astype(float), truth), is_attack=truth, pair=pair)
        assert auroc(ranked(pair.astype(float), truth)).value > 0.7
        assert found.value == 0.5

    @pytest.mark.parametrize("truth", [[True, False], [False, False], [True, True], []])
    def test_none_where_no_pair_has_both(self, truth):
        pair = np.arange(len(truth)).astype(np.uint64)
        found = within_pair(
            ranked(range(len(truth)), truth), is_attack=np.array(truth, bool), pair=pair
        )
        assert found.value is None
        assert "no host pair" in found.reason

    @quick
    @given(both, st.data())
    def test_counts_every_comparison_inside_a_pair(self, rows, data):
        score, truth = columns(rows)
        pair = np.array(
            data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))),
            np.uint64,
        )
        won = [
            (a > b) + (a == b) / 2
            for a, p in zip(score[truth], pair[truth], strict=True)
            for b, q in zip(score[~truth], pair[~truth], strict=True)
            if p == q
        ]
        found = within_pair(Ranking.of(score, truth), is_attack=truth, pair=pair)
        assert found.comparisons == len(won)
        if won:
            assert found.value == pytest.approx(sum(won) / len(won))
        else:
            assert found.value is None


def test_alerts_per_hour():
    assert alerts_per_hour(30, 7200.0).value == 15.0
    assert alerts_per_hour(30, 0.0).value is None
    assert "no clock" in alerts_per_hour(30, None).reason
