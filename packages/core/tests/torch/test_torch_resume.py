"""Checkpoints: a killed fit goes on to the same bits, and a foreign checkpoint is refused."""

from __future__ import annotations

import pytest

from netvigil.errors import TrainingError
from netvigil.protocols import Watch

from .learners import Log, fit, same_bits, weights, windows

STREAM = [windows([7, 5, 9]), windows([4, 8, 6, 7, 5])]
OFTEN = {"checkpoint_s": 1e-9}


class KilledError(Exception):
    """Stands for a kill."""


def killing(after, checkpoints, *, by="write"):
    """A watch that kills a fit after so many epochs: at the next log line, or amid its steps."""
    epochs = 0

    def write(**values):
        nonlocal epochs
        epochs += values["event"] == "epoch"
        if by == "write" and epochs == after + 1:
            raise KilledError

    def advance(flows):
        if by == "advance" and epochs == after:
            raise KilledError

    return Watch(advance, write, checkpoints)


@pytest.mark.parametrize("by", ["write", "advance"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_a_killed_fit_resumes_to_the_same_bits(tmp_path, by, optimizer):
    settings = {"optimizer": optimizer, "learning_rate": 0.05, **OFTEN}
    whole, trained = fit(STREAM, **settings)
    for after in (0, 2, 1):
        with pytest.raises(KilledError):
            fit(STREAM, watch=killing(after, tmp_path, by=by), **settings)
    log = Log()
    resumed, again = fit(STREAM, watch=log.watch(tmp_path), **settings)
    assert [line["epoch"] for line in log.events("resumed")] == [3]
    assert [line["epoch"] for line in log.events("epoch")] == [3, 4, 5]
    assert same_bits(weights(whole), weights(resumed))
    assert trained == again


def test_the_best_weights_of_before_the_kill_are_kept(tmp_path):
    def edit(losses, batch, step):
        value = [3.0, 1.0, 2.0, 4.0, 5.0, 6.0][step.epoch]
        return losses | {"total": losses["total"] + (0 if step.training else value * 100)}

    whole, trained = fit(STREAM, edit=edit, **OFTEN)
    with pytest.raises(KilledError):
        fit(STREAM, edit=edit, watch=killing(4, tmp_path), **OFTEN)
    resumed, again = fit(STREAM, edit=edit, watch=Log().watch(tmp_path), **OFTEN)
    assert trained.best_epoch == again.best_epoch == 1
    assert same_bits(weights(whole), weights(resumed))


def test_a_finished_fit_is_not_done_again(tmp_path):
    first, trained = fit(STREAM, watch=Log().watch(tmp_path), patience=2)
    log = Log()
    again, same = fit(STREAM, watch=log.watch(tmp_path), patience=2)
    assert log.events("epoch") == []
    assert log.flows == 0
    assert same_bits(weights(first), weights(again))
    assert trained == same


def test_checkpoints_are_as_rare_as_asked(tmp_path):
    with pytest.raises(KilledError):
        fit(STREAM, watch=killing(4, tmp_path), checkpoint_s=3600)
    assert list(tmp_path.iterdir()) == []


def test_a_smaller_batch_than_asked_is_remembered(tmp_path, monkeypatch):
    import torch

    from netvigil.torch import training

    monkeypatch.setitem(training.AUTO_FLOWS, "cpu", 40)

    def edit(losses, batch, step):
        if batch.flows > 12:
            msg = "out of memory"
            raise torch.OutOfMemoryError(msg)
        return losses

    settings = {"edit": edit, "batch": "auto", **OFTEN}
    whole, _ = fit(STREAM, **settings)
    with pytest.raises(KilledError):
        fit(STREAM, watch=killing(2, tmp_path), **settings)
    log = Log()
    resumed, trained = fit(STREAM, watch=log.watch(tmp_path), **settings)
    assert trained.batch_flows == 10
    assert log.events("out of memory") == []
    assert same_bits(weights(whole), weights(resumed))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"learning_rate": 0.5}, "settings"),
        ({"stream": [windows([7, 5, 9, 4, 8, 6, 6, 6])]}, "windows"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(tmp_path, change, named):
    fit(STREAM, watch=Log().watch(tmp_path))
    stream = change.pop("stream", STREAM)
    with pytest.raises(TrainingError, match=f"differs in: {named}"):
        fit(stream, watch=Log().watch(tmp_path), **change)


def test_how_often_checkpoints_are_written_is_no_difference(tmp_path):
    fit(STREAM, watch=Log().watch(tmp_path))
    fit(STREAM, watch=Log().watch(tmp_path), checkpoint_s=5)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    fit(STREAM, watch=Log().watch(tmp_path))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match="cannot be read"):
        fit(STREAM, watch=Log().watch(tmp_path))


def test_a_broken_loss_names_the_last_good_checkpoint(tmp_path):
    def edit(losses, batch, step):
        return losses | {"total": losses["total"] * (float("inf") if step.epoch == 3 else 1)}

    with pytest.raises(TrainingError, match="term 'total' is inf") as caught:
        fit(STREAM, edit=edit, watch=Log().watch(tmp_path), **OFTEN)
    assert f"the last good checkpoint, after 3 epochs, is {tmp_path}" in str(caught.value)
