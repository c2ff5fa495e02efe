from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvigil.contracts import WindowGraphs
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import State
from netvigil.testing.synthetic.windows import windows
from netvigil_scorers.endpoints import context
from netvigil_scorers.endpoints.context import Context, ContextConfig


def pairs(*flows: tuple[int, float]) -> WindowGraphs:
    """One window of flows from host 0 to a numbered host, with one feature."""
    return WindowGraphs(
        schema="flow-host",
        feature_names=("x_a",),
        flow_id=np.arange(len(flows)),
        flow_x=np.array([[x] for _, x in flows], np.float32),
        flow_ptr=np.array([0, len(flows)]),
        window_start=np.zeros(1, np.int64),
        flow_src=np.zeros(len(flows), np.int32),
        flow_dst=np.array([host for host, _ in flows], np.int32),
        node_ptr=np.array([0, 9]),
        node_key=np.arange(1, 10, dtype=np.uint64),
        flow_service=np.zeros(len(flows), np.uint64),
    )


def fitted(*flows: tuple[int, float], **settings) -> Context:
    config = ContextConfig(contexts=("pair",), **settings)
    return Context(config).fit([pairs(*flows)], seed=0)


def test_moments_by_hand():
    """Everybody: mean 2, mean square 6; host 1 has two flows of 0 and 2, prior weighs two."""
    made = fitted((1, 0.0), (1, 2.0), (2, 2.0), (2, 4.0), prior_flows=2.0)
    term = made.encode(pairs((1, 3.0), (5, 3.0))).terms["pair"]
    mean = (0 + 2 + 2 * 2) / 4
    variance = (0 + 4 + 2 * 6) / 4 - mean**2
    assert term[0] == pytest.approx(np.log1p((3 - mean) ** 2 / variance), rel=1e-5)
    assert term[1] == pytest.approx(np.log1p((3 - 2) ** 2 / 2), rel=1e-5)  # nobody's own context


def test_usual_elsewhere_is_unusual_here():
    habits = [(1, 0.0), (2, 5.0)] * 50
    term = fitted(*habits).encode(pairs((1, 0.0), (1, 5.0), (2, 5.0))).terms["pair"]
    assert term[1] > 5 * max(term[0], term[2])


def test_only_the_most_frequent_contexts_are_kept():
    flows = [(1, 0.0)] * 30 + [(2, 5.0)] * 20
    both = fitted(*flows).encode(pairs((1, 0.0), (2, 5.0))).terms["pair"]
    one = fitted(*flows, most_contexts=1).encode(pairs((1, 0.0), (2, 5.0))).terms["pair"]
    assert one[0] == both[0]
    assert one[1] > both[1]


@given(st.lists(st.integers(1, 60), max_size=5), st.integers(1, 40))
def test_batches_do_not_matter(cuts, rows):
    """However flows are cut, sums agree up to the last bits."""
    whole = windows(5, seed=2)
    config = ContextConfig()
    edges = sorted({0, *(c % len(whole) for c in cuts), len(whole)})
    stream = [whole[a:b] for a, b in pairwise(edges)]
    before, context.ROWS = context.ROWS, rows
    try:
        cut = Context(config).fit(stream, seed=0).encode(whole)
    finally:
        context.ROWS = before
    plain = Context(config).fit([whole], seed=0).encode(whole)
    for name, term in plain.terms.items():
        assert np.allclose(cut.terms[name], term, rtol=1e-4, atol=1e-5)


def test_a_constant_feature_has_a_floor():
    term = fitted((1, 1.0), (1, 1.0)).encode(pairs((1, 1.0), (1, 2.0))).terms["pair"]
    assert term.tolist() == pytest.approx([0.0, np.log1p(1 / 0.01)], rel=1e-4)


def test_a_state_travels_and_another_is_refused(carried):
    train = windows(4)
    made = Context(ContextConfig()).fit([train], seed=0)
    again = Context(ContextConfig()).set_state(carried(made.get_state()))
    for name, term in made.encode(train).terms.items():
        assert np.array_equal(again.encode(train).terms[name], term)
    with pytest.raises(BundleError, match="not a state of encoder 'context'"):
        Context(ContextConfig()).set_state(State())


def test_what_it_refuses():
    with pytest.raises(NotFittedError):
        Context(ContextConfig()).encode(windows(2))
    with pytest.raises(ContractError, match="no flows to fit"):
        Context(ContextConfig()).fit([windows(2)[1:2]], seed=0)
    with pytest.raises(ContractError, match="one-shot"):
        Context(ContextConfig()).fit(iter([windows(2)]), seed=0)
    made = Context(ContextConfig()).fit([windows(3)], seed=0)
    with pytest.raises(ContractError, match="other features"):
        made.encode(replace(windows(3), feature_names=tuple("abcde")))
