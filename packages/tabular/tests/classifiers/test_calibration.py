"""Calibration by hand, against scikit-learn, and where it has nothing to go by."""

from __future__ import annotations

import numpy as np
import pytest

from netvigil_tabular.classifiers.calibration import Curve, Curves, log_odds

NONE = np.empty(0)


def two(share):
    share = np.array(share, float)
    return np.stack([1 - share, share], axis=1)


def test_log_odds_stay_finite():
    assert log_odds(np.array([0.5])).tolist() == [0]
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_isotonic_of_two_classes_by_hand():
    # Pooled: .1 -> 0; .2 and .3 are out of order and share 1/2; .4 -> 1.
    made = Curves.fit(two([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 0, 1]), "isotonic")
    out = made(two([0.1, 0.2, 0.25, 0.4, 0.9]))
    assert out[:, 1].tolist() == [0, 0.5, 0.5, 1, 1]
    assert (out.sum(axis=1) == 1).all()


def test_a_sigmoid_is_the_one_that_scikit_learn_fits():
    from sklearn.calibration import _sigmoid_calibration

    rng = np.random.default_rng(0)
    share = rng.uniform(0.02, 0.98, 400)
    y = (rng.random(400) < share**2).astype(int)
    made = Curves.fit(two(share), y, "sigmoid")
    slope, offset = _sigmoid_calibration(log_odds(share), y)
    wanted = 1 / (1 + np.exp(slope * log_odds(share) + offset))
    assert made(two(share))[:, 1] == pytest.approx(wanted, abs=1e-3)


def test_classes_that_do_not_overlap_stay_finite():
    made = Curves.fit(two([0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 1, 1]), "sigmoid")
    out = made(two([0.0, 1.0]))
    # Platt's targets: (positives + 1) / (positives + 2) of them, and 1 / (negatives + 2).
    assert out[:, 1] == pytest.approx([1 / 4, 3 / 4], abs=0.01)


def test_many_classes_are_mapped_each_and_add_up():
    rng = np.random.default_rng(1)
    y = rng.choice(3, 600)
    share = rng.dirichlet(np.ones(3), 600)
    share[np.arange(600), y] += 0.5
    share /= share.sum(axis=1, keepdims=True)
    for method in ("sigmoid", "isotonic"):
        out = Curves.fit(share, y, method)(share)
        assert out.sum(axis=1) == pytest.approx(1)
        assert out.min() >= 0
        before, after = (
            -np.log(np.clip(p[np.arange(600), y], 1e-7, 1)).mean() for p in (share, out)
        )
        assert after < before


def test_a_class_that_was_not_held_out_keeps_its_probability():
    share = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]])
    made = Curves.fit(share, np.array([0, 1, 0, 1]), "isotonic")
    assert not len(made.curves[2].at)
    out = made(share)
    assert out[:, 2] == pytest.approx(0.1 / 1.1)


def test_a_row_that_is_mapped_to_nothing_stays_as_it_was():
    zero = Curve(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    made = Curves("isotonic", (zero, zero, zero))
    share = np.array([[0.5, 0.3, 0.2]])
    assert made(share).tolist() == share.tolist()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_curves_survive_a_bundle(method, carried):
    made = Curves.fit(two([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]), method)
    back = Curves.of(carried(made.state()))
    probe = two(np.linspace(0, 1, 21))
    assert back(probe).tobytes() == made(probe).tobytes()
