"""The loop: what it monitors, when it stops, what it keeps, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netvigil.errors import ConfigError, ContractError, TrainingError
from netvigil.torch import device, training
from netvigil.torch.generators import build, generator
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.training import Step, fit_network, hold_out
from netvigil.windows import SpooledWindows

from .learners import Autoencoder, Log, Narrow, fit, same_bits, weights, windows

SIZES = [7, 5, 9, 4, 8, 6, 7, 5]  # 51 flows


def scripted(values, *, part):
    """Make the losses of one part those listed, one per epoch."""

    def edit(losses, batch, step: Step):
        wanted = step.training == (part == "train")
        value = values[step.epoch] if wanted else 1.0
        return losses | {"total": losses["total"] * 0 + value}

    return edit


def test_training_lowers_the_loss_it_reports():
    log = Log()
    learner, trained = fit([windows(SIZES)], watch=log.watch(), epochs=60, learning_rate=0.03)
    losses = [h["validation"]["total"] for h in trained.history]
    assert trained.monitored == "validation"
    assert losses[-1] < 0.7 * losses[0]
    assert trained.best_loss == min(losses) == losses[trained.best_epoch]
    assert not learner.network.training
    assert [line["epoch"] for line in log.events("epoch")] == list(range(60))
    assert log.events("epoch")[3] | {"seconds": 0} == {
        "event": "epoch",
        "encoder": "narrow",
        "seed": 0,
        "seconds": 0,
        **trained.history[3],
    }
    assert log.flows == 60 * sum(SIZES)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    stream = [windows(SIZES)]
    (first, one), (again, two), (other, _) = fit(stream), fit(stream), fit(stream, seed=1)
    assert same_bits(weights(first), weights(again))
    assert one.history == two.history
    assert not same_bits(weights(first), weights(other))


def test_the_global_generator_is_neither_read_nor_moved():
    state = torch.get_rng_state()
    first, _ = fit([windows(SIZES)])
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    again, _ = fit([windows(SIZES)])
    torch.set_rng_state(state)
    assert same_bits(weights(first), weights(again))


def test_spooled_windows_train_like_windows_in_memory(tmp_path):
    graphs = windows(SIZES)
    spooled = SpooledWindows.write([graphs], tmp_path / "spool")
    assert spooled is not None
    assert same_bits(weights(fit(spooled)[0]), weights(fit([graphs])[0]))


def test_the_epoch_mean_weighs_batches_by_their_flows():
    def edit(losses, batch, step):
        return losses | {"total": losses["total"] * 0 + batch.flows}

    _, trained = fit([windows([6, 2, 5])], edit=edit, batch_windows=1, validation=0, epochs=1)
    assert trained.history[0]["train"]["total"] == pytest.approx((36 + 4 + 25) / 13)


def test_batches_go_in_time_order_and_validation_has_the_latest_windows():
    learner, trained = fit([windows(SIZES[:3]), windows(SIZES[3:])], batch=12, epochs=1)
    assert [(t, n, f) for _, t, n, f in learner.seen] == [
        (True, 0, 12),
        (True, 1, 9),
        (True, 2, 12),
        (True, 3, 6),
        (False, 0, 12),
    ]
    assert trained.batch_flows == 12


def test_validation_sees_the_same_noise_in_every_epoch():
    drawn: dict[bool, list[float]] = {True: [], False: []}

    def edit(losses, batch, step):
        drawn[step.training].append(float(torch.rand(1, generator=step.generator)))
        return losses

    fit([windows([10, 5])], edit=edit, epochs=4)
    assert len(set(drawn[False])) == 1
    assert len(set(drawn[True])) == 4


def test_early_stopping_waits_for_patience_and_keeps_the_best_weights():
    values = [5.0, 4.0, 3.0, 3.0, 6.0, 7.0, 1.0]
    kept = {}

    def edit(losses, batch, step):
        if not step.training:
            kept[step.epoch] = {n: p.detach().numpy().copy() for n, p in network[0].items()}
            return losses | {"total": torch.tensor(values[step.epoch])}
        return losses

    network: list = []

    def make(device, rng):
        learner = Autoencoder(build(Narrow, rng, device), edit)
        network[:] = [dict(learner.network.named_parameters())]
        return learner

    config = TrainingConfig(epochs=7, patience=3, device="cpu")
    watch = Log().watch()
    learner, trained = fit_network(
        make, [windows(SIZES)], config, seed=0, watch=watch, name="narrow"
    )
    assert (trained.epochs, trained.best_epoch, trained.best_loss) == (6, 2, 3.0)
    assert same_bits(weights(learner), kept[2])
    assert not same_bits(kept[2], kept[5])


def test_a_judged_loss_decides_in_place_of_a_total_whose_weights_change():
    judged = [4.0, 3.0, 2.0, 1.0]

    def edit(losses, batch, step):
        rising = {"total": losses["total"] * 0 + step.epoch}
        return losses | rising | {"judged": torch.tensor(judged[step.epoch])}

    trained = fit([windows(SIZES)], edit=edit, epochs=4, patience=1)[1]
    assert (trained.epochs, trained.best_epoch, trained.best_loss) == (4, 3, 1.0)


def test_without_patience_every_epoch_is_run():
    edit = scripted([1.0, 2.0, 3.0, 4.0], part="validation")
    _, trained = fit([windows(SIZES)], edit=edit, epochs=4, patience=None)
    assert (trained.epochs, trained.best_epoch) == (4, 0)


@pytest.mark.parametrize(("sizes", "share"), [([9], 0.2), (SIZES, 0.0), ([2, 90], 0.2)])
def test_the_train_loss_is_monitored_where_nothing_is_held_out(sizes, share):
    log = Log()
    edit = scripted([3.0, 1.0, 2.0], part="train")
    _, trained = fit([windows(sizes)], edit=edit, epochs=3, validation=share, watch=log.watch())
    assert (trained.monitored, trained.best_epoch) == ("train", 1)
    assert [h["validation"] for h in trained.history] == [None] * 3
    assert log.events("fit")[0]["monitored"] == "train"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.floats(0, 0.9))
def test_hold_out_is_about_the_share_and_never_all(sizes, share):
    counts = np.array(sizes, np.int64)
    first = hold_out(counts, share)
    total, held = counts.sum(), counts[first:].sum()
    assert 0 <= first <= len(counts)
    if first == len(counts):
        return
    assert 0 < held < total
    assert held <= max(0.5, share) * total
    # No other cut is nearer to the share.
    others = [counts[i:].sum() for i in range(1, len(counts))]
    near = [h for h in others if 0 < h < total and h <= max(0.5, share) * total]
    assert abs(held - share * total) <= min(abs(h - share * total) for h in near) + 1e-9


def test_empty_windows_do_no_harm():
    stream = [windows([0, 5, 0]), windows([0]), windows([4, 0, 6, 0])]
    learner, trained = fit(stream, batch_windows=1, epochs=2)
    assert {flows for *_, flows in learner.seen} == {5, 4, 6}
    assert trained.epochs == 2


@pytest.mark.parametrize("stream", [[], [windows([0, 0])]])
def test_no_flows_are_refused(stream):
    with pytest.raises(TrainingError, match="no flow to train on"):
        fit(stream)


def test_a_one_shot_iterator_is_refused():
    with pytest.raises(ContractError, match="one-shot"):
        fit(iter([windows(SIZES)]))


def test_an_absent_device_is_refused():
    with pytest.raises(ConfigError, match="No device"):
        fit([windows(SIZES)], device="abacus")


@pytest.mark.parametrize("during", ["train", "validation"])
def test_a_loss_that_is_not_finite_names_epoch_step_and_term(during):
    def edit(losses, batch, step):
        if step.epoch == 2 and step.training == (during == "train") and step.number == 0:
            losses = losses | {"feature": losses["feature"] * float("nan")}
            losses |= {"total": losses["total"] + losses["feature"]}
        return losses

    where = "epoch 2, step 0" + (" of validation" if during == "validation" else "")
    with pytest.raises(TrainingError, match=r"'narrow'.*term 'feature' is nan") as caught:
        fit([windows(SIZES)], edit=edit)
    assert where in str(caught.value)
    assert "no checkpoint" in str(caught.value)


def test_weights_that_are_not_finite_are_never_the_best_ones():
    def edit(losses, batch, step):
        # A loss of 0 whose gradient is not finite.
        weight = next(iter(losses.values()))
        return losses | {"total": torch.sqrt((weight - weight.detach()).abs())}

    with pytest.raises(TrainingError, match="weights are no longer finite"):
        fit([windows(SIZES)], edit=edit, epochs=1, validation=0, batch=1000)


def test_clipping_makes_large_gradients_alike():
    def edit(losses, batch, step):
        return losses | {"total": losses["total"] * 1e4 ** (step.number % 2)}

    def end(**settings):
        return np.concatenate(
            [w.ravel() for w in weights(fit([windows(SIZES)], **settings)[0]).values()]
        )

    np.testing.assert_allclose(end(clip_norm=1e-3, edit=edit), end(clip_norm=1e-3), rtol=1e-3)
    assert np.abs(end(edit=edit) - end()).max() > 1e-3


def test_the_learnt_parameters_own_their_memory_and_keep_no_gradient():
    learner, _ = fit([windows(SIZES)], epochs=1)
    for parameter in learner.network.parameters():
        assert parameter.requires_grad
        assert parameter.is_leaf
        assert parameter.grad is None
        assert parameter.untyped_storage().nbytes() == parameter.nbytes


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_steps_are_those_of_pytorchs_own_optimizer(optimizer, clip_norm):
    settings = {"learning_rate": 0.01, "weight_decay": 0.1, "optimizer": optimizer}
    settings["clip_norm"] = clip_norm
    graphs = windows([20])
    ours, _ = fit([graphs], batch=100, epochs=20, validation=0, patience=None, **settings)
    learner = Autoencoder(build(Narrow, generator(0, 0), "cpu"))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    plain = kind(learner.network.parameters(), lr=0.01, weight_decay=0.1)
    batch = learner.batch(graphs, torch.device("cpu"))
    for epoch in range(20):
        step = Step(epoch, True, generator(0, 1, epoch), 0)
        plain.zero_grad()
        learner.losses(batch, step)["total"].backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(learner.network.parameters(), clip_norm)
        plain.step()
    for name, weight in weights(learner).items():
        np.testing.assert_allclose(weights(ours)[name], weight, rtol=1e-5, atol=1e-6)


def test_adam_and_adamw_differ_by_their_decay():
    stream = [windows(SIZES)]
    one, _ = fit(stream, optimizer="adam", weight_decay=0.1)
    two, _ = fit(stream, optimizer="adamw", weight_decay=0.1)
    assert not same_bits(weights(one), weights(two))


# --- memory --------------------------------------------------------------------------------------


def hungry(most):
    """A learner's losses that need more memory than there is for over `most` flows."""

    def edit(losses, batch, step):
        if batch.flows > most:
            msg = "out of memory"
            raise torch.OutOfMemoryError(msg)
        return losses

    return edit


