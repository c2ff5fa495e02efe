"""Optuna behind one small door: a journal of trials that a killed search goes on from.

Only the process that called `tune` opens the journal, so trials need no lock between workers. A
trial's settings depend on the seed, its number and the trials told before it, and on nothing else;
a trial that was running when the search was killed is handed out again under its own number.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvigil.config import Tune
from netvigil.errors import ConfigError
from netvigil.tuning.objectives import Goal
from netvigil.tuning.spaces import Axis, Point, Space
from netvigil.tuning.trials import Outcome

if TYPE_CHECKING:
    import optuna

_NAME = "netvigil"


@dataclass(frozen=True)
class Trial:
    """A finished trial; without a value it failed, and `reason` says why."""

    number: int
    point: Point
    outcome: Outcome


def require_optuna() -> Any:
    """Import Optuna.

    Raises:
        ConfigError: It is not installed; says how to install it.
    """
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        msg = "`netvigil tune` needs Optuna, which is not installed."
        raise ConfigError(msg, do="pip install 'netvigil[tune]'") from error


class Study:
    """The trials of one search, kept in the file `journal`."""

    def __init__(self, journal: Path, space: Space, goal: Goal, tune: Tune, *, trials: int) -> None:
        self._space, self._tune, self.trials = space, tune, trials
        self._optuna = require_optuna()
        self._running: dict[int, optuna.Trial] = {}
        # A grid is visited in a shuffled order, so that a search cut short has seen all of it.
        size = space.size
        self._order = (
            np.random.default_rng(tune.seed).permutation(size)
            if tune.sampler == "grid" and size is not None
            else None
        )
        with _quiet(self._optuna):
            backend = self._optuna.storages.journal.JournalFileBackend(str(journal))
            self._study: optuna.Study = self._optuna.create_study(
                storage=self._optuna.storages.JournalStorage(backend),
                sampler=self._sampler(0),
                study_name=_NAME,
                direction=goal.direction,
                load_if_exists=True,
            )
        running = self._optuna.trial.TrialState.RUNNING
        self._stopped = [t for t in self._study.get_trials(deepcopy=False) if t.state == running]

    def next(self) -> tuple[int, Point] | None:
        """Hand out a trial: those that a kill interrupted first; None where all are handed out."""
        if self._stopped:
            stopped = self._stopped.pop(0)
            self._study.sampler = self._sampler(stopped.number)
            # Optuna has no public way to go on with a trial of another process.
            return self._open(self._optuna.trial.Trial(self._study, stopped._trial_id))
        waiting = self._optuna.trial.TrialState.WAITING
        known = self._study.get_trials(deepcopy=False)
        if not any(t.state == waiting for t in known):
            if len(known) >= self.trials:
                return None
            if self._order is not None:
                point = self._space.point(int(self._order[len(known)]))
                self._study.enqueue_trial({key: _text(value) for key, value in point.items()})
        self._study.sampler = self._sampler(len(known))
        return self._open(self._study.ask())

    def tell(self, number: int, outcome: Outcome) -> None:
        """Write down how a trial ended."""
        state = self._optuna.trial.TrialState
        trial = self._running.pop(number)
        for key in ("each", "reason", "seconds"):
            trial.set_user_attr(key, getattr(outcome, key))
        if outcome.value is None:
            self._study.tell(number, state=state.FAIL)
        else:
            self._study.tell(number, outcome.value)

    def finished(self) -> list[Trial]:
        """Return the finished trials by number."""
        return [
            Trial(
                number=trial.number,
                point={a.key: _value(a, trial.params[a.key]) for a in self._space.axes},
                outcome=Outcome(
                    None if trial.value is None else float(trial.value),
                    tuple(trial.user_attrs["each"]),
                    trial.user_attrs["reason"],
                    trial.user_attrs["seconds"],
                ),
            )
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state.is_finished()
        ]

    def _open(self, trial: optuna.Trial) -> tuple[int, Point]:
        self._running[trial.number] = trial
        return trial.number, self._suggest(trial)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Make the sampler of one trial, so that a resumed search proposes what it would have."""
        samplers = self._optuna.samplers
        seed = int(np.random.SeedSequence([self._tune.seed, number]).generate_state(1)[0])
        kind = samplers.TPESampler if self._tune.sampler == "tpe" else samplers.RandomSampler
        made: optuna.samplers.BaseSampler = kind(seed=seed)
        return made

    def _suggest(self, trial: optuna.Trial) -> Point:
        """Draw each setting, or take what the journal has for this trial."""
        point: Point = {}
        for axis in self._space.axes:
            span = axis.range
            if span is None:
                choices = [_text(value) for value in axis.values]
                drawn: Any = trial.suggest_categorical(axis.key, choices)
            elif span.whole:
                low, high, step = int(span.low), int(span.top), int(span.step or 1)
                drawn = trial.suggest_int(axis.key, low, high, step=step, log=span.log)
            else:
                drawn = trial.suggest_float(
                    axis.key, span.low, span.top, step=span.step, log=span.log
                )
            point[axis.key] = _value(axis, drawn)
        return point


def _text(value: Any) -> str:
    """Write a listed value as JSON: Optuna takes no lists or tables as choices."""
    return json.dumps(value, sort_keys=True)


def _value(axis: Axis, drawn: Any) -> Any:
    return json.loads(drawn) if axis.range is None else drawn


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna from announcing the study on standard error."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
