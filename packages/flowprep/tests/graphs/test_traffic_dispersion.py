"""Nodes carry the means of their flows; windows are those of `flow-host`, no flow is lost."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from netvigil import parts
from netvigil.addresses import text_keys
from netvigil.contracts import FlowFeatures
from netvigil.plugins import load_plugins
from netvigil.testing.conformance import checks_for
from netvigil.testing.synthetic import traffic
from netvigil_flowprep.graphs.flow_host import FlowHost, FlowHostConfig
from netvigil_flowprep.graphs.traffic_dispersion import TrafficDispersion, TrafficDispersionConfig

PART = load_plugins().get(parts.GraphBuilder, "traffic-dispersion").part


def built(config, flows):
    features = FlowFeatures(
        np.random.default_rng(0).standard_normal((len(flows), 3)).astype(np.float32),
        ("a", "b", "c"),
    )
    made = TrafficDispersion(TrafficDispersionConfig.model_validate(config))
    window = made.window_of(flows, first_row=0)
    return made.build(flows, features, window), features


def loop(flows, graphs, features, *, ends="source", weight=None, addresses=()):
    """The mean of each node by a loop over flows."""
    total: dict[tuple[int, int], np.ndarray] = {}
    heavy: dict[tuple[int, int], float] = {}
    plain: dict[tuple[int, int], list[np.ndarray]] = {}
    inside = set(addresses)
    sources, targets = (flows.table[name].to_pylist() for name in ("src_ip", "dst_ip"))
    texts = sorted(set(sources + targets))
    keys = dict(zip(texts, text_keys(pa.array(texts)).tolist(), strict=True))
    for row, window in enumerate(graphs.window_of_flow().tolist()):
        if inside and not {sources[row], targets[row]} <= inside:
            continue
        who = {sources[row]} if ends == "source" else {sources[row], targets[row]}
        for text in who:
            place = (window, keys[text])
            share = 1.0 if weight is None else float(weight[row])
            total[place] = total.get(place, 0) + share * features.x[row].astype(float)
            heavy[place] = heavy.get(place, 0) + share
            plain.setdefault(place, []).append(features.x[row])
    wanted = np.zeros((len(graphs.node_key), 3))
    node_window = np.repeat(np.arange(len(graphs)), np.diff(graphs.node_ptr))
    for node, place in enumerate(zip(node_window.tolist(), graphs.node_key.tolist(), strict=True)):
        if heavy.get(place, 0) > 0:
            wanted[node] = total[place] / heavy[place]
        elif place in plain:
            wanted[node] = np.mean(plain[place], axis=0)
    return wanted


@pytest.mark.parametrize("ends", ["source", "both"])
@pytest.mark.parametrize("weight", ["flows", "bytes"])
@pytest.mark.parametrize("window", [{"window_flows": 70}, {"window_s": 600}, {"whole": True}])
def test_means_are_those_of_a_loop(ends, weight, window):
    flows, _ = traffic(300, seed=1)
    graphs, features = built({"ends": ends, "weight": weight, **window}, flows)
    counted = None
    if weight == "bytes":
        sent, back = (flows.table[n].fill_null(0).to_numpy() for n in ("fwd_bytes", "bwd_bytes"))
        counted = sent.astype(float) + back
    wanted = loop(flows, graphs, features, ends=ends, weight=counted)
    np.testing.assert_allclose(graphs.node_x, wanted, atol=2e-5)


def test_windows_are_those_of_flow_host():
    flows, _ = traffic(300, seed=2)
    graphs, features = built({"window_flows": 50}, flows)
    plain = FlowHost(FlowHostConfig(window_flows=50))
    other = plain.build(flows, features, plain.window_of(flows, first_row=0))
    for name in ("flow_id", "flow_x", "flow_src", "flow_dst", "node_key", "node_ptr", "flow_ptr"):
        assert np.array_equal(getattr(graphs, name), getattr(other, name))


def test_a_dictionary_is_the_same_in_every_window_and_loses_no_flow():
    flows, _ = traffic(300, seed=3)
    counted = flows.table["src_ip"].value_counts().to_pylist()
    busiest = sorted(counted, key=lambda row: -row["counts"])[:4]
    addresses = [row["values"] for row in busiest]
    graphs, features = built({"window_flows": 60, "addresses": addresses}, flows)
    assert np.array_equal(np.sort(graphs.flow_id), np.sort(flows.flow_id))
    keys = np.concatenate([[np.uint64(0)], np.sort(text_keys(pa.array(addresses)))])
    assert np.array_equal(graphs.node_key.reshape(len(graphs), -1), np.tile(keys, (len(graphs), 1)))
    wanted = loop(flows, graphs, features, addresses=addresses)
    np.testing.assert_allclose(graphs.node_x, wanted, atol=2e-5)
    assert not graphs.node_x[::5].any()  # all others share the first node, whose features are 0


def test_a_dictionary_that_covers_nothing_gives_windows_without_features():
    flows, _ = traffic(100, seed=4)
    graphs, _ = built({"window_flows": 50, "addresses": ["203.0.113.1", "203.0.113.2"]}, flows)
    assert not graphs.node_x.any()
    assert not graphs.flow_src.any()


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["10.0.0.1", "10.0.0.1"]])
def test_a_dictionary_of_one_host_is_refused(addresses):
    with pytest.raises(ValidationError, match="at least two that differ"):
        TrafficDispersionConfig(addresses=addresses)


@pytest.mark.parametrize(
    "config", [{}, {"ends": "both", "weight": "bytes"}], ids=["default", "both"]
)
def test_conformance(config):
    for check in checks_for(PART, config=config):
        check(PART)
