from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EllipticEnvelope

from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

BY_NAME = {detector.name: detector for detector in DETECTORS}


def fitted(name, train, **given):
    detector = BY_NAME[name]
    return PyodScorer(detector, detector.config(**given)).fit(train, seed=0)


def test_the_envelope_is_scikit_learns_where_every_direction_varies(flows):
    train = flows(600).embedding[:, 2:]
    probe = flows(200, seed=1).embedding[:, 2:]
    theirs = EllipticEnvelope(random_state=0).fit(train.astype(np.float64))
    expected = theirs.mahalanobis(probe.astype(np.float64))
    mine, mcd = (
        fitted(name, flows(train)).score(flows(probe)).score
        for name in ("elliptic-envelope", "mcd")
    )
    assert np.allclose(mine, expected, rtol=1e-9)
    assert np.allclose(mine, mcd, rtol=1e-9)


def test_the_envelope_sees_a_flag_that_the_core_never_has(flows):
    rng = np.random.default_rng(0)
    train = np.column_stack([rng.normal(size=(500, 3)), np.zeros(500)])
    train[:50, :3] += 40  # a tenth of the flows, far outside the core, carry the flag
    train[:50, 3] = 1
    usual = np.zeros((1, 4))
    flagged = np.array([[0.0, 0.0, 0.0, 1.0]])
    envelope, mcd = fitted("elliptic-envelope", flows(train)), fitted("mcd", flows(train))
    # Its variance over all flows is about 0.09, so a flag is 1 / 0.09 = 11 away.
    away = envelope.score(flows(flagged)).score - envelope.score(flows(usual)).score
    assert 10 < away[0] < 13
    assert np.allclose(mcd.score(flows(flagged)).score, mcd.score(flows(usual)).score)
    blind = fitted("elliptic-envelope", flows(train), ridge=0)
    assert np.allclose(blind.score(flows(flagged)).score, blind.score(flows(usual)).score)
