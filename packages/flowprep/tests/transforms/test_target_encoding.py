from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError
from netvigil.protocols import SupervisedTransform
from netvigil.testing.conformance import check_flow_transform
from netvigil_flowprep import plugin
from netvigil_flowprep.transforms.target_encoding import TargetEncoding, TargetEncodingConfig

PART = next(p for p in plugin.netvigil_flow_transforms() if p.name == "target-encoding")


def _features(texts, numbers=None):
    x = np.zeros((len(texts), 2), np.float32)
    x[:, 1] = np.arange(len(texts)) if numbers is None else numbers
    column = pa.array(texts, pa.string()).dictionary_encode()
    return FlowFeatures(x, ("x_a", "x_tcp_flags"), {"protocol": column})


def _fit(features, is_attack, **settings):
    made = TargetEncoding(TargetEncodingConfig(**settings))
    return made.fit_labelled(features, np.array(is_attack, np.bool_), seed=0)


# Three "a" (two attacks), two "b" (none), one "c" (an attack): half of all flows are attacks.
TEXTS = ["a", "a", "a", "b", "b", "c"]
ATTACKS = [True, True, False, False, False, True]


def test_rates_are_blended_with_the_prior_as_category_encoders_does():
    out = _fit(_features(TEXTS), ATTACKS).transform(_features(["a", "b", "c", "new", None]))
    assert out.names == ("x_a", "x_tcp_flags", "protocol:attack-rate")
    assert not out.categories
    own = [1 / (1 + np.exp(-(n - 1) / 1.0)) for n in (3, 2)]
    expected = [0.5 * (1 - own[0]) + 2 / 3 * own[0], 0.5 * (1 - own[1]), 0.5, 0.5, 0.5]
    assert out.x[:, 2].tolist() == pytest.approx(expected)


def test_smoothing_and_leaf_size_shift_the_weight():
    out = _fit(_features(TEXTS), ATTACKS, smoothing=2.0, min_samples_leaf=3)
    own = 1 / (1 + np.exp(-(2 - 3) / 2.0))
    assert out.transform(_features(["a", "b"])).x[:, 2].tolist() == pytest.approx(
        [0.5 * 0.5 + 2 / 3 * 0.5, 0.5 * (1 - own)]
    )
    steep = _fit(_features(TEXTS), ATTACKS, smoothing=1e-300, min_samples_leaf=3)
    assert steep.transform(_features(["b"])).x[0, 2] == 0.5


def test_missing_is_a_value_of_its_own_where_it_was_seen():
    out = _fit(_features([None, None, "b", "b"]), [True, True, False, False])
    missing, known = out.transform(_features([None, "b"])).x[:, 2]
    assert missing > 0.5 > known


def test_numeric_columns_are_encoded_in_place_where_named():
    numbers = [2, 2, 2, 16, 16, np.nan]
    fitted = _fit(_features(TEXTS, numbers), ATTACKS, numeric=("x_*flags", "x_none"))
    out = fitted.transform(_features(TEXTS, [2, 16, np.nan, 7, 2.5, -1]))
    as_text = _fit(_features(TEXTS), ATTACKS).transform(_features(["a", "b", "c", "x", "y", "z"]))
    assert out.x[:, 1].tolist() == as_text.x[:, 2].tolist()
    assert out.x[:, 0].tolist() == [0] * 6
    untouched = _fit(_features(TEXTS, numbers), ATTACKS).transform(_features(TEXTS, numbers))
    assert np.array_equal(untouched.x[:, 1], np.array(numbers, np.float32), equal_nan=True)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 3), st.booleans()),
             min_size=1, max_size=30), st.randoms())  # fmt: skip
def test_the_order_of_flows_is_irrelevant_and_rates_are_shares(rows, random):
    def fitted(rows):
        texts, numbers, attacks = zip(*rows, strict=True)
        return _fit(_features(texts, numbers), attacks, numeric=("x_tcp_flags",))

    shuffled = random.sample(rows, len(rows))
    first, second = fitted(rows), fitted(shuffled)
    assert first.get_state() == second.get_state()
    texts, numbers, attacks = zip(*rows, strict=True)
    rates = first.transform(_features(texts, numbers)).x[:, 1:]
    assert ((rates >= 0) & (rates <= 1)).all()
    if not any(attacks):
        assert not rates.any()


def test_labels_are_needed():
    made = TargetEncoding(TargetEncodingConfig())
    assert isinstance(made, SupervisedTransform)
    with pytest.raises(ContractError, match="learns from labels"):
        made.fit(_features(TEXTS), seed=0)
    with pytest.raises(ContractError, match="2 labels for 6 flows"):
        made.fit_labelled(_features(TEXTS), np.zeros(2, np.bool_), seed=0)


def test_a_lost_category_is_refused():
    fitted = _fit(_features(TEXTS), ATTACKS)
    with pytest.raises(ContractError, match="protocol"):
        fitted.transform(FlowFeatures(np.zeros((1, 2), np.float32), ("x_a", "x_tcp_flags")))


def test_many_distinct_values_do_not_grow_the_state_without_bound():
    texts = [f"v{n}" for n in range(5000)] + ["often"] * 500
    fitted = _fit(_features(texts), [text == "often" for text in texts])
    assert len(fitted.get_state().values["texts"]["protocol"]["values"]) == 4096
    assert fitted.transform(_features(["often"])).x[0, 2] == pytest.approx(1)


def test_it_says_that_it_is_supervised_and_keeps_the_rules():
    assert PART.supervised
    check_flow_transform(PART)
    check_flow_transform(PART, config={"numeric": ("x_*", "fwd_bytes")})
