"""How the step size changes over epochs: a pure function of the settings and the losses so far.

So a fit that goes on from a checkpoint needs nothing but the history that it keeps anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from netvigil.torch.settings import TrainingConfig


def step_size(config: TrainingConfig, losses: Sequence[float]) -> float:
    """Return the step size of the next epoch, given the loss that each epoch before is judged by.

    "plateau" halves it after every `schedule_patience` epochs in a row without a better loss;
    "cosine" lets it fall along half a cosine from the first epoch to `lowest_rate` after the last.

    Example:
        >>> config = TrainingConfig(schedule="plateau", schedule_patience=2, learning_rate=0.8)
        >>> [step_size(config, [3.0, 2.0, 2.0, 2.5, 1.0][:epochs]) for epochs in range(6)]
        [0.8, 0.8, 0.8, 0.8, 0.4, 0.4]
    """
    rate, lowest = config.learning_rate, min(config.lowest_rate, config.learning_rate)
    if config.schedule == "cosine":
        done = len(losses) / config.epochs
        return lowest + (rate - lowest) * (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "plateau":
        best, stale = math.inf, 0
        for loss in losses:
            stale = 0 if loss < best else stale + 1
            best = min(best, loss)
            if stale == config.schedule_patience:
                rate, stale = max(rate / 2, lowest), 0
    return rate
