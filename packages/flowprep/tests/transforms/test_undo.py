"""What transforms do can be undone, up to what they clip and fill in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil import parts
from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError, NotFittedError
from netvigil.plugins import load_plugins
from netvigil.protocols import Undoing

PLUGINS = load_plugins()
UNDOABLE = [
    ("clean", {}),
    ("log1p", {}),
    ("log1p", {"min_skew": 0.5}),
    ("robust-scale", {"clip": None}),
    ("standard-scale", {"clip": None}),
    ("min-max", {}),
    ("categories", {}),
    ("categories", {"mode": "one-hot"}),
    ("categories", {"mode": "count"}),
]


def make(name, config):
    part = PLUGINS.get(parts.FlowTransform, name).part
    return part.make(part.config.model_validate(config))


def sample(seed, rows=60):
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(0, 3, (rows, 3))).astype(np.float32)
    x[:, 2] = 7  # constant
    # No two values are equally common, so that a frequency says which one it was.
    shares = {"a": 0.5, "b": 0.3, "c": 0.15, None: 0.05}
    texts = [t for t, share in shares.items() for _ in range(round(share * rows))]
    column = pa.array(rng.permutation(np.array(texts, object)), pa.string()).dictionary_encode()
    return FlowFeatures(x, ("x_a", "x_b", "x_c"), {"c_kind": column})


@pytest.mark.parametrize(("name", "config"), UNDOABLE)
@given(seed=st.integers(0, 2**32))
def test_there_and_back(name, config, seed):
    train = sample(seed)
    transform = make(name, config).fit(train, seed=0)
    assert isinstance(transform, Undoing)
    back = transform.undo(transform.transform(train))
    assert back.names == train.names
    # Where a column spreads over many magnitudes, float32 keeps its small values to its own scale.
    np.testing.assert_allclose(back.x, train.x, rtol=1e-3, atol=2e-6 * float(train.x.max()))
    assert back.categories["c_kind"].to_pylist() == train.categories["c_kind"].to_pylist()


def test_rare_stands_for_the_commonest_that_is_no_level():
    texts = ["a"] * 90 + ["rare one"] * 4 + ["rarer"] * 3 + ["r"] * 3
    column = pa.array(texts).dictionary_encode()
    train = FlowFeatures(np.zeros((100, 0), np.float32), (), {"c_kind": column})
    transform = make("categories", {"min_share": 0.5, "mode": "one-hot"}).fit(train, seed=0)
    back = transform.undo(transform.transform(train)).categories["c_kind"].to_pylist()
    assert back == ["a"] * 90 + ["rare one"] * 10


def test_what_no_level_ever_was_becomes_some_value():
    transform = make("categories", {}).fit(sample(0), seed=0)
    names = transform.transform(sample(0)).names
    noise = np.random.default_rng(0).normal(0, 9, (50, len(names))).astype(np.float32)
    back = transform.undo(FlowFeatures(noise, names))
    assert set(back.categories["c_kind"].to_pylist()) <= {"a", "b", "c", None}


def test_numbers_beyond_float32_stay_finite():
    train = sample(1)
    wild = FlowFeatures(np.full((2, 3), 1e30, np.float32), train.names)
    for name in ("log1p", "robust-scale", "min-max", "standard-scale"):
        assert np.isfinite(make(name, {}).fit(train, seed=0).undo(wild).x).all(), name


@pytest.mark.parametrize("name", ["clean", "robust-scale", "min-max", "categories"])
def test_other_columns_and_unfitted_are_refused(name):
    other = FlowFeatures(np.ones((2, 1), np.float32), ("x_z",))
    with pytest.raises(NotFittedError):
        make(name, {}).undo(other)
    with pytest.raises(ContractError, match="other features"):
        make(name, {}).fit(sample(2), seed=0).undo(other)


def test_what_clean_left_out_stays_out():
    train = sample(3)
    transform = make("clean", {"drop_constant": True}).fit(train, seed=0)
    assert transform.undo(transform.transform(train)).names == ("x_a", "x_b")
