"""The network by hand, and beside PyG; weights and F1 by hand; what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.contracts import LabelTable, WindowGraphs
from netvigil.errors import ContractError, NotFittedError
from netvigil.testing.synthetic.windows import windows
from netvigil.torch.generators import build, generator
from netvigil_heterognn import batch as batches
from netvigil_heterognn import fused
from netvigil_heterognn.batch import Blocks, HeteroBatch
from netvigil_heterognn.classifier import HeteroFlowGNN
from netvigil_heterognn.config import HeteroFlowGNNConfig
from netvigil_heterognn.learner import by_autograd, class_weights
from netvigil_heterognn.losses import cross_entropy, macro_f1, shares
from netvigil_heterognn.network import Layer, Network


def tiny(**changes) -> WindowGraphs:
    """Two windows: flows 0 -> 1, 0 -> 1, 1 -> 0 of two hosts; and one self-loop."""
    values = {
        "schema": "flow-host",
        "feature_names": ("x_a",),
        "flow_id": np.arange(4),
        "flow_x": np.array([[1.0], [3.0], [5.0], [7.0]], np.float32),
        "flow_ptr": np.array([0, 3, 4]),
        "window_start": np.array([0, 10]),
        "flow_src": np.array([0, 0, 1, 0], np.int32),
        "flow_dst": np.array([1, 1, 0, 0], np.int32),
        "node_ptr": np.array([0, 2, 3]),
        "node_key": np.array([5, 9, 5], np.uint64),
        "flow_service": np.array([80, 443, 80, 22], np.uint64),
    }
    return WindowGraphs(**(values | changes))


def host_features(graphs: WindowGraphs) -> np.ndarray:
    return HeteroBatch.of(graphs, "cpu").hosts.numpy()


def test_hosts_by_hand():
    log = np.log1p
    wanted = [
        [log(2), log(1), log(1), log(1), log(2), 2.0, 5.0],
        [log(1), log(2), log(1), log(1), log(1), 5.0, 2.0],
        [log(1), log(1), log(1), log(1), log(1), 7.0, 7.0],  # the same host, in another window
    ]
    assert host_features(tiny()) == pytest.approx(np.array(wanted, np.float32))


def test_a_host_without_flows_and_windows_without_services():
    graphs = tiny(node_ptr=np.array([0, 3, 4]), node_key=np.arange(4).astype(np.uint64))
    assert not host_features(graphs)[2].any()
    assert not host_features(tiny(flow_service=None))[:, 4].any()


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_the_order_of_flows_is_nothing_to_hosts(seed):
    graphs = windows(1, seed=3, flows=40)[0:1]
    order = np.random.default_rng(seed).permutation(len(graphs.flow_id))
    values = {
        name: getattr(graphs, name)[order] for name in ("flow_id", "flow_x", "flow_src", "flow_dst")
    }
    service = None if graphs.flow_service is None else graphs.flow_service[order]
    mixed = WindowGraphs(
        schema=graphs.schema,
        feature_names=graphs.feature_names,
        flow_ptr=graphs.flow_ptr,
        node_ptr=graphs.node_ptr,
        node_key=graphs.node_key,
        window_start=graphs.window_start,
        flow_service=service,
        **values,
    )
    assert host_features(mixed) == pytest.approx(host_features(graphs), rel=1e-4, abs=1e-5)


@torch.no_grad()
def test_a_layer_by_hand():
    """All weights 1, no biases, hosts start from 1: h_flow = x + 2, h_host = 1 + means."""
    batch = HeteroBatch.of(tiny(), "cpu", described=False)
    layer = Layer(1, 1, 1, last=False)
    for name, parameter in layer.named_parameters():
        parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    flows, hosts = layer(batch, batch.graph.x, batch.hosts)
    assert flows.flatten().tolist() == [3.0, 5.0, 7.0, 9.0]
    assert hosts.flatten().tolist() == [1 + 2 + 5, 1 + 5 + 2, 1 + 7 + 7]


# PyG itself still compiles with the deprecated torch.jit when it is imported.
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@torch.no_grad()
def test_a_layer_is_pygs_hetero_conv():
    from torch_geometric.nn import HeteroConv, SAGEConv

    graphs = windows(5, seed=1, flows=30)
    batch = HeteroBatch.of(graphs, "cpu")
    flow_width, host_width = batch.graph.x.shape[1], batch.hosts.shape[1]
    layer = build(lambda: Layer(flow_width, host_width, 7, last=False), generator(2), "cpu")
    src, dst = batch.graph.src.node, batch.graph.dst.node
    rows = torch.arange(batch.flows)
    edges = {
        ("host", "source", "flow"): torch.stack([src, rows]),
        ("host", "destination", "flow"): torch.stack([dst, rows]),
        ("flow", "sent", "host"): torch.stack([rows, src]),
        ("flow", "received", "host"): torch.stack([rows, dst]),
    }
    matrices = (layer.source_to_flow, layer.destination_to_flow)
    matrices += (layer.flow_to_source, layer.flow_to_destination)
    convs = {}
    for (kind, _, other), matrix, key in zip(edges, matrices, edges, strict=True):
        widths = {"flow": flow_width, "host": host_width}
        conv = SAGEConv((widths[kind], widths[other]), 7)
        own = layer.flow_own if other == "flow" else layer.host_own
        conv.lin_l.weight.copy_(matrix.weight)
        conv.lin_l.bias.copy_(own.bias / 2)
        conv.lin_r.weight.copy_(own.weight / 2)
        convs[key] = conv
    plain = HeteroConv(convs, aggr="sum")({"flow": batch.graph.x, "host": batch.hosts}, edges)
    flows, hosts = layer(batch, batch.graph.x, batch.hosts)
    torch.testing.assert_close(flows, plain["flow"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(hosts, plain["host"], rtol=1e-4, atol=1e-4)


def test_what_lies_further_away_than_layers_does_not_count():
    graphs = windows(3, seed=1, flows=20)
    config = HeteroFlowGNNConfig(layers=1, host_features="ones")
    network = build(lambda: Network(graphs.flow_x.shape[1], 1, 3, config), generator(0), "cpu")
    x = graphs.flow_x.copy()
    x[1:] += 1.0
    changed = WindowGraphs.trusted(**{**vars(graphs), "flow_x": x})
    first = [network(HeteroBatch.of(g, "cpu", described=False))[0] for g in (graphs, changed)]
    assert torch.equal(*first)


def test_weights_of_classes_by_hand():
    y = np.array([0, 0, 0, 0, 1, 1, 2])
    assert class_weights(y, 3, HeteroFlowGNNConfig()).tolist() == [1, 1, 1]
    inverse = np.array([1 / 4, 1 / 2, 1.0])
    found = class_weights(y, 3, HeteroFlowGNNConfig(class_weight="inverse"))
    assert found == pytest.approx(inverse / inverse.mean())
    effective = 0.5 / (1 - 0.5 ** np.array([4, 2, 1]))
    config = HeteroFlowGNNConfig(class_weight="effective", beta=0.5)
    assert class_weights(y, 3, config) == pytest.approx(effective / effective.mean())


def test_the_loss_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]))
    y = np.array([0, 1, -1])  # the last one is unknown
    share = torch.from_numpy(shares(y, np.array([1.0, 3.0], np.float32)))
    wanted = (np.log(2) + 3 * np.log(4 / 3)) / 4
    assert cross_entropy(logits, torch.from_numpy(y), share).item() == pytest.approx(wanted)
    nobody = shares(np.array([-1, -1]), np.ones(2, np.float32))
    assert nobody.tolist() == [0, 0]


def test_macro_f1_leaves_absent_classes_out():
    assert macro_f1(torch.tensor([[2, 1], [0, 0]])).item() == pytest.approx(0.8)
    assert macro_f1(torch.zeros(2, 2, dtype=torch.int64)).item() == 0


def blocks_of(graphs: WindowGraphs, *, described: bool = True) -> Blocks:
    """Windows with classes of every kind, one in five flows unknown."""
    y = np.arange(len(graphs.flow_id)) % 5 - 1
    share = shares(y, np.array([1.0, 2.0, 0.5, 1.0], np.float32))
    device = torch.device("cpu")
    return Blocks.of(graphs, device, codes=y, share=share, described=described)


def gradients(network: Network) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return found


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("slope", [0.01, 0.0])
def test_gradients_written_out_are_autograds(monkeypatch, layers, described, slope):
    monkeypatch.setattr(batches, "BLOCK", 64)  # several blocks
    # The first window holds one flow, the second none.
    graphs = windows(12, seed=3, flows=25, nodes=9)
    batch = blocks_of(graphs, described=described)
    assert len(batch.blocks) > 3
    width = batch.blocks[0].hosts.shape[1]
    config = HeteroFlowGNNConfig(layers=layers, hidden=8, slope=slope)
    network = build(
        lambda: Network(graphs.flow_x.shape[1], width, 4, config), generator(7), "cpu"
    ).double()
    batch = Blocks(tuple(doubled(block) for block in batch.blocks))
    total, counted = by_autograd(network, batch.blocks)
    total.backward()
    wanted = gradients(network)
    found, again = fused.learn(network, batch.blocks, training=True)
    torch.testing.assert_close(found, total.detach())
    assert torch.equal(counted, again)
    torch.testing.assert_close(gradients(network), wanted)
    block = batch.blocks[0]
    torch.testing.assert_close(fused.logits(network, block), network(block).detach())


def doubled(block: HeteroBatch) -> HeteroBatch:
    """In double precision, where rounding hides nothing."""
    graph = dataclasses.replace(block.graph, x=block.graph.x.double())
    hosts, share = block.hosts.double(), block.share.double()
    return dataclasses.replace(block, graph=graph, hosts=hosts, share=share)


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(batches, "BLOCK", 64)
    batch = blocks_of(windows(30, seed=3, flows=25, nodes=9))
    widths = [values.shape[1] for values in (batch.blocks[0].graph.x, batch.blocks[0].hosts)]
    config = HeteroFlowGNNConfig(hidden=8)
    network = build(lambda: Network(*widths, 4, config), generator(7), "cpu")
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        total, _ = fused.learn(network, batch.blocks, training=True)
        found.append([total, *gradients(network).values()])
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def taught(graphs: WindowGraphs, **settings) -> tuple[LabelTable, HeteroFlowGNN]:
    truth = np.asarray(graphs.flow_x[:, 0]) > 0
    labels = LabelTable.of(np.asarray(graphs.flow_id), truth, pa.nulls(len(truth), pa.string()))
    config = HeteroFlowGNNConfig(device="cpu", **{"epochs": 3, "hidden": 8, **settings})
    return labels, HeteroFlowGNN(config)


def test_epochs_are_judged_by_the_macro_f1_of_all_flows_held_out():
    """Whatever the size of batches, an epoch's `judged` is 1 - macro-F1 of the whole part."""
    graphs = windows(12, seed=5, flows=30)
    found = []
    for batch in (40, 10_000):
        labels, made = taught(graphs, batch=batch, validation=0.5, epochs=1, learning_rate=1e-12)
        made.fit([graphs], labels, seed=0)
        found.append(made.trained_.history[0]["validation"]["judged"])
    assert found[0] == pytest.approx(found[1], abs=2e-3)  # the loss that breaks ties differs a bit


