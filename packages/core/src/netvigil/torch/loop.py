"""One attempt at a fit: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowStream
from netvigil.errors import TrainingError
from netvigil.protocols import Watch
from netvigil.torch.adam import Adam
from netvigil.torch.batches import Batches
from netvigil.torch.captured import Captured
from netvigil.torch.checkpoints import Checkpoint, Checkpoints
from netvigil.torch.generators import generator
from netvigil.torch.learners import Batch, Learner, RowLearner, Step, Trained
from netvigil.torch.rows import JUDGED, Rows
from netvigil.torch.schedule import step_size
from netvigil.torch.settings import TrainingConfig
from netvigil.torch.sgd import Sgd

L = TypeVar("L", bound=Learner[Any] | RowLearner)
Walk = Callable[[int], Iterable[Batch]]
"""Gives the batches of an epoch."""
_CALMER = "Lower learning_rate, set clip_norm, or look for extreme values in the features."
_BUILD, _TRAIN, _VALIDATE, _ORDER = range(4)  # the streams of random numbers of one seed


@dataclass(frozen=True)
class Task(Generic[L]):
    """What is to be fitted: one method on one stream of windows with one seed.

    Shapes:
        sizes: int64 [windows], flows of each window
        held_out: number of the first window held out for validation, or with `by_row` of the first
            flow; as many as there are where none is
    """

    make: Callable[[torch.device, torch.Generator], L]
    windows: WindowStream
    config: TrainingConfig
    seed: int
    watch: Watch
    name: str
    device: torch.device
    sizes: NDArray[np.int64]
    held_out: int
    by_row: bool = False

    @property
    def units(self) -> int:
        """What `held_out` counts: the number of all windows, or with `by_row` of all flows."""
        return self.flows if self.by_row else len(self.sizes)

    @property
    def flows(self) -> int:
        """Number of all flows."""
        return int(self.sizes.sum())

    @property
    def train_flows(self) -> int:
        """Number of the flows that are not held out."""
        return self.held_out if self.by_row else int(self.sizes[: self.held_out].sum())

    @property
    def largest(self) -> int:
        """Flows of the largest thing that cannot be divided."""
        return 1 if self.by_row else int(self.sizes.max())

    def say(self, event: str, **values: object) -> None:
        """Write a line to the log."""
        self.watch.write(event=event, encoder=self.name, seed=self.seed, **values)

    def start(self) -> L:
        """Make the learner with its initial weights, the same ones at every call."""
        return self.make(self.device, generator(self.seed, _BUILD))

    def walks(self, learner: L, flows: int) -> tuple[Walk, Walk | None]:
        """Return the train part and the part held out, as batches of at most `flows` flows."""
        if self.by_row:
            return self._rows(learner, flows)
        train = self._batches(learner, flows, 0, self.held_out)
        if self.held_out == self.units:
            return (lambda _: train), None
        held_out = self._batches(learner, flows, self.held_out, self.units)
        return (lambda _: train), (lambda _: held_out)

    def largest_batch(self, learner: L, flows: int) -> Batch:
        """Make the largest training batch of at most `flows` flows."""
        if self.by_row:
            first: Batch = next(iter(self._rows(learner, flows)[0](0)))
            return first
        batch: Batch = self._batches(learner, flows, 0, self.held_out).largest()
        return batch

    def _rows(self, learner: Any, flows: int) -> tuple[Walk, Walk | None]:
        rows = Rows(self.windows, learner.columns, flows=self.flows, device=self.device)

        def train(epoch: int) -> Iterable[Batch]:
            rng = generator(self.seed, _ORDER, epoch)
            return rows.shuffled(0, self.held_out, flows=flows, rng=rng)

        def validation(_: int) -> Iterable[Batch]:
            return rows.ordered(self.held_out, self.flows, flows=max(flows, JUDGED))

        return train, None if self.held_out == self.flows else validation

    def _batches(self, learner: Any, flows: int, first: int, last: int) -> Batches[Any]:
        return Batches(
            self.windows,
            lambda graphs: learner.batch(graphs, self.device),
            first=first,
            last=last,
            flows=flows,
            windows=self.config.batch_windows,
        )


class Fit(Generic[L]):
    """One attempt at a task with batches of at most `flows` flows."""

    def __init__(self, task: Task[L], flows: int, checkpoints: Checkpoints | None) -> None:
        self.task, self.flows, self.checkpoints = task, flows, checkpoints
        self.learner = task.start()
        self.network = self.learner.network
        self._written = getattr(self.learner, "writes_gradients", False)
        on_gpu = task.by_row and task.device.type == "cuda"
        self._captures = on_gpu and getattr(self.learner, "captures", False)
        kind = Sgd if task.config.optimizer == "sgd" else Adam
        self.optimizer: Adam | Sgd = kind(list(self.network.parameters()), task.config)
        self.train, self.validation = task.walks(self.learner, flows)
        self.history: list[dict[str, Any]] = []
        self.best_epoch, self.best_loss = -1, math.inf
        self.best: dict[str, Tensor] = {}

    def run(self) -> Trained:
        """Train until done; leave the best weights in the network, in eval mode."""
        while not self._done():
            begin, epoch = time.perf_counter(), len(self.history)
            self.optimizer.rate = step_size(self.task.config, [_judged(h) for h in self.history])
            train = self._epoch(epoch, self.train(epoch), training=True)
            held_out = (
                None
                if self.validation is None
                else self._epoch(epoch, self.validation(epoch), training=False)
            )
            self.history.append({"epoch": epoch, "train": train, "validation": held_out})
            self._keep_best(epoch, _judged(self.history[-1]))
            took = round(time.perf_counter() - begin, 6)
            rate = {} if self.task.config.schedule == "none" else {"rate": self.optimizer.rate}
            self.task.say("epoch", **self.history[-1], **rate, seconds=took)
            if self.checkpoints is not None and (self.checkpoints.due() or self._done()):
                self.checkpoints.write(self._checkpoint())
        self.network.load_state_dict(self.best)
        self.network.eval()
        self.optimizer.part()
        return Trained(
            epochs=len(self.history),
            best_epoch=self.best_epoch,
            best_loss=self.best_loss,
            monitored="train" if self.validation is None else "validation",
            history=self.history,
            device=self.task.device,
            batch_flows=self.flows,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this task.

        Raises:
            TrainingError: The network has other parameters than when it was written.
        """
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        values = checkpoint.values
        try:
            self.network.load_state_dict(parts["network"])
            self.optimizer.restore(parts["optimizer"], values["steps"])
        except (RuntimeError, KeyError) as error:
            msg = "The checkpoint is of another network."
            do = "Remove it to start this fit again."
            raise TrainingError(msg, where=str(error), do=do) from error
        self.best = {name: t.to(self.task.device) for name, t in parts["best"].items()}
        self.history = list(values["history"])
        self.best_epoch, self.best_loss = values["best_epoch"], values["best_loss"]
        self.task.say("resumed", epoch=len(self.history))

    def _checkpoint(self) -> Checkpoint:
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        tensors |= {f"best.{name}": t for name, t in self.best.items()}
        tensors |= {f"optimizer.{name}": t for name, t in self.optimizer.tensors().items()}
        values = {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "batch_flows": self.flows,
            "steps": self.optimizer.steps,
        }
        return Checkpoint(tensors, values)

    def _done(self) -> bool:
        epochs, patience = len(self.history), self.task.config.patience
        if epochs >= self.task.config.epochs:
            return True
        return patience is not None and epochs > 0 and epochs - 1 - self.best_epoch >= patience

    def _epoch(self, epoch: int, batches: Iterable[Any], *, training: bool) -> dict[str, float]:
        """Walk through batches once and return each term's mean over flows."""
        task, learner, autocast = self.task, self.learner, self._autocast()
        each_step = task.device.type == "cpu"  # reading a loss would make a GPU wait
        path = (_TRAIN, epoch) if training else (_VALIDATE,)
        rng = generator(task.seed, *path, device=task.device)
        self.network.train(training)
        terms: tuple[str, ...] = ()

        def take(batch: Any, number: int = 0) -> Tensor:
            nonlocal terms
            with autocast:
                losses = learner.losses(batch, Step(epoch, training, rng, number))
            terms, values = tuple(losses), [loss.detach() for loss in losses.values()]
            row = torch.stack(values) if len(values) > 1 else values[0].view(1)
            if each_step and not math.isfinite(row.sum().item()):
                self._stop(epoch, number, terms, row, training=training)
            if training:
                self.optimizer.step(None if self._written else losses["total"])
            return row

        captured = Captured(take, rng) if training and self._captures else None
        rows: list[Tensor] = []
        weights: list[int] = []
        with torch.set_grad_enabled(training):
            for number, batch in enumerate(batches):
                rows.append(take(batch, number) if captured is None else captured(batch))
                weights.append(batch.flows)
                task.watch.advance(batch.flows)
        table = torch.stack(rows).double().cpu()
        for number in (~table.isfinite().all(1)).nonzero().flatten().tolist():
            self._stop(epoch, number, terms, table[number], training=training)
        share = torch.tensor(weights, dtype=torch.float64)
        means = (table * share[:, None]).sum(0) / share.sum()
        return dict(zip(terms, means.tolist(), strict=True))

    def _keep_best(self, epoch: int, loss: float) -> None:
        if loss >= self.best_loss:
            return
        self.best_epoch, self.best_loss = epoch, loss
        self.best = {name: t.detach().clone() for name, t in self.network.state_dict().items()}
        if not torch.stack([t.isfinite().all() for t in self.best.values()]).all():
            # The step after the last loss did it, so that no loss has shown it yet.
            msg = f"'{self.task.name}' cannot train on: its weights are no longer finite."
            where = f"after epoch {epoch}, seed {self.task.seed}; {self._last_good()}"
            raise TrainingError(msg, where=where, do=_CALMER)

    def _autocast(self) -> AbstractContextManager[Any]:
        mixed = self.task.config.precision == "bfloat16" and self.task.device.type == "cuda"
        return torch.autocast("cuda", dtype=torch.bfloat16) if mixed else nullcontext()

    def _stop(
        self, epoch: int, number: int, terms: tuple[str, ...], row: Tensor, *, training: bool
    ) -> NoReturn:
        """Say which term was the first that is not finite, and what is left."""
        values = dict(zip(terms, row.tolist(), strict=True))
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        term = next((name for name in broken if name != "total"), "total")
        during = "" if training else " of validation"
        msg = f"'{self.task.name}' cannot train on: its loss term '{term}' is {values[term]}."
        raise TrainingError(
            msg,
            where=f"epoch {epoch}, step {number}{during}, seed {self.task.seed}; "
            + self._last_good(),
            do=_CALMER,
        )

    def _last_good(self) -> str:
        if self.checkpoints is None or not self.checkpoints.path.exists():
            return "no checkpoint was written before it"
        found = self.checkpoints.read()
        epochs = len(found.values["history"]) if found else 0
        return f"the last good checkpoint, after {epochs} epochs, is {self.checkpoints.path}"


def _judged(epoch: Mapping[str, Any]) -> float:
    """Return the loss that an epoch of the history is compared by."""
    shown = epoch["validation"] or epoch["train"]
    return float(shown.get("judged", shown["total"]))


def try_step(task: Task[Any], flows: int) -> None:
    """Do one step with the largest batch of at most so many flows, on weights nobody keeps."""
    learner = task.start()
    largest = task.largest_batch(learner, flows)
    rng = generator(task.seed, _TRAIN, 0, device=task.device)
    loss = learner.losses(largest, Step(epoch=0, training=True, generator=rng, number=0))["total"]
    if not getattr(learner, "writes_gradients", False):
        loss.backward()
