"""What all transforms owe, each through the part that the plugin yields."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netvigil.contracts import FlowFeatures
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State
from netvigil.testing.conformance import checks_for
from netvigil_flowprep import plugin

PARTS = {part.name: part for part in plugin.netvigil_flow_transforms()}
CONFIGS = [
    *((name, {}) for name in PARTS),
    ("clean", {"missing": "median", "drop_constant": True}),
    ("robust-scale", {"clip": None}),
    ("log1p", {"min_skew": 0.5}),
    ("standard-scale", {"clip": None}),
    ("min-max", {"clip": False}),
    ("quantile-scale", {"to": "normal", "quantiles": 2}),
    ("categories", {"mode": "one-hot", "max_levels": 1}),
    ("categories", {"mode": "count", "min_share": 0.4}),
    ("label-aware-categories", {"mode": "one-hot", "min_share": 0.4}),
    ("target-encoding", {"numeric": ("x_?", "fwd_bytes")}),
]
CASES = pytest.mark.parametrize(("name", "config"), CONFIGS, ids=str)
VALUES = st.one_of(
    st.sampled_from((0.0, -0.0, 1.0, -1.0, 1e-30, 3e37, -3e37)),
    st.floats(-1e6, 1e6, width=32),
)
TEXTS = st.one_of(st.none(), st.sampled_from(("tcp", "udp", "missing", "rare", "'", "")))


@st.composite
def features(draw, *, names=("x_a", "x_b", "x_c"), layout=None):
    flows = draw(st.integers(0, 12))
    x = draw(hnp.arrays(np.float32, (flows, len(names)), elements=VALUES))
    column = draw(st.lists(TEXTS, min_size=flows, max_size=flows))
    category = pa.array(column, pa.string()).dictionary_encode()
    layout = layout or draw(st.sampled_from(("C", "F", "strided")))
    x = np.repeat(x, 2, axis=1)[:, ::2] if layout == "strided" else np.asarray(x, order=layout)
    return FlowFeatures(x, names, {"c_proto": category})


def _make(name, config):
    part = PARTS[name]
    return part.make(part.config(**config))


def _fitted(name, config, train):
    made = _make(name, config)
    if PARTS[name].supervised:
        return made.fit_labelled(train, np.arange(len(train)) % 3 == 0, seed=0)
    return made.fit(train, seed=0)


def _rows(found):
    return [row.tobytes() for row in np.ascontiguousarray(found.x)]


@CASES
@given(data=st.data())
def test_a_row_has_the_same_bits_in_any_company_and_layout(name, config, data):
    train, left, right = (data.draw(features()) for _ in range(3))
    transform = _fitted(name, config, train)
    both = FlowFeatures(
        np.concatenate([left.x, right.x]),
        left.names,
        {
            "c_proto": pa.concat_arrays(
                [f.categories["c_proto"].cast(pa.string()) for f in (left, right)]
            ).dictionary_encode()
        },
    )
    apart = [row for half in (left, right) for row in _rows(transform.transform(half))]
    assert _rows(transform.transform(both)) == apart


@CASES
@given(data=st.data())
def test_input_is_left_alone_and_state_survives_json(name, config, data):
    train = data.draw(features())
    before = train.x.copy()
    fitted = _fitted(name, config, train)
    out = fitted.transform(train)
    assert np.array_equal(before, train.x)
    assert not np.shares_memory(out.x, train.x)
    state = fitted.get_state()
    copy = State(dict(state.arrays), json.loads(json.dumps(dict(state.values))))
    again = _make(name, config).set_state(copy).transform(train)
    assert _rows(again) == _rows(out)
    assert again.names == out.names
    assert np.isfinite(out.x).all()


@CASES
def test_conformance(name, config):
    for check in checks_for(PARTS[name], config=config):
        check(PARTS[name])


@pytest.mark.parametrize(
    "name", ["clean", "robust-scale", "standard-scale", "min-max", "quantile-scale", "categories"]
)
def test_what_learns_refuses_other_columns_and_being_used_unfitted(name):
    train = FlowFeatures(np.ones((3, 2), np.float32), ("x_a", "x_b"))
    transform = _make(name, {})
    with pytest.raises(NotFittedError, match=name):
        transform.transform(train)
    with pytest.raises(NotFittedError, match=name):
        transform.get_state()
    transform.fit(train, seed=0)
    other = FlowFeatures(np.ones((3, 2), np.float32), ("x_a", "x_z"))
    with pytest.raises(ContractError, match="other features") as refusal:
        transform.transform(other)
    assert refusal.value.where == "Missing: x_b; unexpected: x_z."
