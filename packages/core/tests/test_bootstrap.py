from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from netvigil.errors import ConfigError
from netvigil.evaluation import Ranking, Resampler, auroc, interval, tpr_at_fpr

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it


def flows(count=400, attacks=60, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    truth = np.arange(count) < attacks
    score = rng.normal(size=count) + 1.5 * truth
    return np.round(score, 1) if ties else score, truth


def test_each_resample_is_the_metric_of_the_drawn_flows():
    score, truth = flows()
    draws = Resampler(len(score), resamples=20, seed=3)
    found = draws.figures(Ranking.of(score, truth), truth)
    for number, weight in enumerate(draws.weights()):
        rows = np.repeat(np.arange(len(score)), weight)
        assert len(rows) == len(score)
        assert found["auroc"][number] == pytest.approx(roc_auc_score(truth[rows], score[rows]))
        assert found["auprc"][number] == pytest.approx(
            average_precision_score(truth[rows], score[rows])
        )
        drawn = Ranking.of(score[rows], truth[rows])
        assert found["tpr_at_fpr_5%"][number] == tpr_at_fpr(drawn, 0.05).value


def test_one_seed_gives_one_result_and_another_seed_another():
    score, truth = flows()
    ranking = Ranking.of(score, truth)
    one = Resampler(len(score), resamples=30, seed=1).figures(ranking, truth)["auroc"]
    same = Resampler(len(score), resamples=30, seed=1).figures(ranking, truth)["auroc"]
    other = Resampler(len(score), resamples=30, seed=2).figures(ranking, truth)["auroc"]
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_cached_and_fresh_resamples_are_the_same(monkeypatch):
    score, truth = flows()
    ranking = Ranking.of(score, truth)
    kept = Resampler(len(score), resamples=10)
    first = kept.figures(ranking, truth)["auprc"]
    again = kept.figures(ranking, truth)["auprc"]
    monkeypatch.setattr("netvigil.evaluation.bootstrap.CACHE_BYTES", 0)
    drawn = Resampler(len(score), resamples=10)
    assert np.array_equal(first, again)
    assert np.array_equal(drawn.figures(ranking, truth)["auprc"], first)
    assert np.array_equal(drawn.figures(ranking, truth)["auprc"], first)


def test_methods_share_their_resamples():
    # A method against itself differs by nothing in any resample.
    score, truth = flows()
    draws = Resampler(len(score), resamples=25)
    mine = draws.figures(Ranking.of(score, truth), truth)["auroc"]
    same = draws.figures(Ranking.of(3 * score + 1, truth), truth)["auroc"]
    assert np.allclose(mine, same)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # AUROC of N(1, 1) against N(0, 1) is Phi(1 / sqrt 2) = 0.760250
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = np.arange(300) < 100
        score = rng.normal(size=300) + truth
        draws = Resampler(300, resamples=200, seed=seed)
        span = interval(draws.figures(Ranking.of(score, truth), truth)["auroc"])
        covered += span.low <= 0.760250 <= span.high
    # 95 % of 40 is 38; 32 or fewer would have a probability below 1 in 1,000
    assert covered > 32


def test_the_bootstrap_is_centred_on_the_figure():
    score, truth = flows(2000, 300, ties=False)
    ranking = Ranking.of(score, truth)
    drawn = Resampler(2000, resamples=400).figures(ranking, truth)["auroc"]
    assert drawn.mean() == pytest.approx(auroc(ranking).value, abs=4 * drawn.std() / 20)


class TestWindows:
    def test_flows_of_a_window_are_drawn_together(self):
        window = np.arange(400) // 10 * 180
        draws = Resampler(400, window=window, resamples=5)
        assert (draws.by, draws.units) == ("window", 40)
        for weight in draws.weights():
            per_window = weight.reshape(40, 10)
            assert (per_window == per_window[:, :1]).all()
            assert per_window[:, 0].sum() == 40

    def test_intervals_widen_where_windows_matter(self):
        # Every window is of one kind: 40 independent things, not 4,000 flows.
        rng = np.random.default_rng(0)
        window = np.repeat(np.arange(40), 100)
        truth = np.repeat(rng.random(40) < 0.3, 100)
        score = np.repeat(rng.normal(size=40), 100) + truth + 0.01 * rng.normal(size=4000)
        ranking = Ranking.of(score, truth)

        def width(**options):
            span = interval(Resampler(4000, **options).figures(ranking, truth)["auroc"])
            return span.high - span.low

        assert width(window=window) > 4 * width(window=window, by="flow")

    def test_few_windows_fall_back_to_flows_and_say_so(self):
        draws = Resampler(300, window=np.arange(300) // 10)
        assert draws.by == "flow"
        assert "only 30 windows" in draws.why
        assert Resampler(300, window=np.arange(300) // 10, by="window").by == "window"

    def test_asking_for_flows_is_warned_about(self):
        assert "too narrow" in Resampler(300, window=np.arange(300), by="flow").why


class TestInterval:
    def test_none_where_most_resamples_had_one_class(self):
        assert interval(np.array([0.5, np.nan, np.nan])) is None

    def test_counts_what_it_used(self):
        assert interval(np.array([0.5, 0.5, np.nan])).used == 2

    def test_two_attacks_give_an_interval_from_the_usable_resamples(self):
        score, truth = flows(100, 2)
        draws = Resampler(100, resamples=200)
        span = interval(draws.figures(Ranking.of(score, truth), truth)["auroc"])
        # a resample misses both attacks with probability .98 ** 100 = 13 %
        assert 140 < span.used < 200


@pytest.mark.parametrize("truth", [np.ones(10, bool), np.zeros(10, bool)])
def test_one_class_has_no_interval(truth):
    values = Resampler(10, resamples=5).figures(Ranking.of(np.arange(10.0), truth), truth)
    assert interval(values["auroc"]) is None


def test_no_flows():
    nothing = np.empty(0)
    values = Resampler(0, resamples=3).figures(
        Ranking.of(nothing, nothing.astype(bool)), nothing.astype(bool)
    )
    assert interval(values["auprc"]) is None


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="0 resamples"):
        Resampler(10, resamples=0)
    with pytest.raises(ConfigError, match="no windows"):
        Resampler(10, by="window")
