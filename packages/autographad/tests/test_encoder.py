from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from netvigil.contracts import WindowGraphs
from netvigil.errors import BundleError, ContractError, NotFittedError, TrainingError
from netvigil.protocols import State, Watch, Watched
from netvigil.testing.synthetic.windows import windows
from netvigil_autographad import encoder
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.encoder import AutoGraphAD

QUICK = {"epochs": 3, "hidden": 6, "device": "cpu"}
CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def fitted(graphs=None, *, seed=0, **settings):
    config = AutoGraphADConfig.model_validate(QUICK | settings)
    train = windows(6, flows=40) if graphs is None else graphs
    return AutoGraphAD(config).fit([train], seed=seed)


@pytest.fixture(scope="module")
def made():
    return fitted(layers=2, draws=2, structure_score="deviation")


def arrays(encoded):
    return {name: encoded.terms[name] for name in ("feature", "structure", "kl")}


def require_close(found, wanted):
    for name, value in arrays(found).items():
        np.testing.assert_allclose(value, wanted[name], **CLOSE, err_msg=name)


def test_terms_are_finite_and_never_negative(made):
    probe = windows(7, seed=4)
    found = made.encode(probe)
    assert np.array_equal(found.flow_id, probe.flow_id)
    for value in arrays(found).values():
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        assert value.min() >= -1e-6


def reordered(graphs, flows, nodes):
    """Put flows and hosts of each window into another order; `nodes` maps old rows to new ones."""
    base = np.repeat(graphs.node_ptr[:-1], np.diff(graphs.flow_ptr))
    back = np.argsort(nodes)
    src, dst = (nodes[rows] - base for rows in graphs.node_rows())
    return replace(
        graphs,
        flow_id=graphs.flow_id[flows],
        flow_x=np.ascontiguousarray(graphs.flow_x[flows]),
        flow_src=src[flows].astype(np.int32),
        flow_dst=dst[flows].astype(np.int32),
        node_key=graphs.node_key[back],
    )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_the_order_of_flows_and_hosts_is_irrelevant(made, seed):
    graphs = windows(5, seed=seed, flows=30)
    rng = np.random.default_rng(seed)
    flows = np.lexsort((rng.random(len(graphs.flow_id)), graphs.window_of_flow()))
    window = np.repeat(np.arange(len(graphs)), np.diff(graphs.node_ptr))
    nodes = np.argsort(np.lexsort((rng.random(len(window)), window)))
    found = made.encode(reordered(graphs, flows, nodes))
    require_close(found, arrays(made.encode(graphs).take(flows)))


def test_the_order_of_windows_is_irrelevant(made):
    graphs = windows(6, seed=3)
    order = [4, 0, 5, 2, 1, 3]
    parts = [graphs[n : n + 1] for n in order]
    sizes = [[len(part.flow_id), len(part.node_key)] for part in parts]
    pointers = np.concatenate([[[0, 0]], np.cumsum(sizes, axis=0)]).astype(np.int64)
    names = ("flow_id", "flow_x", "flow_src", "flow_dst", "node_key", "window_start")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    moved = WindowGraphs(
        schema=graphs.schema,
        feature_names=graphs.feature_names,
        flow_ptr=pointers[:, 0].copy(),
        node_ptr=pointers[:, 1].copy(),
        **joined,
    )
    rows = np.concatenate([np.arange(*graphs.flow_ptr[n : n + 2]) for n in order])
    require_close(made.encode(moved), arrays(made.encode(graphs).take(rows)))


@pytest.mark.parametrize("block", [1, 70, 10**6])
def test_splitting_a_batch_changes_no_term(made, monkeypatch, block):
    graphs = windows(9, seed=1)
    whole = arrays(made.encode(graphs))
    monkeypatch.setattr(encoder, "BLOCK", block)
    require_close(made.encode(graphs), whole)


def test_odd_windows(made):
    odd = windows(3)
    assert len(made.encode(odd[0:1])) == 1  # a flow of a host with itself
    assert len(made.encode(odd[1:2])) == 0
    assert len(made.encode(odd[0:0])) == 0
    found = fitted(odd[0:2], epochs=2)  # one flow is enough to train
    assert np.isfinite(found.encode(odd).terms["feature"]).all()


def test_a_host_with_a_hundred_thousand_flows():
    flows, few = 100_000, windows(3, flows=10, nodes=4)
    rng = np.random.default_rng(0)
    star = WindowGraphs(
        schema="flow-host",
        feature_names=few.feature_names,
        flow_id=np.arange(flows),
        flow_x=rng.standard_normal((flows, 5)).astype(np.float32),
        flow_ptr=np.array([0, flows]),
        window_start=np.zeros(1, np.int64),
        flow_src=np.zeros(flows, np.int32),
        flow_dst=rng.integers(0, 3, flows).astype(np.int32),
        node_ptr=np.array([0, 3]),
        node_key=np.arange(3, dtype=np.uint64),
    )
    made = fitted(star, epochs=1)
    assert all(np.isfinite(value).all() for value in arrays(made.encode(star)).values())


