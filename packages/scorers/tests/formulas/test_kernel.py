from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM

from netvigil_scorers.formulas import kernel
from netvigil_scorers.pyod_adapter import DETECTORS, PyodScorer
from netvigil_scorers.sklearn_configs import NystroemOcsvmConfig

pytestmark = pytest.mark.slow  # nothing that is installed elsewhere can change it

DETECTOR = next(detector for detector in DETECTORS if detector.name == "nystroem-ocsvm")


def test_the_melted_weights_score_as_scikit_learns_two_steps_do(flows, monkeypatch):
    monkeypatch.setattr(kernel, "MINIBATCH", 100)
    train, probe = flows(350), flows(80, seed=1)
    scorer = PyodScorer(DETECTOR, NystroemOcsvmConfig(n_components=40, passes=2)).fit(train, seed=3)
    state = scorer.get_state()
    features = Nystroem(gamma=state.values["gamma"], n_components=40, random_state=0)
    features.fit(state.arrays["support"])
    rng = np.random.default_rng(3)
    kernel._landmarks(train.embedding, 40, rng)  # the same draws before the first walk
    machine = SGDOneClassSVM(average=True, random_state=3)
    for _ in range(2):
        order = rng.permutation(350)
        for first in range(0, 350, 100):
            rows = train.embedding[order[first : first + 100]].astype(np.float64)
            machine.partial_fit(features.transform(rows))
    expected = -machine.decision_function(features.transform(probe.embedding.astype(np.float64)))
    assert np.allclose(scorer.score(probe).score, expected, rtol=1e-9, atol=1e-9)


def test_landmarks_are_distinct_and_fewer_where_flows_repeat(flows):
    few = np.repeat(np.eye(3), [2, 90, 8], axis=0)
    scorer = PyodScorer(DETECTOR, NystroemOcsvmConfig()).fit(flows(few), seed=0)
    support = scorer.get_state().arrays["support"]
    assert sorted(support.tolist()) == sorted(np.eye(3).tolist())
    usual, rare, far = scorer.score(flows([few[5], few[0], [9.0, 9.0, 9.0]])).score
    assert usual < rare < far


@pytest.mark.parametrize(
    ("gamma", "expected"), [("auto", 0.5), ("scale", 1 / (2 * 1.25)), (3.0, 3.0)]
)
def test_gamma_means_what_it_means_to_scikit_learn(gamma, expected):
    assert kernel._coefficient(gamma, np.array([[0.0, 1.0], [2.0, 3.0]])) == expected


def test_gamma_of_equal_flows_is_one():
    assert kernel._coefficient("scale", np.ones((3, 2))) == 1.0


def test_it_ranks_as_the_exact_machine_does(flows):
    exact = next(detector for detector in DETECTORS if detector.name == "ocsvm")
    train, probe = flows(2_000), flows(500, seed=1)
    scores = [
        PyodScorer(detector, detector.config()).fit(train, seed=0).score(probe).score
        for detector in (exact, DETECTOR)
    ]
    ranks = [np.argsort(np.argsort(score)) for score in scores]
    assert np.corrcoef(*ranks)[0, 1] > 0.95
