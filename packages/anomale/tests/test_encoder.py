from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netvigil.contracts import WindowGraphs
from netvigil.errors import ConfigError, ContractError, NotFittedError, TrainingError
from netvigil.protocols import Watch, Watched
from netvigil.testing.conformance import check_encoder
from netvigil.testing.synthetic.windows import windows as synthetic
from netvigil.windows import SpooledWindows
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.encoder import AnomalE
from netvigil_anomale.plugin import netvigil_encoders

SMALL: dict[str, Any] = {"epochs": 3, "hidden": 8, "embedding": 6, "device": "cpu"}
PART = next(iter(netvigil_encoders()))


def fitted(graphs: WindowGraphs, **settings: Any) -> AnomalE:
    return AnomalE(AnomalEConfig(**{**SMALL, **settings})).fit([graphs], seed=0)


@pytest.fixture(scope="module")
def graphs() -> WindowGraphs:
    return synthetic(5, seed=1, flows=40)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"own_edge": True, "direction": "in"},
        {"form": "plain", "layers": 2, "direction": "out"},
        {"messages": "node-edge", "layers": 3, "validation": 0.3},
    ],
    ids=str,
)
def test_it_keeps_the_contract_of_encoders(settings: dict[str, Any]) -> None:
    check_encoder(PART, config=AnomalEConfig(**{**SMALL, **settings}))


def test_flows_of_an_ordered_pair_share_a_row(graph: Any) -> None:
    # Gathering both ways, two hosts that talk to nobody else would have the same state.
    made = fitted(graph([(0, 1), (0, 1), (1, 0)]), direction="in")
    found = made.encode(graph([(0, 1), (0, 1), (1, 0)], [(0, 1)]))
    assert found.row is not None
    assert found.row.tolist() == [0, 0, 1, 2]
    assert found.embedding is not None
    assert found.embedding.shape == (3, 6)
    every = found.per_flow()
    assert every is not None
    assert np.array_equal(every[0], every[1])
    assert not np.allclose(every[0], every[2])


def test_with_own_edge_they_differ(graph: Any) -> None:
    made = fitted(graph([(0, 1), (0, 1), (1, 0)]), own_edge=True)
    found = made.encode(graph([(0, 1), (0, 1), (1, 0)]))
    assert found.row is None
    assert found.embedding is not None
    assert len(found.embedding) == 3
    assert not np.allclose(found.embedding[0], found.embedding[1])


