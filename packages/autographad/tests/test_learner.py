from __future__ import annotations

import pytest
import torch

from netvigil.testing.synthetic.windows import windows
from netvigil.torch.generators import generator
from netvigil.torch.training import Step
from netvigil_autographad.augment import draw
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.learner import Learner, objective

SETTINGS = {
    "default": {},
    "two layers": {"layers": 2, "augment": 0.4},
    "three layers": {"layers": 3, "negatives": 1.0},
    "cosine": {"feature_loss": "cosine"},
    "masked": {"feature_on": "masked", "mask_nodes": 0.5},
    "shared": {"distinct_relations": False, "layers": 2},
    "sage heads": {"heads": "sage", "host_width": 3},
    "regulariser": {"regulariser": True, "regulariser_weight": 0.7, "layers": 2},
    "several draws": {"draws": 3, "kl_reduction": "mean"},
    "weights": {"feature_weight": 2.0, "structure_weight": 0.3, "drop_edges": 0.0},
    "no augmentation": {"augment": 0.0, "negatives": 0.5},
    "all links cut": {"drop_edges": 0.999, "mask_nodes": 0.0, "layers": 2},
}


def config_of(**settings):
    return AutoGraphADConfig.model_validate({"hidden": 4, **settings})


def prepared(batch, config, *, seed=3):
    rng = generator(seed)
    draws = draw(batch, config, rng, augment=True)
    shape = (batch.flows + batch.graph.nodes, config.hidden)
    noise = [
        torch.randn(shape, generator=rng, dtype=batch.graph.x.dtype) for _ in range(config.draws)
    ]
    return draws, noise


def gradients(network, total):
    network.zero_grad()
    total.backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in network.named_parameters()
    }


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_losses_and_gradients_equal_those_of_plain_pyg(
    settings, graphs, batch_of, network_of, plain
):
    config = config_of(**settings)
    batch, network = batch_of(graphs, double=True), network_of(config).double()
    draws, noise = prepared(batch, config)
    ours = objective(network, config, batch, draws, draws.view(batch), noise, kl_weight=0.3)
    theirs = plain(network, config).objective(batch, draws, noise, kl_weight=0.3)
    full = objective(network, config, batch, draws, draws.view(batch), noise, kl_weight=1.0)
    assert ours.pop("judged").item() == pytest.approx(full["total"].item(), rel=1e-9)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.item() == pytest.approx(theirs[name].item(), rel=1e-9), name
    found, wanted = gradients(network, ours["total"]), gradients(network, theirs["total"])
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-7, atol=1e-10, msg=name)


@pytest.mark.parametrize("settings", [{}, {"layers": 2, "regulariser": True}], ids=str)
def test_single_precision_agrees_too(settings, graphs, batch_of, network_of, plain):
    config = config_of(**settings)
    batch, network = batch_of(graphs), network_of(config)
    draws, noise = prepared(batch, config)
    ours = objective(network, config, batch, draws, draws.view(batch), noise, kl_weight=1.0)
    theirs = plain(network, config).objective(batch, draws, noise, kl_weight=1.0)
    assert ours["total"].item() == pytest.approx(theirs["total"].item(), rel=1e-5)
    found, wanted = gradients(network, ours["total"]), gradients(network, theirs["total"])
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-3, atol=1e-5, msg=name)


