from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError, TrainingError
from netvigil.protocols import State, Watch
from netvigil.testing.synthetic.windows import windows
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.generator import Cggm, Scale, as_windows
from netvigil_cggm.snapshots import chronological, flow_classes, most_active, take_snapshots
from netvigil_cggm.training import Data, Game

QUICK = {"steps": 4, "batch": 4, "critic_steps": 2, "device": "cpu", "hidden": 8}


def made(**settings) -> Cggm:
    return Cggm(CggmConfig.model_validate(QUICK | settings))


def same(left: Cggm, right: Cggm) -> bool:
    states = left.get_state().arrays, right.get_state().arrays
    return states[0].keys() == states[1].keys() and all(
        np.array_equal(states[0][name], states[1][name]) for name in states[0]
    )


@pytest.mark.parametrize("adversary", ["wgan-clip", "wgan-gp", "bce"])
@pytest.mark.parametrize("density", ["empirical", "mean"])
def test_what_is_made(snapshots, adversary, density):
    generator = made(adversary=adversary, density=density).fit_snapshots(snapshots, seed=0)
    found = generator.sample(generator.labels(70, seed=1), seed=1)
    low, high = snapshots.x.min((0, 1)), snapshots.x.max((0, 1))
    assert np.isfinite(found.x).all()
    assert ((found.x >= low - 1e-6) & (found.x <= high + 1e-6)).all()
    edges = snapshots.edges()
    allowed = set(edges.tolist()) if density == "empirical" else {round(edges.mean())}
    assert set(found.edges().tolist()) <= allowed
    assert found.balance().tolist() == [280, 280, 280]


def test_same_seed_same_bits(snapshots):
    one, two = (made().fit_snapshots(snapshots, seed=3) for _ in range(2))
    assert same(one, two)
    assert not same(one, made().fit_snapshots(snapshots, seed=4))
    label = one.labels(5, seed=0)
    first, second = one.sample(label, seed=0), two.sample(label, seed=0)
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(first.links, second.links)
    assert not np.array_equal(first.x, one.sample(label, seed=1).x)


