"""Streams of windows: any cut of the batches gives the same windows, as often as one asks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from netvigil.contracts import FlowFeatures, WindowGraphs, require_reiterable
from netvigil.errors import ContractError
from netvigil.features import FeatureContract, extract
from netvigil.testing.strategies import flow_tables
from netvigil.windows import SpooledWindows, build_windows

from . import fakes

FEW = hypothesis_settings(max_examples=15, deadline=None)
CONTRACT = FeatureContract(numeric=("x_mean_ps", "x_psh_packets"), categories=())
FIELDS = [
    "flow_id",
    "flow_x",
    "flow_src",
    "flow_dst",
    "flow_ptr",
    "window_start",
    "node_ptr",
    "node_key",
]


def features_of(flows) -> FlowFeatures:
    found = extract(flows, CONTRACT)
    return FlowFeatures(np.ascontiguousarray(np.nan_to_num(found.x)), found.names)


def joined(batches: list[WindowGraphs]) -> dict[str, list]:
    """Flatten batches of windows into one list per field, window by window."""
    found: dict[str, list] = {name: [] for name in FIELDS}
    for graphs in batches:
        for name in FIELDS:
            values = getattr(graphs, name)
            found[name] += np.diff(values).tolist() if name.endswith("ptr") else values.tolist()
    return found


def cut(flows, cuts):
    """Yield flows in pieces, each with the row of its first flow."""
    edges = [0, *sorted({c for c in cuts if 0 < c < len(flows)}), len(flows)]
    for low, high in pairwise(edges):
        yield low, flows.slice(low, high - low)


def builder(kind, **config):
    return kind(fakes.WindowConfig(**config))


builders = st.sampled_from(
    [
        builder(fakes.FlowsOnly, window_s=180),
        builder(fakes.FlowHost, window_s=180),
        builder(fakes.FlowHost, window_flows=4),
    ]
)


@FEW
@given(flow_tables(min_flows=1), st.lists(st.integers(0, 30)), builders)
def test_any_cut_of_the_batches_gives_the_same_windows(flows, cuts, made):
    at_once = joined(list(build_windows([(0, flows)], features_of, made)))
    piecewise = list(build_windows(cut(flows, cuts), features_of, made))
    assert joined(piecewise) == at_once
    assert at_once["flow_id"] == flows.flow_id.tolist()
    # No window is split: each number comes once.
    assert len(set(at_once["window_start"])) == len(at_once["window_start"])


@FEW
@given(flow_tables(min_flows=1, clock=False), st.lists(st.integers(0, 30)))
def test_without_a_clock_windows_count_rows(flows, cuts):
    made = builder(fakes.FlowHost, window_flows=5)
    batches = list(build_windows(cut(flows, cuts), features_of, made))
    sizes = joined(batches)["flow_ptr"]
    assert sizes == [5] * (len(flows) // 5) + [len(flows) % 5] * (len(flows) % 5 > 0)


def test_no_more_than_a_window_waits():
    """What comes in goes out at the last window boundary."""
    rows = {n: v for n, v in fakes.traffic(300).items() if n != "label"}
    flows = fakes.make_flows(rows)
    given_ = 0

    def counted():
        nonlocal given_
        for first, piece in cut(flows, range(0, 300, 10)):
            given_ += len(piece)
            yield first, piece

    made, out = builder(fakes.FlowsOnly, window_s=60), 0
    largest = 0
    plain = FeatureContract(numeric=("x_a",), categories=())
    for graphs in build_windows(counted(), lambda f: extract(f, plain), made):
        out += len(graphs.flow_id)
        largest = max(largest, int(np.diff(graphs.flow_ptr).max()))
        assert given_ - out <= largest + 20
    assert out == 300


class TestSpool:
    @FEW
    @given(flow_tables(min_flows=1), st.lists(st.integers(0, 30)), builders, st.integers(1, 12))
    def test_round_trip(self, flows, cuts, made, batch_flows):
        batches = list(build_windows(cut(flows, cuts), features_of, made))
        with TemporaryDirectory() as folder:
            spooled = SpooledWindows.write(iter(batches), Path(folder))
            spooled = SpooledWindows(SpooledWindows.open(Path(folder)).whole, batch_flows)
            first, second = list(spooled), list(spooled)
            assert joined(first) == joined(second) == joined(batches)
            assert spooled.flows == len(flows)
            assert spooled.whole.schema == made.schema
            assert spooled.whole.feature_names == CONTRACT.numeric
            for graphs in first:
                assert len(graphs.flow_id) <= batch_flows or len(graphs) == 1
                # Views of checked files are not checked again; the contract must hold all the same.
                WindowGraphs(**{f: getattr(graphs, f) for f in graphs.__dataclass_fields__})

    def test_node_features_survive(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        plain = FeatureContract(numeric=("x_a",), categories=())
        made = builder(fakes.FlowHost, window_s=600)
        graphs = made.build(flows, extract(flows, plain), made.window_of(flows, first_row=0))
        x = np.random.default_rng(0).normal(size=(len(graphs.node_key), 3)).astype(np.float32)
        values = {f: getattr(graphs, f) for f in graphs.__dataclass_fields__}
        spooled = SpooledWindows.write([WindowGraphs(**(values | {"node_x": x}))], tmp_path)
        assert np.array_equal(spooled.whole.node_x, x)
        (batch,) = list(spooled)[:1]
        assert np.array_equal(batch.node_x, x[: len(batch.node_key)])

    def test_no_window_at_all(self, tmp_path):
        assert SpooledWindows.write(iter([]), tmp_path) is None

    def test_spooled_windows_cannot_be_written_to(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        plain = FeatureContract(numeric=("x_a",), categories=())
        made = builder(fakes.FlowHost)
        spooled = SpooledWindows.write(
            build_windows([(0, flows)], lambda f: extract(f, plain), made), tmp_path
        )
        with pytest.raises(ValueError, match="read-only"):
            spooled.whole.flow_x[0, 0] = 1

    def test_a_second_spool_replaces_the_first(self, tmp_path):
        rows = {n: v for n, v in fakes.traffic(50).items() if n != "label"}
        flows = fakes.make_flows(rows)
        plain = FeatureContract(numeric=("x_a",), categories=())
        made = builder(fakes.FlowsOnly)
        for count in (50, 20):
            stream = build_windows([(0, flows.slice(0, count))], lambda f: extract(f, plain), made)
            assert SpooledWindows.write(stream, tmp_path).flows == count


def test_a_one_shot_iterator_is_refused():
    with pytest.raises(ContractError, match="one-shot iterator"):
        require_reiterable(iter([]))
    with pytest.raises(ContractError, match="one-shot iterator"):
        fakes.Sigma(fakes.SigmaConfig()).fit((graphs for graphs in ()), seed=0)
    assert require_reiterable([]) == []
