"""Autoencoder and VAE from fit to state: what they give, keep and refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from netvigil.contracts import WindowGraphs
from netvigil.errors import BundleError, ConfigError, ContractError, NotFittedError, TrainingError
from netvigil.protocols import FeatureErrors, Watch, Watched
from netvigil.windows import SpooledWindows
from netvigil_tabular.config import AutoencoderConfig, VaeConfig
from netvigil_tabular.encoder import Reconstructor
from netvigil_tabular.learner import AutoencoderLearner, VaeLearner

SMALL: dict[str, Any] = {"epochs": 4, "hidden": [8], "bottleneck": 2, "device": "cpu", "batch": 32}
EVERY = {
    "autoencoder": ("error", "standardised", "mahalanobis", "knn"),
    "vae": ("error", "standardised", "mahalanobis", "knn", "kl", "elbo", "error-kl"),
}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("autoencoder", {}),
    "mixed": ("autoencoder", {"loss": "mixed", "activation": "selu"}),
    "published": (
        "autoencoder",
        {"norm": "batch", "dropout": 0.2, "code": "block", "activation": "tanh"},
    ),
    "vae": ("vae", {}),
    "drawing": ("vae", {"draws": 3, "beta": 4.0, "warmup_epochs": 2, "free_bits": 0.1}),
}


def new(name: str = "autoencoder", **settings: Any) -> Reconstructor:
    kind = VaeConfig if name == "vae" else AutoencoderConfig
    return Reconstructor(kind(**{**SMALL, "terms": EVERY[name], **settings}))


def rows(flows: int, *, seed: int = 0, features: int = 5) -> np.ndarray:
    """Draw features that rest on two factors, and a little noise."""
    rng = np.random.default_rng([seed, features])
    weights = np.random.default_rng(features).standard_normal((2, features))
    x = rng.standard_normal((flows, 2)) @ weights + 0.1 * rng.standard_normal((flows, features))
    return x.astype(np.float32)


def same_state(left: Reconstructor, right: Reconstructor) -> bool:
    one, other = left.get_state(), right.get_state()
    assert one.arrays.keys() == other.arrays.keys()
    return one.values == other.values and all(
        one.arrays[name].tobytes() == other.arrays[name].tobytes() for name in one.arrays
    )


@pytest.fixture(scope="module")
def train(flows_of: Any) -> WindowGraphs:
    return flows_of(rows(200))


@pytest.fixture(scope="module")
def probe(flows_of: Any) -> WindowGraphs:
    return flows_of(rows(60, seed=1))


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return FORMS[request.param]


def test_each_flow_gets_a_code_and_every_term(form, train, probe):
    name, settings = form
    found = new(name, **settings).fit([train], seed=0).encode(probe)
    assert found.embedding.shape == (60, 2)
    assert found.embedding.dtype == np.float32
    assert set(found.terms) == set(EVERY[name])
    for values in found.terms.values():
        assert values.shape == (60,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert np.array_equal(found.flow_id, probe.flow_id)
    assert found.window_start.tolist() == np.repeat(np.arange(6), 10).tolist()


def test_the_same_seed_gives_the_same_bits(form, train):
    name, settings = form
    first = new(name, **settings).fit([train], seed=3)
    assert same_state(first, new(name, **settings).fit([train], seed=3))
    assert not same_state(first, new(name, **settings).fit([train], seed=4))


def test_a_state_survives_a_bundle(form, train, probe, carried):
    name, settings = form
    made = new(name, **settings).fit([train], seed=0)
    heir = new(name, **settings).set_state(carried(made.get_state()))
    one, other = made.encode(probe), heir.encode(probe)
    assert one.embedding.tobytes() == other.embedding.tobytes()
    assert all(one.terms[term].tobytes() == other.terms[term].tobytes() for term in one.terms)
    assert made.feature_errors(probe).tobytes() == heir.feature_errors(probe).tobytes()
    assert same_state(made, heir)


def test_companions_do_not_matter(form, train, probe, monkeypatch):
    name, settings = form
    made = new(name, **settings).fit([train], seed=0)
    whole = made.encode(probe)
    monkeypatch.setattr("netvigil_tabular.encoder.BLOCK", 7)  # other neighbours in every product
    for other in (made.encode(probe), made.encode(probe[3:4])):
        here = slice(None) if len(other) == 60 else slice(30, 40)
        np.testing.assert_allclose(other.embedding, whole.embedding[here], rtol=1e-4, atol=1e-5)
        for term, values in other.terms.items():
            np.testing.assert_allclose(values, whole.terms[term][here], rtol=1e-3, atol=1e-5)


def test_feature_errors_average_to_standardised(form, train, probe):
    name, settings = form
    made = new(name, **settings).fit([train], seed=0)
    assert isinstance(made, FeatureErrors)
    errors = made.feature_errors(probe)
    assert errors.shape == probe.flow_x.shape
    np.testing.assert_allclose(
        errors.mean(1), made.encode(probe).terms["standardised"], rtol=1e-4, atol=1e-6
    )


def test_residuals_of_flows_held_out_average_to_one(train):
    made = new(validation=0.25).fit([train], seed=0)
    held_out = made.feature_errors(train)[150:].mean(0)
    floor = made.usual_.residual.min().item()
    usual = made.usual_.residual.numpy() > floor
    np.testing.assert_allclose(held_out[usual], 1, rtol=1e-3)


def test_draws_use_noise_of_the_seed_in_opposite_pairs(train, probe):
    made = new("vae", draws=3).fit([train], seed=0)
    points = made.points_
    assert points.shape == (3, 2)
    assert torch.equal(points[0], -points[1])
    one, again = made.encode(probe), made.encode(probe)
    assert one.terms["error"].tobytes() == again.terms["error"].tobytes()
    assert not torch.equal(points, new("vae", draws=3).fit([train], seed=1).points_)
    assert new("vae").fit([train], seed=0).points_ is None


def test_what_breaks_the_usual_link_between_features_stands_out(flows_of):
    made = new(epochs=80, learning_rate=1e-2).fit([flows_of(rows(400))], seed=0)
    x = rows(100, seed=2)
    broken = x.copy()
    broken[:, 0] = -broken[:, 0] + 2  # usual by itself, not beside the others
    usual, odd = made.encode(flows_of(x)).terms, made.encode(flows_of(broken)).terms
    for term in ("error", "standardised"):
        assert np.median(odd[term]) > 10 * np.median(usual[term])


def test_the_guilty_feature_is_named(flows_of):
    made = new(epochs=80, learning_rate=1e-2).fit([flows_of(rows(400, features=8))], seed=0)
    x = rows(1, seed=2, features=8)
    x[0, 4] += 4
    assert made.feature_errors(flows_of(x))[0].argmax() == 4


def test_training_lowers_the_loss_and_keeps_the_best_weights(train):
    lines: list[dict[str, Any]] = []
    made = new(epochs=40, learning_rate=1e-2)
    assert isinstance(made, Watched)
    assert made.passes == 40
    made.watch(Watch(write=lambda **line: lines.append(line)))
    made.fit([train], seed=0)
    judged = [line["validation"]["total"] for line in lines if line["event"] == "epoch"]
    assert min(judged) < 0.3 * judged[0]
    assert made.validation_loss_ == pytest.approx(min(judged))
    assert made.accelerator is None


def test_the_warm_up_alone_makes_no_epoch_worse(train):
    lines: list[dict[str, Any]] = []
    made = new("vae", epochs=6, beta=4.0, warmup_epochs=5)
    made.watch(Watch(write=lambda **line: lines.append(line)))
    made.fit([train], seed=0)
    for line in lines:
        if line["event"] == "epoch":
            loss = line["validation"]
            assert loss["judged"] == pytest.approx(loss["reconstruction"] + 4 * loss["kl"])
            weight = 4 * min(line["epoch"] / 5, 1)
            assert loss["total"] == pytest.approx(loss["reconstruction"] + weight * loss["kl"])


@pytest.mark.parametrize("form", ["published", "drawing"])
def test_a_killed_fit_resumes_to_the_same_bits(form, train, tmp_path):
    class KilledError(Exception):
        pass

    def killing(**line: Any) -> None:
        if line.get("epoch") == 2:
            raise KilledError

    name, settings = FORMS[form]
    settings = {**settings, "checkpoint_s": 1e-9, "schedule": "plateau"}
    whole = new(name, **settings).fit([train], seed=0)
    killed = new(name, **settings)
    killed.watch(Watch(write=killing, checkpoints=tmp_path))
    with pytest.raises(KilledError):
        killed.fit([train], seed=0)
    lines: list[dict[str, Any]] = []
    resumed = new(name, **settings)
    resumed.watch(Watch(write=lambda **line: lines.append(line), checkpoints=tmp_path))
    resumed.fit([train], seed=0)
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == [2, 3]
    assert same_state(whole, resumed)


def test_memory_mapped_windows_teach_the_same(train, tmp_path):
    spooled = SpooledWindows.write([train], tmp_path / "spool")
    assert spooled is not None
    assert same_state(new().fit(spooled, seed=0), new().fit([train], seed=0))


def test_nothing_is_drawn_from_the_global_generator(train, probe):
    before = torch.get_rng_state()
    made = new("vae", draws=2, dropout=0.1).fit([train], seed=0)
    new("vae", draws=2, dropout=0.1).set_state(made.get_state()).encode(probe)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("name", EVERY)
def test_one_flow_is_enough(name, flows_of):
    one = flows_of(rows(1))
    found = new(name, norm="batch").fit([one], seed=0).encode(one)
    assert all(np.isfinite(values).all() for values in found.terms.values())
    assert len(found) == 1


def test_fewer_train_flows_than_neighbours(flows_of, probe):
    found = new(neighbours=50).fit([flows_of(rows(4))], seed=0).encode(probe)
    assert np.isfinite(found.terms["knn"]).all()


def test_a_constant_feature_is_no_trap(flows_of):
    x = rows(200)
    x[:, 1] = 0
    made = new(epochs=30, learning_rate=1e-2).fit([flows_of(x)], seed=0)
    other = rows(50, seed=1)
    other[:, 1] = 0
    assert np.isfinite(made.encode(flows_of(other)).terms["standardised"]).all()
    other[0, 1] = 1
    found = made.encode(flows_of(other)).terms["standardised"]
    assert found.argmax() == 0
    assert np.isfinite(found).all()


def test_nothing_to_learn_from_is_said(flows_of):
    for none in (flows_of(np.empty((0, 3))), flows_of(np.empty((5, 0)))):
        with pytest.raises(ContractError, match=r"no flow|no feature"):
            new().fit([none], seed=0)
    with pytest.raises(ContractError, match=r"no flow"):
        new().fit([], seed=0)


def test_use_before_fit_is_said(probe):
    made = new()
    for use in (made.get_state, lambda: made.encode(probe), lambda: made.feature_errors(probe)):
        with pytest.raises(NotFittedError, match="'autoencoder' is used before fit"):
            use()


def test_other_features_are_refused(train, probe):
    made = new().fit([train], seed=0)
    named = replace(probe, feature_names=(*probe.feature_names[:-1], "x_new"))
    for use in (made.encode, made.feature_errors):
        with pytest.raises(ContractError, match=r"Missing: x_4. New: x_new."):
            use(named)


def test_the_state_of_another_part_is_refused(train):
    autoencoder = new().fit([train], seed=0).get_state()
    drawing = new("vae", draws=2).fit([train], seed=0).get_state()
    for heir, state in (
        (new("vae"), autoencoder),
        (new(), drawing),
        (new(hidden=[9]), autoencoder),
        (new("vae"), drawing),
        (new("vae", draws=3), drawing),
        (new(), replace(autoencoder, arrays={})),
        (new(), replace(autoencoder, values={})),
    ):
        with pytest.raises(BundleError, match="not a state of"):
            heir.set_state(state)


def test_a_loss_that_is_not_finite_stops_the_fit(flows_of):
    with pytest.raises(TrainingError, match=r"total|finite"):
        new().fit([flows_of(np.full((50, 3), 3e38))], seed=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that is absent")
def test_an_absent_gpu_is_said():
    with pytest.raises(ConfigError, match="GPU"):
        new(device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", EVERY)
def test_a_gpu_computes_the_same(name, train, probe):
    settings = {"draws": 2} if name == "vae" else {}
    made = new(name, device="cuda", **settings).fit([train], seed=0)
    assert made.accelerator
    here = new(name, **settings).set_state(made.get_state()).encode(probe)
    there = made.encode(probe)
    np.testing.assert_allclose(here.embedding, there.embedding, rtol=1e-3, atol=1e-4)
    for term, values in here.terms.items():
        np.testing.assert_allclose(values, there.terms[term], rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("form", FORMS)
def test_replayed_steps_learn_what_steps_do(form, train, monkeypatch):
    """Three epochs of many steps, of two sizes: on a GPU rounding is all that may differ."""
    name, settings = FORMS[form]
    settings = {**settings, "epochs": 3, "batch": 7, "patience": None, "device": "cuda"}
    replayed = new(name, **settings).fit([train], seed=0)
    for learner in (AutoencoderLearner, VaeLearner):
        monkeypatch.setattr(learner, "captures", False)
    stepped = new(name, **settings).fit([train], seed=0)
    one, two = replayed.get_state().arrays, stepped.get_state().arrays
    for key in one:
        if key.startswith("network."):
            np.testing.assert_allclose(one[key], two[key], rtol=1e-2, atol=1e-3, err_msg=key)
    assert replayed.validation_loss_ == pytest.approx(stepped.validation_loss_, rel=1e-3)
