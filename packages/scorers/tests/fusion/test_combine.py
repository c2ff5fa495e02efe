from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import combine_pvalues

from netvigil_scorers.fusion.combine import RULES, fisher, higher_criticism, mean_rank, strongest

P = st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=6)


def test_by_hand():
    p = np.array([[0.01, 0.5], [0.5, 0.5], [0.5, 0.5]])
    assert fisher(p).tolist() == pytest.approx([-np.log(0.01 * 0.25), -np.log(0.125)])
    assert strongest(p).tolist() == pytest.approx([-np.log(0.01), -np.log(0.5)])
    assert mean_rank(p).tolist() == pytest.approx([-1.01 / 3, -0.5])
    low = (1 / 3 - 0.01) / np.sqrt(0.01 * 0.99 / 3)
    assert higher_criticism(p)[0] == pytest.approx(low)


@given(P)
def test_fisher_is_the_statistic_of_the_books(values):
    assert fisher(np.array([values]).T)[0] == pytest.approx(
        combine_pvalues(values, "fisher").statistic / 2, abs=1e-9
    )


@pytest.mark.parametrize("name", list(RULES))
@given(P, st.integers(0, 5), st.floats(0.1, 0.9))
def test_less_probable_is_never_less_anomalous(name, values, which, factor):
    lower = list(values)
    lower[which % len(lower)] *= factor
    before, after = (RULES[name](np.array([v]).T)[0] for v in (values, lower))
    assert after >= before - 1e-9 * abs(before)
