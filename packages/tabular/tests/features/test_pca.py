"""Principal components by hand, against scikit-learn, and of degenerate input."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from netvigil.contracts import FlowFeatures
from netvigil.errors import BundleError, ContractError
from netvigil.protocols import State
from netvigil_tabular.features.configs import PcaFeaturesConfig
from netvigil_tabular.features.pca import PcaFeatures


def features(x):
    x = np.asarray(x, np.float32)
    return FlowFeatures(x, tuple(f"x_{i}" for i in range(x.shape[1])))


def make(components, **given):
    return PcaFeatures(PcaFeaturesConfig(components=components, **given))


def drawn(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    return features(rng.standard_normal((rows, 3)) @ rng.standard_normal((3, 6)) + 2)


def test_one_direction_by_hand():
    given = features([[0, 0, 5], [3, 4, 5], [6, 8, 5]])
    out = make(1).fit(given, seed=0).transform(given)
    assert out.names == ("pca_1",)
    assert out.x[:, 0].tolist() == pytest.approx([-5, 0, 5])


def test_scikit_learn_agrees_up_to_the_sign():
    given = drawn()
    made = make(3).fit(given, seed=0)
    wanted = PCA(3).fit_transform(given.x.astype(float))
    found = made.transform(given).x
    assert np.abs(found) == pytest.approx(np.abs(wanted), abs=1e-4)
    largest = np.abs(made.components_).argmax(axis=1)
    assert (made.components_[np.arange(3), largest] > 0).all()


def test_a_share_of_the_variance_decides_how_many():
    given = drawn()
    share = PCA().fit(given.x.astype(float)).explained_variance_ratio_
    made = make(float(share[0] + 0.5 * share[1])).fit(given, seed=0)
    assert len(made.share_) == 2
    assert made.share_ == pytest.approx(share[:2], abs=1e-6)


def test_more_components_than_there_are_directions():
    made = make(50).fit(drawn(), seed=0)
    assert len(made.components_) == 3
    assert "3 components of 6 features, 100.00% of the variance (50 were asked for)" in made.told()


def test_nothing_that_varies_is_refused():
    with pytest.raises(ContractError, match="no feature that varies"):
        make(2).fit(features(np.ones((9, 2))), seed=0)


def test_a_missing_value_counts_as_the_mean():
    given = drawn()
    x = given.x.copy()
    made = make(2).fit(given, seed=0)
    x[4] = np.nan
    assert made.transform(features(x)).x[4].tolist() == [0, 0]
    assert np.isfinite(make(2).fit(features(x), seed=0).transform(given).x).all()


def test_a_lone_flow_gets_the_bits_that_it_gets_among_others():
    given = drawn(2_000)
    made = make(3).fit(given, seed=0)
    whole = made.transform(given).x
    alone = made.transform(features(given.x[1500:1501])).x
    assert whole[1500:1501].tobytes() == alone.tobytes()


def test_it_survives_a_bundle(carried):
    given = drawn()
    made = make(3).fit(given, seed=0)
    heir = make(3).set_state(carried(made.get_state()))
    assert heir.transform(given).x.tobytes() == made.transform(given).x.tobytes()
    assert heir.told() == made.told()
    state = made.get_state()
    with pytest.raises(BundleError, match="not a state of transform"):
        make(3).set_state(State(state.arrays, {"names": ["x_0"]}))