def test_labels_aside_equal_seeds_give_equal_bits_and_others_do_not():
    first, again, other = fitted(), fitted(), fitted(seed=1)
    probe = windows(4, seed=9)
    one, two, three = (arrays(made.encode(probe)) for made in (first, again, other))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["feature"], three["feature"])


def test_no_global_randomness_is_used():
    before = torch.get_rng_state()
    fitted(draws=2, regulariser=True)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "settings", [{}, {"draws": 3, "layers": 3}, {"heads": "sage", "distinct_relations": False}]
)
def test_a_state_gives_equal_bits(settings):
    made = fitted(**settings)
    state = made.get_state()
    carried = State(load(save(dict(state.arrays))), json.loads(json.dumps(dict(state.values))))
    heir = AutoGraphAD(made.config).set_state(carried)
    probe = windows(5, seed=2)
    one, two = arrays(made.encode(probe)), arrays(heir.encode(probe))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    again = heir.get_state()
    assert all(np.array_equal(state.arrays[name], again.arrays[name]) for name in state.arrays)


def test_states_of_others_are_refused(made):
    state = made.get_state()
    narrow = AutoGraphAD(made.config.model_copy(update={"hidden": 5}))
    single = AutoGraphAD(made.config.model_copy(update={"draws": 1}))
    for heir, given_state in (
        (narrow, state),
        (single, state),
        (AutoGraphAD(made.config), State()),
        (AutoGraphAD(made.config), State(state.arrays, {**state.values, "schema": "other"})),
    ):
        with pytest.raises(BundleError, match="not a state of"):
            heir.set_state(given_state)


def test_unfitted():
    fresh = AutoGraphAD(AutoGraphADConfig())
    for call in (lambda: fresh.encode(windows(2)), fresh.get_state):
        with pytest.raises(NotFittedError, match="has not been fitted"):
            call()
    assert fresh.validation_loss_ == float("inf")
    assert fresh.accelerator is None


def test_other_features_are_refused_by_name(made):
    graphs = windows(3)
    other = replace(graphs, feature_names=("x_0", "x_1", "x_2", "x_3", "y"))
    with pytest.raises(ContractError, match="other features") as caught:
        made.encode(other)
    assert caught.value.where == "Missing: x_4. New: y."
    swapped = replace(graphs, feature_names=graphs.feature_names[::-1])
    with pytest.raises(ContractError, match="another order"):
        made.encode(swapped)


def test_other_schemas_and_empty_trains_are_refused(made):
    bare = windows(3, schema="flows-only")
    for call in (lambda: made.encode(bare), lambda: fitted(bare)):
        with pytest.raises(ContractError, match="flows and hosts, not 'flows-only'"):
            call()
    with pytest.raises(ContractError, match="no feature"):
        fitted(windows(3, features=0))
    with pytest.raises(ContractError, match="no window"):
        AutoGraphAD(AutoGraphADConfig()).fit([], seed=0)
    with pytest.raises(ContractError, match="one-shot"):
        AutoGraphAD(AutoGraphADConfig()).fit(iter([windows(3)]), seed=0)
    with pytest.raises(TrainingError, match="no flow"):
        fitted(windows(2)[1:2])


def test_progress_is_reported_and_the_best_validation_loss_kept():
    lines, seen = [], []
    made = AutoGraphAD(AutoGraphADConfig.model_validate(QUICK))
    assert isinstance(made, Watched)
    assert made.passes == 3
    made.watch(Watch(advance=seen.append, write=lambda **line: lines.append(line)))
    train = windows(8, flows=40)
    made.fit([train], seed=0)
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert len(epochs) == 3
    assert sum(seen) == 3 * len(train.flow_id)
    assert made.validation_loss_ == min(line["validation"]["total"] for line in epochs)
    assert fitted(validation=0.0).validation_loss_ == float("inf")


def test_training_lowers_every_loss():
    made = fitted(windows(12, flows=200), epochs=40, anneal_epochs=1, learning_rate=0.01)
    first, last = made.trained_.history[1]["train"], made.trained_.history[-1]["train"]
    assert last["total"] < 0.8 * first["total"]
    assert last["feature"] < first["feature"]


def test_planted_outliers_stand_out():
    train = windows(12, flows=200, nodes=10)
    made = fitted(train, epochs=40, hidden=16, anneal_epochs=5, learning_rate=0.01)
    probe = windows(4, seed=77, flows=200, nodes=10)
    x = probe.flow_x.copy()
    odd = np.arange(5, len(x), 50)
    x[odd] += np.float32(8)
    found = made.encode(replace(probe, flow_x=x)).terms["feature"]
    usual = np.delete(found, odd)
    assert np.median(found[odd]) > np.quantile(usual, 0.99)


def test_windows_that_can_be_written_to_stay_as_they_are():
    train, probe = windows(6, flows=40), windows(5, seed=3)
    before = [graphs.flow_x.copy() for graphs in (train, probe)]
    assert train.flow_x.flags.writeable
    fitted(train, layers=2, regulariser=True).encode(probe)
    for graphs, wanted in zip((train, probe), before, strict=True):
        np.testing.assert_array_equal(graphs.flow_x, wanted)
