from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import ContractError, IncompatiblePartsError
from netvigil.protocols import Calibration
from netvigil_scorers.plugin import netvigil_thresholds
from netvigil_scorers.thresholds.best_f1 import BestF1Config, choose


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


def test_only_this_one_is_supervised():
    supervised = {part.name for part in netvigil_thresholds() if part.supervised}
    assert supervised == {"best-f1"}
