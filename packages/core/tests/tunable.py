"""Parts for the tests of `netvigil tune`: an encoder with a loss, a scorer with a seed in it.

A module of its own, as worker processes load their plugins from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from netvigil import hookimpl, parts, tuning
from netvigil.config import Experiment, parse_experiment
from netvigil.contracts import ScoreTable
from netvigil.errors import RunError
from netvigil.phases import Phases
from netvigil.plugins import Plugins
from netvigil.protocols import State, Watch

from . import fakes

SPACE = {"encoder.shift": [0.0, 0.2, 0.4, 0.6], "encoder.noise": [0.0, 1.0]}


class LearnerConfig(parts.PartConfig):
    """Settings of `learner`: its loss is lowest at `shift` 0.4 and `noise` 0."""

    shift: float = 0.0
    noise: float = 0.0
    breaks: bool = False
    dies: bool = False
    held_out: bool = True
    epochs: int = 1


class Learner(fakes.Sigma):
    """Sigma with a validation loss, noise from the seed, and a power supply that can be cut."""

    fits: ClassVar[list[tuple[dict[str, Any], int]]] = []
    """What was fitted, with which seed, in this process."""
    stop_after: int | None = None
    checkpoints: ClassVar[list[Path]] = []

    passes = 1

    def __init__(self, config: LearnerConfig) -> None:
        super().__init__(fakes.SigmaConfig())
        self.own = config
        self.watched = Watch()

    def watch(self, watch: Watch) -> None:
        self.watched = watch

    def fit(self, windows: Any, *, seed: int) -> Any:
        if self.own.dies:
            os._exit(3)
        if self.own.breaks:
            msg = "The loss is not finite."
            raise RunError(msg, do="Lower encoder.noise.")
        if type(self).stop_after is not None and len(self.fits) >= type(self).stop_after:
            raise KeyboardInterrupt
        self.fits.append((self.own.model_dump(), seed))
        super().fit(windows, seed=seed)
        self.noise_ = np.random.default_rng(seed).normal(0, self.own.noise, 50_000)
        loss = (self.own.shift - 0.4) ** 2 + 0.01 * self.own.noise + 0.001 * seed
        self.validation_loss_ = loss if self.own.held_out else float("inf")
        if self.watched.checkpoints is not None:
            self.checkpoints.append(self.watched.checkpoints)
            self.watched.write(event="epoch", loss=loss, threads=os.environ.get("OMP_NUM_THREADS"))
        return self

    def encode(self, windows: Any) -> Any:
        encoded = super().encode(windows)
        assert encoded.embedding is not None
        rows = windows.flow_id % len(self.noise_)
        moved = encoded.embedding + self.noise_[rows][:, None].astype(np.float32)
        return type(encoded)(encoded.flow_id, encoded.window_start, moved, terms=encoded.terms)

    def get_state(self) -> State:
        state = super().get_state()
        return State(arrays={**state.arrays, "noise": self.noise_}, values=state.values)

    def set_state(self, state: State) -> Any:
        self.noise_ = state.arrays["noise"]
        return super().set_state(state)


class JitterConfig(parts.PartConfig):
    """Settings of `jitter`: how much of the score is noise from the seed."""

    noise: float = 0.1


class Jitter(fakes.MedianDistance):
    """Median distance with noise by the flow's number and the seed."""

    def __init__(self, config: JitterConfig) -> None:
        super().__init__(fakes.MedianDistanceConfig())
        self.noise = config.noise

    def fit(self, encoded: Any, *, seed: int) -> Any:
        self.seed = seed
        return super().fit(encoded, seed=seed)

    def score(self, encoded: Any) -> ScoreTable:
        plain = super().score(encoded)
        drawn = np.random.default_rng(self.seed).normal(0, self.noise, 50_000)
        return ScoreTable(plain.flow_id, plain.score + drawn[plain.flow_id], plain.window_start)


class TunablePlugin:
    @hookimpl
    def netvigil_encoders(self) -> Iterator[parts.Encoder]:
        yield parts.Encoder(
            name="learner",
            summary="Has a loss.",
            config=LearnerConfig,
            make=Learner,
            presets={
                "noisy": {
                    "encoder": {"noise": 1.0},
                    "graph": {"builder": "flow-host", "window_s": 30},
                }
            },
            spaces={
                "published": SPACE,
                "wide": SPACE | {"scorer.noise": [0.0, 9.0], "threshold.keep": [0.1, 0.2]},
                "cuts": {"threshold.keep": [0.1, 0.2]},
            },
        )

    @hookimpl
    def netvigil_scorers(self) -> Iterator[parts.Scorer]:
        yield parts.Scorer(name="jitter", summary="Noise.", config=JitterConfig, make=Jitter)


def load() -> Plugins:
    """Load what the tests tune, here and in worker processes."""
    return fakes.plugins(TunablePlugin())


def experiment(source: Path, **sections: Mapping[str, Any]) -> Experiment:
    """Return an experiment on `learner` and `jitter`."""
    own = {"encoder": {"name": "learner"}, "scorer": {"name": "jitter"}}
    return parse_experiment(fakes.settings(source, **(own | sections)), base=source.parent)


def search(source: Path, out: Path, *, resume=False, jobs=1, phases=None, **sections):
    """Tune an experiment."""
    return tuning.tune(
        experiment(source, **sections),
        base=source.parent,
        out=out,
        phases=phases or Phases(),
        load=load,
        resume=resume,
        jobs=jobs,
    )


def log_lines(folder: Path) -> list[dict[str, Any]]:
    """Read a search's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
