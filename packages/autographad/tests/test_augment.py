from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netvigil.testing.synthetic.windows import windows
from netvigil.torch.generators import generator
from netvigil_autographad.augment import draw
from netvigil_autographad.batch import WindowBatch
from netvigil_autographad.config import AutoGraphADConfig

CPU = torch.device("cpu")


def drawn(graphs, *, seed=0, augment=True, **settings):
    batch = WindowBatch.of(graphs, CPU)
    config = AutoGraphADConfig.model_validate(settings)
    return batch, draw(batch, config, generator(seed), augment=augment)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(1, 40))
def test_negatives_are_other_hosts_of_the_same_window(seed, nodes, flows):
    batch, draws = drawn(windows(4, seed=seed, flows=flows, nodes=nodes), seed=seed, negatives=1.0)
    window = batch.graph.window_of_node
    for negative, weight, group in zip(
        draws.negative, draws.weight, (batch.graph.src, batch.graph.dst), strict=True
    ):
        assert torch.equal(window[negative], batch.graph.window_of_flow)
        counts = weight > 0
        assert not (negative == group.node)[counts].any()
        assert torch.equal(counts, batch.others > 0)


def test_each_other_host_is_equally_likely():
    batch, draws = drawn(windows(3, flows=30_000, nodes=6), negatives=1.0)
    last = batch.graph.window_of_flow == 2
    hosts = batch.graph.node_ptr[2:4].tolist()
    for host in range(*hosts):
        true = last & (batch.graph.src.node == host)
        counts = torch.bincount(draws.negative[0][true] - hosts[0], minlength=hosts[1] - hosts[0])
        others = counts[torch.arange(len(counts)) != host - hosts[0]].double()
        assert counts[host - hosts[0]] == 0
        expected = others.mean()
        # Five standard deviations of a count.
        assert (others - expected).abs().max() < 5 * expected.sqrt()


def test_rates_are_shared_or_separate():
    graphs = windows(4, flows=20_000, nodes=50)
    _, shared = drawn(graphs)
    for flags in (shared.cut, shared.masked[None], shared.weight):
        assert abs(flags.mean() - 0.2) < 0.01
    separate = {"drop_edges": 0.1, "mask_nodes": 0.5, "negatives": 0.9}
    _, own = drawn(graphs, **separate)
    for flags, rate in ((own.cut, 0.1), (own.masked, 0.5), (own.weight, 0.9)):
        assert abs(flags.mean() - rate) < 0.01
    assert abs((own.cut[0] * own.cut[1]).mean() - 0.01) < 0.005  # links are cut one by one


def test_validation_and_zero_rates_leave_the_clean_view():
    graphs = windows(4)
    off = {"drop_edges": 0.0, "mask_nodes": 0.0}
    for batch, draws in (drawn(graphs, augment=False), drawn(graphs, **off)):
        assert draws.cut is None
        assert draws.masked is None
        assert draws.view(batch) is batch.clean


def test_the_augmented_view_hides_features_and_cuts_links():
    batch, draws = drawn(windows(4, flows=20, nodes=5))
    view = draws.view(batch)
    features = batch.graph.x.shape[1]
    hidden = draws.masked > 0
    assert (view.inputs[hidden, :features] == 0).all()
    assert torch.equal(view.inputs[~hidden, :features], batch.graph.x[~hidden])
    marks = torch.stack([draws.masked, *draws.cut, torch.ones(batch.flows)], 1)
    assert torch.equal(view.inputs[:, features:], marks)
    for side, group in enumerate((batch.graph.src, batch.graph.dst)):
        for host in range(batch.graph.nodes):
            kept = (group.node == host) & (draws.cut[side] == 0)
            wanted = view.inputs[kept, : features + 1].sum(0) / max(int(kept.sum()), 1)
            torch.testing.assert_close(view.means[side][host], wanted, rtol=1e-4, atol=1e-5)
