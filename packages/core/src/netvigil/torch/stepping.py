"""Steps of training without the loop around them, for micro-benchmarks."""

from __future__ import annotations

from typing import Any

import torch

from netvigil.torch.adam import Adam
from netvigil.torch.device import settle, threads_for
from netvigil.torch.generators import generator
from netvigil.torch.learners import Batch, Learner, RowLearner, Step
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.sgd import Sgd


class Steps:
    """Takes steps on one batch that stays the same; each goes on from the one before."""

    def __init__(
        self,
        learner: Learner[Any] | RowLearner,
        batch: Batch,
        config: TrainingConfig,
        device: torch.device,
        *,
        seed: int,
    ) -> None:
        self.learner: Any = learner
        self.batch, self.device = batch, device
        self._rng = generator(seed, 0, device=device)
        self._written = getattr(learner, "writes_gradients", False)
        kind = Sgd if config.optimizer == "sgd" else Adam
        self._optimizer: Adam | Sgd = kind(list(learner.network.parameters()), config)
        learner.network.train()

    def take(self, count: int) -> int:
        """Take `count` steps: loss, gradient and optimizer; returns when the device is done."""
        step = Step(epoch=0, training=True, generator=self._rng, number=0)
        with threads_for(self.batch.flows, self.device):
            for _ in range(count):
                losses = self.learner.losses(self.batch, step)
                self._optimizer.step(None if self._written else losses["total"])
        settle(str(self.device))
        return count
