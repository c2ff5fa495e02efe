from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.protocols import Calibration
from netvigil_scorers.plugin import netvigil_thresholds
from netvigil_scorers.thresholds.best_f_beta import BestF1Config, BestFBetaConfig, choose


def labelled(scores, attack, known=None) -> Calibration:
    scores, attack = np.asarray(scores, np.float64), np.asarray(attack, np.bool_)
    known = np.ones(len(scores), np.bool_) if known is None else np.asarray(known, np.bool_)
    return Calibration(scores, is_attack=attack, known=known)


def f1(scores, attack, cut) -> float:
    flagged = scores > cut
    return 2 * (flagged & attack).sum() / (flagged.sum() + attack.sum())


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40).filter(
        lambda rows: any(attack for _, attack in rows)
    )
)
def test_no_other_cut_is_better(rows):
    scores = np.array([score for score, _ in rows], np.float64)
    attack = np.array([is_attack for _, is_attack in rows])
    cut = choose(BestF1Config(), labelled(scores, attack)).value
    best = max(f1(scores, attack, other) for other in [-1.0, *scores])
    assert f1(scores, attack, cut) == pytest.approx(best)


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40).filter(
        lambda rows: any(attack for _, attack in rows)
    ),
    beta=st.floats(0.1, 10),
)
def test_no_other_cut_has_a_better_f_beta(rows, beta):
    scores = np.array([score for score, _ in rows], np.float64)
    attack = np.array([is_attack for _, is_attack in rows])
    cut = choose(BestFBetaConfig(beta=beta), labelled(scores, attack)).value

    def figure(other):
        return fbeta_score(attack, scores > other, beta=beta, zero_division=0)

    assert figure(cut) == pytest.approx(max(figure(other) for other in [-1.0, *scores]))


def test_beta_weighs_recall_by_hand():
    calibration = labelled([1, 2, 3, 4, 5], [1, 0, 0, 0, 1])
    # Above 4: precision 1, recall .5. Above all: precision .4, recall 1.
    # Beta 2: 5 * .5 / (4 + .5) = .56 against 5 * .4 / (1.6 + 1) = .77. Beta .5: .83 against .45.
    assert choose(BestFBetaConfig(beta=2), calibration).value < 1
    found = choose(BestFBetaConfig(beta=0.5), calibration)
    assert found.value == 4.0
    assert "best F-beta (beta 0.5) of the attack class (0.8333)" in found.how


def test_beta_1_is_f1():
    calibration = labelled([1, 2, 3, 4, 5], [0, 0, 1, 0, 1])
    assert choose(BestFBetaConfig(), calibration) == choose(BestF1Config(), calibration)


def test_by_hand():
    cut = choose(BestF1Config(), labelled([1, 2, 3, 4, 5], [0, 0, 1, 0, 1]))
    # Above 2: 2 of 3 flagged are attacks, F1 0.8; above 4: F1 2/3.
    assert cut.value == 2.0
    assert "(0.8000)" in cut.how
    assert "Supervised" in cut.how


def test_unknown_flows_are_ignored():
    known = [1, 1, 0, 1, 1]
    with_noise = choose(BestF1Config(), labelled([1, 2, 9, 4, 5], [0, 0, 1, 0, 1], known))
    without = choose(BestF1Config(), labelled([1, 2, 4, 5], [0, 0, 0, 1]))
    assert with_noise.value == without.value == 4.0


def test_without_labels_or_attacks_it_refuses():
    with pytest.raises(IncompatiblePartsError, match="labels"):
        choose(BestF1Config(), Calibration(np.arange(4.0)))
    with pytest.raises(ContractError, match="is an attack"):
        choose(BestF1Config(), labelled([1, 2], [0, 0]))
    with pytest.raises(ContractError, match="is an attack"):
        choose(BestF1Config(), labelled([1, 2], [1, 1], known=[0, 0]))


def test_only_these_two_are_supervised():
    supervised = {part.name for part in netvigil_thresholds() if part.supervised}
    assert supervised == {"best-f1", "best-f-beta"}
