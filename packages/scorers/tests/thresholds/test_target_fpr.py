from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netvigil.protocols import Calibration
from netvigil_scorers.thresholds.target_fpr import TargetFprConfig, choose


@given(
    scores=st.lists(st.integers(0, 9).map(float), min_size=1, max_size=200).map(np.array),
    fpr=st.floats(1e-6, 0.999),
)
def test_ties_never_flag_more_than_asked(scores, fpr):
    cut = choose(TargetFprConfig(fpr=fpr), Calibration(scores)).value
    assert (scores > cut).sum() <= fpr * len(scores) + 1e-9


def test_flows_to_come_exceed_the_cut_as_often_as_promised():
    # Of n + 1 exchangeable flows each is the highest equally often: a rate of 1/20 on 19 flows is
    # held exactly by their highest score. 4,000 draws: the standard error is 0.0034.
    rng = np.random.default_rng(0)
    config = TargetFprConfig(fpr=0.05)
    hits = 0
    for _ in range(4_000):
        scores = rng.normal(size=20)
        hits += scores[19] > choose(config, Calibration(scores[:19])).value
    assert abs(hits / 4_000 - 0.05) < 0.014


def test_too_few_flows_are_said():
    cut = choose(TargetFprConfig(fpr=0.01), Calibration(np.arange(50.0)))
    assert cut.value == 49.0
    assert "too few flows" in cut.how
