from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer

BY_NAME = {detector.name: detector for detector in DETECTORS}


@pytest.mark.parametrize("name", ["ecod", "copod"])
def test_scores_are_those_of_pyod_and_change_with_the_company(name, flows):
    detector = BY_NAME[name]
    train, probe = flows(200), flows(90, seed=1)
    columns = slice(1, None)  # PyOD warns of the constant feature
    module, _, kind = detector.source.partition(":")
    theirs = getattr(import_module(module), kind)()
    theirs.fit(train.embedding[:, columns].astype(np.float64))
    expected = theirs.decision_function(probe.embedding[:, columns].astype(np.float64))
    scorer = PyodScorer(detector, detector.config()).fit(train, seed=0)
    whole = scorer.score(probe).score
    # A constant feature says nothing, in either company.
    assert np.allclose(whole, expected, rtol=1e-9)
    assert not np.allclose(scorer.score(probe.take(np.arange(9))).score, whole[:9])