def test_out_of_memory_halves_an_automatic_batch_and_starts_again(monkeypatch):
    monkeypatch.setitem(training.AUTO_FLOWS, "cpu", 40)
    log = Log()
    learner, trained = fit(
        [windows(SIZES)], edit=hungry(12), batch="auto", watch=log.watch(), epochs=2
    )
    assert trained.batch_flows == 10
    assert [(e["batch_flows"], e["next_batch_flows"]) for e in log.events("out of memory")] == [
        (40, 20),
        (20, 10),
    ]
    plain, _ = fit([windows(SIZES)], batch=10, epochs=2)
    assert same_bits(weights(learner), weights(plain))


@pytest.mark.parametrize("chosen", [{"batch": 48}, {"batch_windows": 8, "batch": "auto"}])
def test_out_of_memory_with_a_chosen_batch_says_which_would_fit(chosen):
    with pytest.raises(TrainingError, match="does not fit into the memory of cpu") as caught:
        fit([windows(SIZES)], edit=hungry(14), **chosen)
    assert "A batch of 12 flows would fit" in str(caught.value)
    fit([windows(SIZES)], edit=hungry(14), batch=12, epochs=1)


@pytest.mark.parametrize("batch", ["auto", 100])
def test_a_window_that_does_not_fit_says_its_size(batch):
    with pytest.raises(TrainingError, match="One window has 9 flows"):
        fit([windows(SIZES)], edit=hungry(8), batch=batch)


@pytest.mark.parametrize("many", [True, False])
def test_small_steps_compute_on_one_thread_and_give_the_others_back(monkeypatch, many):
    monkeypatch.setattr(device, "SEVERAL_THREADS", 4 if many else 1_000)
    seen = set()

    def look(losses, batch, step):
        seen.add(torch.get_num_threads())
        return losses

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        fit([windows(SIZES)], edit=look, batch=12, epochs=1)
        assert seen == {2 if many else 1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
