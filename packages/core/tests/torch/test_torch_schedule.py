from __future__ import annotations

import pytest
import torch

from netvigil.torch.generators import build, generator
from netvigil.torch.schedule import step_size
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.training import Step

from .learners import Autoencoder, Log, Narrow, fit, weights, windows


def rates(losses, **settings):
    config = TrainingConfig(**{"learning_rate": 0.8, **settings})
    return [step_size(config, losses[:done]) for done in range(len(losses) + 1)]


def test_without_a_schedule_the_step_size_stays():
    assert rates([1.0, 2.0, 3.0]) == [0.8] * 4


def test_plateau_halves_after_stale_epochs_and_counts_anew():
    stale = {"schedule": "plateau", "schedule_patience": 2}
    assert rates([3, 4, 3, 3, 4, 1], **stale) == [0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert rates([1, 2, 2, 2, 2], lowest_rate=0.3, **stale)[-1] == 0.3


def test_cosine_falls_from_the_first_epoch_to_the_last():
    found = rates([1.0] * 4, schedule="cosine", epochs=4, lowest_rate=0.2)
    assert found == pytest.approx(
        [0.8, 0.2 + 0.6 * (1 + 2**-0.5) / 2, 0.5, 0.2 + 0.6 * (1 - 2**-0.5) / 2, 0.2]
    )


def test_a_lowest_rate_above_the_first_changes_nothing():
    assert rates([1, 1, 1, 1], schedule="plateau", schedule_patience=1, lowest_rate=2) == [0.8] * 5


def test_the_loop_follows_it_and_says_so():
    def edit(losses, batch, step):
        return losses if step.training else losses | {"total": torch.tensor(1.0)}

    log, settings = Log(), {"schedule": "plateau", "schedule_patience": 2, "learning_rate": 0.08}
    fit([windows([9, 9])], edit=edit, watch=log.watch(), epochs=6, patience=None, **settings)
    assert [line["rate"] for line in log.events("epoch")] == [0.08] * 3 + [0.04] * 2 + [0.02]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_sgd_takes_the_steps_of_pytorchs_own(momentum, clip_norm):
    def last_is_best(losses, batch, step):
        return losses | {"judged": torch.tensor(-float(step.epoch))}

    graphs = windows([20])
    settings = {
        "edit": last_is_best,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "weight_decay": 0.1,
    }
    settings |= {"momentum": momentum, "clip_norm": clip_norm}
    ours, _ = fit([graphs], batch=100, epochs=20, validation=0, patience=None, **settings)
    learner = Autoencoder(build(Narrow, generator(0, 0), "cpu"))
    plain = torch.optim.SGD(
        learner.network.parameters(), lr=0.05, weight_decay=0.1, momentum=momentum
    )
    batch = learner.batch(graphs, torch.device("cpu"))
    for epoch in range(20):
        plain.zero_grad()
        learner.losses(batch, Step(epoch, True, generator(0, 1, epoch), 0))["total"].backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(learner.network.parameters(), clip_norm)
        plain.step()
    for name, weight in weights(learner).items():
        torch.testing.assert_close(
            torch.from_numpy(weights(ours)[name]), torch.from_numpy(weight), rtol=1e-5, atol=1e-6
        )
