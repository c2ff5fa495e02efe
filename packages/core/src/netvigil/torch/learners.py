"""What a method brings to the training loop, and what the loop gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netvigil.contracts import WindowGraphs
from netvigil.torch.rows import RowBatch


class Batch(Protocol):
    """What a step sees; `GraphBatch` is one."""

    @property
    def flows(self) -> int:
        """Number of flows, the weight of its loss in an epoch's mean."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        ...


B = TypeVar("B", bound=Batch)


@dataclass(frozen=True, slots=True)
class Step:
    """One batch of one epoch.

    `training` is False in validation, which is to be judged at the final loss weights. `generator`
    is on the device and the only source of randomness; `epoch` and `number` count from 0.
    """

    epoch: int
    training: bool
    generator: torch.Generator
    number: int


class Learner(Protocol[B]):
    """What a method brings to the loop. A checkpoint keeps its `network` and nothing else."""

    @property
    def network(self) -> nn.Module:
        """The parameters to learn."""
        ...

    def batch(self, graphs: WindowGraphs, device: torch.device) -> B:
        """Copy windows into tensors on the device; called once per run where memory allows."""
        ...

    def losses(self, batch: B, step: Step) -> Mapping[str, Tensor]:
        """Return scalars by name, the same names in every step; `total` is minimised.

        A learner whose `writes_gradients` is true leaves the gradient of `total` in its parameters'
        `grad` in training, all of it; otherwise autograd finds it.

        Where weights in `total` change over epochs, `judged` is what epochs are compared by: the
        loss at the final weights. Without it that is `total`.
        """
        ...


class RowLearner(Protocol):
    """What a method brings that learns from flows one by one, in random order; see `fit_rows`.

    A checkpoint keeps its `network` and nothing else. Where its `captures` is true, a GPU records
    the first training step of each size in an epoch and replays it for the others: `losses` then
    waits for nothing that the GPU computes, and does not look at the step's number.
    """

    @property
    def network(self) -> nn.Module:
        """The parameters to learn."""
        ...

    def columns(self, graphs: WindowGraphs) -> tuple[NDArray[Any], ...]:
        """Return what a step needs of each flow: arrays [flows, ...], of the same types always."""
        ...

    def losses(self, batch: RowBatch, step: Step) -> Mapping[str, Tensor]:
        """Return scalars by name, see `Learner.losses`."""
        ...


@dataclass(frozen=True)
class Trained:
    """How a fit went. The network is in eval mode and holds the weights of `best_epoch`.

    `monitored` says which loss `best_loss` is. `history` has one entry per epoch: `epoch`, `train`
    and `validation` (None where nothing was held out), each term's mean over flows. `batch_flows`
    is the most flows that a training step was given, larger windows apart.
    """

    epochs: int
    best_epoch: int
    best_loss: float
    monitored: Literal["validation", "train"]
    history: list[dict[str, Any]]
    device: torch.device
    batch_flows: int

    @property
    def validation_loss(self) -> float:
        """The best loss on the windows held out; infinite where none were."""
        return self.best_loss if self.monitored == "validation" else float("inf")