def test_the_global_generator_is_not_touched(snapshots):
    before = torch.random.get_rng_state()
    made().fit_snapshots(snapshots, seed=0).generate(2, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_test_snapshots_are_never_read(snapshots):
    mixed = np.random.default_rng(0).permuted(snapshots.label[14:].ravel()).reshape(6, -1)
    label = snapshots.label.copy()
    label[14:] = np.where(snapshots.active[14:], mixed, 0)
    other = replace(snapshots, label=label)
    fits = [made().fit_snapshots(chronological(s, 0.7)[0], seed=0) for s in (snapshots, other)]
    assert same(*fits)


def test_critic_weights_stay_within_the_clip(snapshots):
    data = Data(
        torch.tensor(Scale.of(snapshots.x).into(snapshots.x)),
        torch.tensor(snapshots.label),
        torch.tensor(snapshots.links, dtype=torch.float32),
        torch.tensor(snapshots.edges()),
    )
    game = Game(data, 3, CggmConfig.model_validate(QUICK | {"critic_rate": 1.0}), seed=0)
    start = [p.clone() for p in game.critic.parameters()]
    for _ in range(3):
        game.step()
        assert all(p.abs().max() <= 0.01 for p in game.critic.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(start, game.critic.parameters(), strict=True))


def test_it_learns_what_tells_classes_apart(make_snapshots):
    generator = made(steps=200, batch=16, critic_steps=1, learning_rate=6e-3)
    real = make_snapshots(40)
    generator.fit_snapshots(real, seed=0)
    for number, name in enumerate(("normal", "dos", "scan")):
        graphs = generator.generate(8, condition=name, seed=0).windows
        centre = real.x[(real.label == number) & real.active].mean(0)
        np.testing.assert_allclose(graphs.node_x.mean(0), centre, atol=0.15)


def test_windows_of_what_is_made(snapshots):
    graphs = as_windows(snapshots)
    assert len(graphs) == len(snapshots)
    assert len(graphs.flow_id) == snapshots.edges().sum()
    assert graphs.schema == "flow-host"
    src, _ = graphs.node_rows()
    assert np.array_equal(graphs.flow_x, graphs.node_x[src])
    assert len(graphs[2:5].node_x) == 3 * snapshots.nodes


def test_from_windows_to_windows(make_labels):
    graphs = windows(6, flows=40, nodes=6)
    names = np.where(np.arange(len(graphs.flow_id)) % 3, "normal", "dos").tolist()
    labels = make_labels(graphs.flow_id, names)
    lines = []
    generator = made(nodes=5)
    generator.watch(Watch(write=lambda **line: lines.append(line)))
    generator.fit([graphs[:4], graphs[4:]], labels, seed=0)
    assert {"critic", "adversarial", "rebuild", "latent", "step", "event"} <= lines[-1].keys()
    again = generator.generate(3, seed=1).windows
    assert again.feature_names == graphs.feature_names
    assert len(again) == 3
    assert set(again.node_key.tolist()) == set(most_active(graphs, 5).tolist())
    whole = take_snapshots(graphs, labels, most_active(graphs, 5))
    assert set(np.diff(again.flow_ptr)) <= set(whole.edges().tolist())
    with pytest.raises(ContractError, match="no labels"):
        generator.fit([graphs], None, seed=0)
    with pytest.raises(ContractError, match="one-shot"):
        generator.fit(iter([graphs]), labels, seed=0)


def test_classes_without_a_node_are_not_promised(snapshots):
    wide = replace(snapshots, classes=(*snapshots.classes, "worms"))
    generator = made().fit_snapshots(wide, seed=0)
    assert generator.labels(9, seed=0).max() == 2
    with pytest.raises(ConfigError, match="No class is called 'worms'"):
        generator.generate(1, condition="worms", seed=0)


def test_a_state_carries_everything(snapshots):
    first = made(attention="node", heads=3).fit_snapshots(snapshots, seed=0)
    second = made(attention="node", heads=3).set_state(first.get_state())
    one, two = (each.generate(3, seed=2).windows for each in (first, second))
    assert np.array_equal(one.node_x, two.node_x)
    assert np.array_equal(one.flow_dst, two.flow_dst)
    state = first.get_state()
    for wrong in (State({}, {}), State({}, state.values), State(state.arrays, {"generator": "x"})):
        with pytest.raises(BundleError):
            made().set_state(wrong)
    with pytest.raises(BundleError):
        made(heads=1, hidden=9).set_state(state)


def test_before_fit_nothing_is_made():
    for use in (lambda g: g.generate(1, seed=0), lambda g: g.get_state()):
        with pytest.raises(NotFittedError):
            use(made())


@pytest.mark.parametrize("rate", [1e30, 1e9])
def test_what_explodes_is_said(snapshots, rate):
    with pytest.raises(TrainingError, match=r"in step \d of 4"):
        made(adversary="wgan-gp", critic_rate=rate).fit_snapshots(snapshots, seed=0)


@pytest.mark.parametrize(
    "wrong",
    [{"nodes": 1}, {"heads": 0}, {"clip": 0}, {"label_plan": {}}, {"steps": 0}, {"stpes": 3}],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        CggmConfig.model_validate(wrong)


@pytest.mark.parametrize("share", [0.25, 0.7])
def test_a_density_is_kept_within_one_link(snapshots, share):
    fitted = made(density=share).fit_snapshots(snapshots, seed=0)
    edges = fitted.sample(fitted.labels(3, seed=0), seed=0).edges()
    assert np.abs(edges - share * snapshots.nodes * (snapshots.nodes - 1)).max() <= 1


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5])
def test_densities_outside_are_refused(share):
    with pytest.raises(ValidationError, match="density"):
        made(density=share)


def test_a_linear_backbone_mixes_no_nodes(snapshots):
    fitted = made(backbone="linear").fit_snapshots(snapshots, seed=0)
    assert not any("convolution" in name for name in fitted.get_state().arrays)
    label = fitted.labels(2, seed=0)
    other = made(backbone="linear").set_state(fitted.get_state())
    assert np.array_equal(fitted.sample(label, seed=1).x, other.sample(label, seed=1).x)


def test_generated_flows_are_of_their_sources_class_and_know_its_services(labelled):
    graphs, labels = labelled
    fitted = made(nodes=6).fit([graphs], labels, seed=0)
    found = fitted.generate(4, seed=0)
    src, _ = found.windows.node_rows()
    names = found.labels.table["attack"].cast("string").fill_null("benign").to_pylist()
    assert names == found.node_class[src].tolist()
    known = flow_classes(labels, graphs.flow_id)
    for number, name in enumerate(("benign", *known.names[1:])):
        seen = set(graphs.flow_service[known.code == number].tolist())
        rows = [row for row, own in enumerate(names) if own == name]
        assert set(found.windows.flow_service[rows].tolist()) <= seen
    back = made(nodes=6).set_state(fitted.get_state()).generate(4, seed=0)
    assert np.array_equal(back.windows.flow_service, found.windows.flow_service)


def test_progress_adds_up_to_the_flows(labelled):
    graphs, labels = labelled
    told = []
    fitted = made(nodes=6, steps=7)
    fitted.watch(Watch(told.append))
    fitted.fit([graphs], labels, seed=0)
    assert len(told) == 7
    assert sum(told) == len(graphs.flow_id)
