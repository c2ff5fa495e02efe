"""The training loop of all methods: seeded, with early stopping, resumable, in plain PyTorch.

A method gives a `Learner`: a network, how windows become a batch, and the losses of a batch; or, to
`fit_rows`, a `RowLearner`, which sees flows one by one in random order.
Everything random comes from `generator(seed, ...)`: one stream for the initial weights, one per
epoch of training (and of the order of rows), and one for validation, which therefore sees the same
noise in every epoch. So a resumed fit draws what an uninterrupted one would have drawn, and on a
CPU ends in the same bits; on a GPU the order of atomic additions varies, and with it the last
digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from netvigil.contracts import WindowStream, require_reiterable
from netvigil.errors import TrainingError
from netvigil.protocols import Watch
from netvigil.torch.batches import flows_per_window
from netvigil.torch.checkpoints import Checkpoint, Checkpoints
from netvigil.torch.device import resolve_device, threads_for
from netvigil.torch.learners import Batch, Learner, RowLearner, Step, Trained
from netvigil.torch.loop import Fit, Task, try_step
from netvigil.torch.settings import TrainingConfig

__all__ = [
    "AUTO_FLOWS",
    "Batch",
    "Learner",
    "RowLearner",
    "Step",
    "Trained",
    "fit_network",
    "fit_rows",
    "hold_out",
    "rows_before_hold_out",
]

AUTO_FLOWS = {"cpu": 16_384, "cuda": 131_072}
"""Most flows per step for `batch = "auto"`: larger steps were no faster on two cores, and a GPU
takes all that a stream yields at once."""
AUTO_STEPS, LEAST_FLOWS = 16, 256
"""Fewer flows per step where an epoch would have fewer steps than that, but not fewer than these:
a short capture must not mean a network that was hardly trained."""

L = TypeVar("L", bound=Learner[Any])
R = TypeVar("R", bound=RowLearner)
E = TypeVar("E", bound=Learner[Any] | RowLearner)  # either


def fit_network(
    make: Callable[[torch.device, torch.Generator], L],
    windows: WindowStream,
    config: TrainingConfig,
    *,
    seed: int,
    watch: Watch,
    name: str,
) -> tuple[L, Trained]:
    """Train what `make(device, generator)` returns until its loss no longer falls.

    `make` gets a CPU generator for the initial weights; it is called again where a batch does not
    fit into the device's memory. What is held out says `hold_out`; where nothing can be, the mean
    training loss of an epoch is monitored instead, while the weights still change.

    Raises:
        ConfigError: The device does not exist.
        ContractError: A one-shot iterator of windows.
        TrainingError: No flows; a loss that is not finite (says epoch, step, term and the last
            checkpoint); not enough memory on the device (says which batch would fit); a checkpoint
            of other settings, another seed or other data.
    """
    sizes = _sizes(windows, name)
    held_out = hold_out(sizes, config.validation)
    device = resolve_device(config.device)
    return _fit(Task(make, windows, config, seed, watch, name, device, sizes, held_out))


def fit_rows(
    make: Callable[[torch.device, torch.Generator], R],
    windows: WindowStream,
    config: TrainingConfig,
    *,
    seed: int,
    watch: Watch,
    name: str,
) -> tuple[R, Trained]:
    """Train on flows one by one, shuffled anew in every epoch, wherever windows begin and end.

    Held out is the share `config.validation` of all flows, the latest ones; see
    `rows_before_hold_out`. All else is as in `fit_network`; `config.batch_windows` is not used.

    Raises:
        ConfigError, ContractError, TrainingError: As `fit_network` does.
    """
    sizes = _sizes(windows, name)
    held_out = rows_before_hold_out(int(sizes.sum()), config.validation)
    device = resolve_device(config.device)
    return _fit(
        Task(make, windows, config, seed, watch, name, device, sizes, held_out, by_row=True)
    )


def rows_before_hold_out(flows: int, share: float) -> int:
    """Return how many of so many flows are trained on: all but about the latest `share`.

    At least one is trained on, and one held out, unless the share is 0 or there is but one flow.

    Example:
        >>> [rows_before_hold_out(flows, 0.2) for flows in (1, 2, 100)]
        [1, 1, 80]
    """
    held_out = 0 if share == 0 or flows == 1 else max(round(flows * share), 1)
    return max(flows - held_out, 1)


def _sizes(windows: WindowStream, name: str) -> NDArray[np.int64]:
    """Return the flows of every window; refuses a one-shot iterator and a stream of no flow."""
    sizes = flows_per_window(require_reiterable(windows))
    if not sizes.sum():
        msg = f"'{name}' was given no flow to train on."
        raise TrainingError(msg, do="Check the split and what train.drop_attacks leaves.")
    return sizes


def _fit(task: Task[E]) -> tuple[E, Trained]:
    """Fit, with smaller batches where one does not fit into the device's memory."""
    checkpoints = _checkpoints(task)
    found = None if checkpoints is None else checkpoints.read()
    flows = _most_flows(task) if found is None else int(found.values["batch_flows"])
    task.say(
        "fit",
        device=str(task.device),
        batch_flows=flows,
        monitored="train" if task.held_out == task.units else "validation",
        train_flows=task.train_flows,
        validation_flows=task.flows - task.train_flows,
    )
    while True:
        done = _attempt(task, flows, checkpoints, found)
        if done is not None:
            return done
        fewer = _fewer_flows(task, flows)
        task.say("out of memory", batch_flows=flows, next_batch_flows=fewer)
        flows, found = fewer, None