def test_gradients_equal_finite_differences(batch_of, network_of):
    config = config_of(hidden=2, layers=2, regulariser=True)
    tiny = windows(3, flows=6, nodes=3, features=5)
    batch, network = batch_of(tiny, double=True), network_of(config).double()
    draws, noise = prepared(batch, config)
    view = draws.view(batch)

    def total():
        return objective(network, config, batch, draws, view, noise, kl_weight=0.5)["total"]

    found = gradients(network, total())
    step = 1e-6
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            flat = parameter.view(-1)
            for place in range(0, len(flat), max(len(flat) // 6, 1)):
                kept = flat[place].item()
                flat[place] = kept + step
                above = total()
                flat[place] = kept - step
                slope = (above - total()) / (2 * step)
                flat[place] = kept
                gradient = found[name].view(-1)[place]
                torch.testing.assert_close(slope, gradient, rtol=1e-5, atol=1e-7, msg=name)


def test_a_window_of_one_host_has_no_negative_links(batch_of, network_of):
    config = config_of(negatives=1.0)
    batch = batch_of(windows(1))
    draws, noise = prepared(batch, config)
    assert draws.weight.sum() == 0
    terms = objective(
        network_of(config), config, batch, draws, draws.view(batch), noise, kl_weight=1
    )
    assert all(torch.isfinite(value) for value in terms.values())


def step_of(epoch=0, *, training=True, number=0, seed=0):
    return Step(epoch, training, generator(seed, 50), number)


def test_the_weight_of_kl_grows_and_validation_is_judged_at_the_last(graphs, batch_of, network_of):
    config = config_of(anneal_epochs=4, kl_min=0.1, kl_max=0.9)
    learner, batch = Learner(network_of(config), config, seed=0), batch_of(graphs)

    def weight(step):
        terms = learner.losses(batch, step)
        return ((terms["total"] - terms["feature"] - terms["structure"]) / terms["kl"]).item()

    found = [weight(step_of(epoch)) for epoch in (0, 1, 2, 4, 50)]
    assert found == pytest.approx([0.1, 0.3, 0.5, 0.9, 0.9], rel=1e-4)
    assert weight(step_of(0, training=False)) == pytest.approx(0.9, rel=1e-4)


def test_without_annealing_kl_has_its_full_weight_at_once():
    assert config_of(anneal_epochs=0).kl_weight(0) == 1.0
    assert config_of(anneal_epochs=10).kl_weight(0) == 0.0


def test_validation_sees_the_clean_graph_and_the_same_noise(graphs, batch_of, network_of):
    config = config_of(regulariser=True)
    learner, batch = Learner(network_of(config), config, seed=0), batch_of(graphs)
    first = learner.losses(batch, step_of(0, training=False))
    again = learner.losses(batch, step_of(7, training=False))
    assert {k: v.item() for k, v in first.items()} == {k: v.item() for k, v in again.items()}
    assert first["regulariser"] == 0
    assert first.keys() == learner.losses(batch, step_of(0)).keys()


def test_static_draws_stay_and_others_change(graphs, batch_of, network_of):
    for static in (True, False):
        config = config_of(static=static)
        learner = Learner(network_of(config), config, seed=0)
        seen = []
        for seed in (0, 1):
            # A batch that memory could not hold is made anew and must get the same draws.
            draws, view = learner._view(batch_of(graphs), step_of(number=2, seed=seed))
            seen.append((draws.cut, draws.masked, draws.negative, view.inputs))
        same = [torch.equal(a, b) for a, b in zip(*seen, strict=True)]
        assert same == [static] * 4
    config = config_of(static=True)
    learner, batch = Learner(network_of(config), config, seed=0), batch_of(graphs)
    assert learner._view(batch, step_of())[1] is learner._view(batch, step_of(seed=9))[1]
    others = [
        Learner(learner.network, config, seed=seed)._view(batch_of(graphs), step_of(number=number))
        for seed, number in ((0, 0), (0, 1), (1, 0))
    ]
    assert len({tuple(draws.cut.flatten().tolist()) for draws, _ in others}) == 3


def test_noise_is_standard_normal(graphs, batch_of, network_of):
    config = config_of(hidden=400, draws=2)
    learner = Learner(network_of(config), config, seed=0)
    batch = batch_of(graphs)
    first, second = learner._noise(batch, step_of())
    assert first.shape == (batch.flows + batch.graph.nodes, 400)
    assert not torch.equal(first, second)
    both = torch.cat([first, second])
    assert abs(both.mean()) < 0.02
    assert abs(both.std() - 1) < 0.02