def test_refuses_what_it_cannot_learn_from():
    graphs = windows(4, seed=1)
    labels, made = taught(graphs)
    with pytest.raises(NotFittedError):
        made.classify(graphs)
    with pytest.raises(ContractError, match="needs windows of flows and hosts"):
        made.fit([windows(4, seed=1, schema="flows-only")], labels, seed=0)
    with pytest.raises(ContractError, match="one-shot"):
        made.fit(iter([graphs]), labels, seed=0)
    with pytest.raises(ContractError, match="no window"):
        made.fit([], labels, seed=0)
    elsewhere = LabelTable.of(np.array([-5, -4]), np.array([False, True]), pa.nulls(2))
    with pytest.raises(ContractError, match="No flow of these windows is of class benign, attack"):
        made.fit([graphs], elsewhere, seed=0)


def test_a_class_of_one_flow_is_learnt_along():
    graphs = windows(4, seed=1, flows=40)
    truth = np.zeros(len(graphs.flow_id), np.bool_)
    truth[5] = True
    labels = LabelTable.of(np.asarray(graphs.flow_id), truth, pa.nulls(len(truth), pa.string()))
    for weighting in ("none", "inverse", "effective"):
        _, made = taught(graphs, class_weight=weighting)
        terms = made.fit([graphs], labels, seed=0).classify(graphs).terms
        assert list(terms) == ["benign", "attack"]