def hold_out(sizes: NDArray[np.int64], share: float) -> int:
    """Return the number of the first window to hold out: the latest windows, about that share.

    Never more than half of the flows (or `share`, where it is larger), never all, and at least one
    window with flows; where no cut between windows does that, the number of all windows.

    Shapes:
        sizes: int64 [windows], flows of each window

    Example:
        >>> hold_out(np.array([10, 10, 10, 10, 10]), 0.2)
        4
        >>> hold_out(np.array([10, 90]), 0.2)
        2
    """
    total = int(sizes.sum())
    held = np.cumsum(sizes[::-1])[::-1]
    fits = np.flatnonzero((held > 0) & (held < total) & (held <= max(share, 0.5) * total))
    if share == 0 or not len(fits):
        return len(sizes)
    return int(fits[np.abs(held[fits] - share * total).argmin()])


def _checkpoints(task: Task[Any]) -> Checkpoints | None:
    folder, config = task.watch.checkpoints, task.config
    if folder is None:
        return None
    first = next(iter(task.windows))
    identity = {
        "settings": config.model_dump(mode="json", exclude={"checkpoint_s", "device"}),
        "seed": task.seed,
        "device": task.device.type,
        "features": [first.schema, *first.feature_names],
        "windows": hashlib.sha256(task.sizes.tobytes()).hexdigest(),
    }
    return Checkpoints(folder / f"{task.name}.safetensors", identity, config.checkpoint_s)


def _attempt(
    task: Task[E], flows: int, checkpoints: Checkpoints | None, found: Checkpoint | None
) -> tuple[E, Trained] | None:
    """Fit with batches of at most so many flows; None where the device's memory does not do."""
    try:
        fit = Fit(task, flows, checkpoints)
        if found is not None:
            fit.restore(found)
        with threads_for(_flows_per_step(task, flows), task.device):
            return fit.learner, fit.run()
    except torch.OutOfMemoryError:
        return None


def _flows_per_step(task: Task[Any], flows: int) -> int:
    """Return about how many flows a step has."""
    if task.by_row:
        return flows
    if task.config.batch_windows is None:
        return max(flows, int(task.sizes.mean()))
    return int(task.sizes.mean() * task.config.batch_windows)


def _most_flows(task: Task[Any]) -> int:
    """Return how many flows a step may have, as far as that is settled before the first one."""
    config, total = task.config, task.flows
    if config.batch_windows is not None and not task.by_row:
        return total  # no limit: windows are counted instead
    if config.batch != "auto":
        return min(config.batch, total)
    few = max(task.train_flows // AUTO_STEPS, LEAST_FLOWS)
    return min(AUTO_FLOWS[task.device.type], few, total)


def _fewer_flows(task: Task[Any], flows: int) -> int:
    """Return half as many flows for the next attempt, or say what would have fitted.

    Raises:
        TrainingError: The user chose the batch, or one window alone is too large.
    """
    largest, config = task.largest, task.config
    if task.device.type == "cuda":
        torch.cuda.empty_cache()
    if config.batch_windows is None and config.batch == "auto" and flows > largest:
        return max(flows // 2, 1)
    if config.batch_windows is not None:
        tried = f"{config.batch_windows} windows"
        counts = np.concatenate([[0], np.cumsum(task.sizes)])
        step = min(config.batch_windows, len(task.sizes))
        flows = int((counts[step:] - counts[:-step]).max())
    else:
        tried = f"{max(flows, largest):,} flows"
    fitting = _fitting(task, flows, largest)
    if fitting is None:
        do = f'One window has {largest:,} flows; use shorter windows, or device = "cpu".'
    else:
        unset = "batch_windows unset and " if config.batch_windows is not None else ""
        do = f'A batch of {fitting:,} flows would fit: use {unset}batch = {fitting} or "auto".'
    msg = f"'{task.name}': a step of {tried} does not fit into the memory of {task.device}."
    raise TrainingError(msg, where=f"seed {task.seed}", do=do)


def _fitting(task: Task[Any], flows: int, largest: int) -> int | None:
    """Find by trying how many flows fit, halving; None where not even the largest window does."""
    while flows > largest:
        flows //= 2
        try:
            try_step(task, flows)
        except torch.OutOfMemoryError:
            continue
        return max(flows, largest)
    return None