@pytest.mark.parametrize("own_edge", [False, True])
@pytest.mark.parametrize("direction", ["both", "in", "out"])
def test_an_embedding_is_that_of_the_forward_edge(
    graphs: WindowGraphs, direction: Any, own_edge: bool
) -> None:
    from netvigil_anomale.edge_batch import EdgeBatch

    made = fitted(graphs, direction=direction, own_edge=own_edge, layers=2)
    batch = EdgeBatch.of(graphs, direction)
    with torch.no_grad():
        plain = batch.embed(made.sage_, batch.x[batch.flow])[: batch.flows]
    found = made.encode(graphs).per_flow()
    assert found is not None
    np.testing.assert_allclose(found, plain.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("own_edge", [False, True])
def test_order_of_flows_and_names_of_hosts_do_not_matter(graph: Any, own_edge: bool) -> None:
    rng = np.random.default_rng(0)
    flows = rng.integers(0, 6, (80, 2))
    x = rng.standard_normal((80, 3)).astype(np.float32)
    made = fitted(graph([tuple(p) for p in flows], x=x), own_edge=own_edge)
    order, hosts = rng.permutation(80), rng.permutation(6)
    moved = graph([tuple(p) for p in hosts[flows][order]], x=x[order])
    plain = made.encode(graph([tuple(p) for p in flows], x=x, nodes=[6])).per_flow()
    other = made.encode(moved).per_flow()
    assert plain is not None
    assert other is not None
    np.testing.assert_allclose(plain[order], other, rtol=1e-4, atol=1e-5)


def test_windows_are_encoded_alike_alone_and_among_others(graphs: WindowGraphs) -> None:
    made = fitted(graphs)
    together = made.encode(graphs).per_flow()
    alone = [made.encode(graphs[i : i + 1]).per_flow() for i in range(len(graphs))]
    assert together is not None
    pieces = [piece for piece in alone if piece is not None and len(piece)]
    np.testing.assert_allclose(together, np.concatenate(pieces), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bits(graphs: WindowGraphs) -> None:
    first, second = fitted(graphs).get_state(), fitted(graphs).get_state()
    assert all(np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)
    other = AnomalE(AnomalEConfig(**SMALL)).fit([graphs], seed=1).get_state()
    assert not np.array_equal(first.arrays["edge.weight"], other.arrays["edge.weight"])


def test_memory_mapped_windows_teach_the_same(graphs: WindowGraphs, tmp_path: Path) -> None:
    spooled = SpooledWindows.write([graphs], tmp_path / "spool")
    assert spooled is not None
    state = AnomalE(AnomalEConfig(**SMALL)).fit(spooled, seed=0).get_state()
    plain = fitted(graphs).get_state()
    assert all(np.array_equal(state.arrays[name], plain.arrays[name]) for name in plain.arrays)


def test_nothing_is_drawn_from_the_global_generator(graphs: WindowGraphs) -> None:
    before = torch.get_rng_state()
    made = fitted(graphs)
    AnomalE(AnomalEConfig(**SMALL)).set_state(made.get_state()).encode(graphs)
    assert torch.get_rng_state().equal(before)


def test_training_lowers_the_loss_and_keeps_the_best_weights(graphs: WindowGraphs) -> None:
    lines: list[dict[str, Any]] = []
    made = AnomalE(AnomalEConfig(**{**SMALL, "epochs": 60, "learning_rate": 1e-2}))
    assert isinstance(made, Watched)
    assert made.passes == 60
    made.watch(Watch(write=lambda **line: lines.append(line)))
    made.fit([graphs], seed=0)
    totals = [line["train"]["total"] for line in lines if line["event"] == "epoch"]
    assert min(totals) < totals[0] - 0.1
    assert made.validation_loss_ == float("inf")
    assert made.accelerator is None


def test_held_out_windows_give_a_validation_loss(graphs: WindowGraphs) -> None:
    assert np.isfinite(fitted(graphs, validation=0.3).validation_loss_)


def test_other_features_are_refused(graphs: WindowGraphs) -> None:
    made = fitted(graphs)
    named = replace(graphs, feature_names=(*graphs.feature_names[:-1], "x_new"))
    with pytest.raises(ContractError, match=r"Missing: x_4. New: x_new."):
        made.encode(named)
    swapped = replace(graphs, feature_names=graphs.feature_names[::-1])
    with pytest.raises(ContractError, match="other features"):
        made.encode(swapped)


def test_windows_without_hosts_are_refused(graphs: WindowGraphs) -> None:
    bare = synthetic(3, schema="flows-only")
    for call in (lambda: fitted(bare), lambda: fitted(graphs).encode(bare)):
        with pytest.raises(ContractError, match="needs windows of flows and hosts"):
            call()


def test_no_flows_and_no_fit_are_said(graphs: WindowGraphs) -> None:
    with pytest.raises(ContractError, match="no flows to fit"):
        fitted(graphs[1:2])
    with pytest.raises(NotFittedError):
        AnomalE(AnomalEConfig(**SMALL)).encode(graphs)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that is absent")
def test_an_absent_gpu_is_said(graphs: WindowGraphs) -> None:
    with pytest.raises(ConfigError, match="GPU"):
        fitted(graphs, device="cuda")


def test_a_loss_that_is_not_finite_stops_the_fit(graphs: WindowGraphs) -> None:
    huge = WindowGraphs.trusted(**{**vars(graphs), "flow_x": np.full_like(graphs.flow_x, 3e38)})
    with pytest.raises(TrainingError, match=r"clean|corrupted"):
        fitted(huge)


def test_one_flow_is_enough(graph: Any) -> None:
    for pair in ((0, 1), (0, 0)):
        one = graph([pair])
        for settings in ({}, {"own_edge": True}, {"messages": "node-edge", "layers": 2}):
            found = fitted(one, **settings).encode(one)
            assert np.isfinite(found.embedding).all()
            assert len(found) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("direction", ["both", "in"])
def test_a_gpu_computes_the_same(graphs: WindowGraphs, direction: Any, infomax: Any) -> None:
    from netvigil.torch.generators import generator
    from netvigil_anomale.corruption import permute
    from netvigil_anomale.pair_batch import PairBatch

    network = infomax(5)
    drawn = permute(PairBatch.of(graphs, direction).slots, generator(0))
    here = PairBatch.of(graphs, direction).losses(network, generator(0), drawn)["total"]
    drawn = type(drawn)(drawn.row.cuda())
    there = PairBatch.of(graphs, direction, "cuda")
    rng = generator(0, device="cuda")
    assert there.losses(network.cuda(), rng, drawn)["total"].item() == pytest.approx(
        here.item(), rel=1e-5
    )
    made = fitted(graphs, direction=direction, device="cuda")
    assert made.accelerator
    host = AnomalE(AnomalEConfig(**{**SMALL, "direction": direction})).set_state(made.get_state())
    np.testing.assert_allclose(
        made.encode(graphs).embedding, host.encode(graphs).embedding, rtol=1e-3, atol=1e-4
    )
