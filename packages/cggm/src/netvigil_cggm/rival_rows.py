"""What rivals share that learn the features of a node from its class, row by row, with a network.

These are generators of tables and not of graphs: links are drawn at random, as many as a train
snapshot has. Classes are drawn by the logarithm of their frequency, as CTGAN has it (Xu et al.,
arXiv 1907.00503, section 4.3; here of one more, since a class of one row has the logarithm 0).
Features that are constant in training stay so; what leaves the range of training is cut off.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.protocols import Watch
from netvigil.torch.device import resolve_device, threads_for
from netvigil.torch.generators import generator
from netvigil_cggm.rivals import ByClass, Rows
from netvigil_cggm.snapshots import Snapshots

BLOCK = 4_096  # rows made at a time


@dataclass(frozen=True)
class RowSettings:
    """How a network learns rows."""

    steps: int = 600
    batch: int = 500
    device: str = "cpu"


class Classes:
    """Draws rows for a step: a class by the logarithm of its frequency, then a row of it."""

    def __init__(self, label: NDArray[np.int64], device: torch.device) -> None:
        count = np.bincount(label)
        chance = np.log1p(count) / np.maximum(count, 1)
        self._chance = torch.tensor(chance[label], dtype=torch.float32, device=device)

    def rows(self, many: int, dice: torch.Generator) -> Tensor:
        """Draw numbers of rows, int64 [many]."""
        return torch.multinomial(self._chance, many, replacement=True, generator=dice)


class RowRival(ByClass):
    """Learns the features that vary, within [0, 1], and makes them class by class.

    Raises:
        ConfigError: A device that is not there.
        TrainingError: A loss that is not finite.
    """

    def __init__(self, settings: RowSettings) -> None:
        super().__init__()
        self._device = resolve_device(settings.device)
        self._batch = settings.batch
        self._watch = Watch()
        self.moving_: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def watch(self, watch: Watch) -> None:
        """Report the next `fit_snapshots` to `watch`."""
        self._watch = watch

    def fit_snapshots(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn from the nodes of train snapshots; their links are only counted."""
        super().fit_snapshots(snapshots, seed=seed)
        assert self.learnt_ is not None
        flat = snapshots.x.reshape(-1, snapshots.x.shape[2])
        self.moving_ = flat.max(0) > flat.min(0)
        if self.moving_.any():
            x = self.learnt_.scale.into(flat)[:, self.moving_]
            with threads_for(self._batch, self._device):
                self._learn(x, snapshots.label.ravel(), len(snapshots.classes), seed)
        return self

    def _features(self, label: NDArray[np.int64], rng: np.random.Generator) -> Rows:
        assert self.learnt_ is not None
        flat = label.ravel()
        x = np.zeros((len(flat), len(self.moving_)), np.float32)
        dice = generator(int(rng.integers(2**63)), device=self._device)
        for first in range(0, len(flat) if self.moving_.any() else 0, BLOCK):
            here = slice(first, first + BLOCK)
            with torch.no_grad():
                made = self._give(torch.tensor(flat[here], device=self._device), dice)
            x[here, self.moving_] = np.clip(made, 0, 1)
        return self.learnt_.scale.back(x).reshape(*label.shape, -1)

    @abstractmethod
    def _learn(self, x: Rows, label: NDArray[np.int64], classes: int, seed: int) -> None:
        """Learn from rows within [0, 1]."""

    @abstractmethod
    def _give(self, label: Tensor, dice: torch.Generator) -> Rows:
        """Make one row for each class, as they were learnt."""
