"""The code of an autoencoder as features: as the encoder gives it, in any company, of odd input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil.contracts import FlowFeatures
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil_tabular.config import AutoencoderCodeConfig, AutoencoderConfig
from netvigil_tabular.encoder import Reconstructor
from netvigil_tabular.features.code import AutoencoderCode

SMALL = {"epochs": 3, "hidden": [8], "bottleneck": 2, "batch": 32, "device": "cpu"}


def features(x):
    x = np.asarray(x, np.float32)
    return FlowFeatures(x, tuple(f"x_{i}" for i in range(x.shape[1])))


def make(**given):
    return AutoencoderCode(AutoencoderCodeConfig(**{**SMALL, **given}))


def drawn(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 2)) @ np.random.default_rng(1).standard_normal((2, 5))
    return features(x + 0.1 * rng.standard_normal((rows, 5)))


def test_it_is_the_code_of_the_encoder(flows_of):
    given, probe = drawn(), drawn(50, seed=2)
    out = make().fit(given, seed=4).transform(probe)
    assert out.names == ("code_1", "code_2")
    assert out.x.dtype == np.float32
    encoder = Reconstructor(AutoencoderConfig(**SMALL)).fit([flows_of(given.x)], seed=4)
    wanted = encoder.encode(flows_of(probe.x)).embedding
    np.testing.assert_allclose(out.x, wanted, rtol=1e-4, atol=1e-5)


def test_two_factors_can_be_read_from_a_code_of_two():
    given = drawn(600)
    code = make(epochs=80, learning_rate=1e-2, activation="tanh").fit(given, seed=0)
    found = np.column_stack([code.transform(given).x, np.ones(600)]).astype(float)
    line, *_ = np.linalg.lstsq(found, given.x.astype(float), rcond=None)
    left = np.var(given.x - found @ line, axis=0) / np.var(given.x, axis=0)
    assert left.max() < 0.1


def test_with_keep_the_features_stay_in_front():
    given = drawn()
    beside = make(keep=True).fit(given, seed=0).transform(given)
    alone = make().fit(given, seed=0).transform(given)
    assert beside.names == (*given.names, "code_1", "code_2")
    assert np.array_equal(beside.x, np.hstack([given.x, alone.x]))


def test_the_same_seed_gives_the_same_bits():
    given = drawn()
    first = make().fit(given, seed=0).transform(given).x
    assert first.tobytes() == make().fit(given, seed=0).transform(given).x.tobytes()
    assert first.tobytes() != make().fit(given, seed=1).transform(given).x.tobytes()


def test_a_lone_flow_gets_the_bits_that_it_gets_among_others():
    given = drawn(2_000)
    made = make().fit(given, seed=0)
    whole = made.transform(given).x
    alone = made.transform(features(given.x[1500:1501])).x
    assert whole[1500:1501].tobytes() == alone.tobytes()
    turned = made.transform(features(given.x[::-1].copy())).x
    assert whole[::-1].tobytes() == turned.tobytes()


def test_a_missing_value_counts_as_the_mean():
    given = drawn()
    made = make().fit(given, seed=0)
    x = given.x.copy()
    x[4, 1] = np.nan
    filled = x.copy()
    filled[4, 1] = given.x[:, 1].astype(float).mean()
    assert np.array_equal(made.transform(features(x)).x, made.transform(features(filled)).x)
    holed = make().fit(features(x), seed=0)
    assert np.isfinite(holed.transform(given).x).all()


def test_enormous_features_give_a_finite_code():
    made = make().fit(drawn(), seed=0)
    assert np.isfinite(made.transform(features(np.full((1, 5), 3e38))).x).all()


def test_a_constant_feature_is_no_trap():
    x = drawn().x.copy()
    x[:, 2] = 7
    out = make(norm="batch").fit(features(x), seed=0).transform(features(x))
    assert np.isfinite(out.x).all()


def test_it_survives_a_bundle(carried):
    given = drawn()
    made = make(norm="batch", code="block").fit(given, seed=0)
    heir = make(norm="batch", code="block").set_state(carried(made.get_state()))
    assert heir.transform(given).x.tobytes() == made.transform(given).x.tobytes()
    state = made.get_state()
    for settings, other in (
        ({}, state),  # of another network
        ({"norm": "batch", "code": "block"}, replace(state, values={})),
        ({"norm": "batch", "code": "block"}, replace(state, values={"names": ["x_0"]})),
        ({"norm": "batch", "code": "block"}, replace(state, arrays={"mean": np.zeros(5)})),
    ):
        with pytest.raises(BundleError, match="not a state of transform"):
            make(**settings).set_state(other)


def test_what_was_learnt_is_told(carried):
    made = make().fit(drawn(), seed=0)
    assert made.told().startswith("a code of 2 for 5 features; validation loss ")
    heir = make().set_state(carried(made.get_state()))
    assert heir.told() == "a code of 2 for 5 features"


def test_odd_input_is_refused():
    with pytest.raises(ContractError, match=r"cannot be fitted on 1 flows of 5 features"):
        make().fit(features(np.ones((1, 5))), seed=0)
    with pytest.raises(ContractError, match=r"cannot be fitted on 9 flows of 0 features"):
        make().fit(features(np.empty((9, 0))), seed=0)
    with pytest.raises(NotFittedError):
        make().transform(drawn())
    with pytest.raises(ContractError, match="fitted on other features"):
        make().fit(drawn(), seed=0).transform(features(np.ones((3, 4))))
