"""One trial: lay a point over the experiment, fit with each seed, and judge by the objective.

A trial sees `Material` only. What it fits is kept in the work folder, so that a later trial with
the same encoder settings trains nothing again.
"""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil import parts, protocols
from netvigil.contracts import EncodedFlows, WindowGraphs
from netvigil.errors import ConfigError, NetvigilError
from netvigil.learn import encode_rows
from netvigil.phases import Phases
from netvigil.pipeline import Assembly, encode_checked
from netvigil.plugins import Plugins
from netvigil.prepare import sample_rows
from netvigil.tuning.encodings import Encoding, encoding_name
from netvigil.tuning.files import plan
from netvigil.tuning.material import Material, preparation
from netvigil.tuning.objectives import Goal, agreement, average_precision
from netvigil.tuning.spaces import Point
from netvigil.windows import ChainedWindows


class NoLossError(ConfigError):
    """The encoder reports no validation loss: no trial of this search can succeed."""


@dataclass(frozen=True)
class Outcome:
    """What a trial ended with: a value, or the reason why there is none.

    `each` are the values behind the mean: one per seed, or per pair of seeds.
    """

    value: float | None
    each: tuple[float, ...] = ()
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Trials:
    """Everything that the trials of one search share."""

    values: Mapping[str, Any]
    base: Path
    plugins: Plugins
    goal: Goal
    material: Material
    work: Path
    log: Path | None = None

    def settle(self, number: int, point: Point) -> Outcome:
        """Run one trial; an error that netvigil raises on purpose is its outcome.

        Raises:
            NoLossError: The objective is the validation loss, and the encoder reports none.
        """
        begin = time.perf_counter()
        try:
            each = tuple(self._each(number, point))
        except NoLossError:
            raise
        except NetvigilError as error:
            return Outcome(None, reason=str(error), seconds=time.perf_counter() - begin)
        value = statistics.fmean(each)
        if not math.isfinite(value):
            return Outcome(None, each, f"The objective is {value}.", time.perf_counter() - begin)
        return Outcome(value, each, seconds=time.perf_counter() - begin)

    def _each(self, number: int, point: Point) -> list[float]:
        where = f"trial {number}"
        experiment, assembly = plan(self.values, point, self.plugins, base=self.base, where=where)
        if preparation(experiment, assembly) != self.material.preparation:
            msg = "These settings change how data is prepared, which is done once for all trials."
            raise ConfigError(msg, do="Tune one experiment file per such setting instead.")
        seeds = experiment.run.seeds if random_parts(assembly) else experiment.run.seeds[:1]
        fit_flows = experiment.features.fit_flows
        encodings = (self._encoding(assembly, number, seed, fit_flows) for seed in seeds)
        if self.goal.name == "validation-loss":
            return [_loss(encoding, assembly) for encoding in encodings]
        scores = [
            _score(assembly, encoding, seed)
            for seed, encoding in zip(seeds, encodings, strict=True)
        ]
        if self.goal.name == "seed-agreement":
            return agreement(scores)
        assert self.material.truth is not None
        return [average_precision(score, self.material.truth) for score in scores]

    def _encoding(self, assembly: Assembly, number: int, seed: int, fit_flows: int) -> Encoding:
        """Fit and encode, or take what an earlier trial with these encoder settings left."""
        chosen = assembly.encoder
        path = self.work / "encodings" / encoding_name(chosen, seed)
        if path.exists():
            return Encoding.load(path)
        encoder: protocols.Encoder = chosen.make()
        if isinstance(encoder, protocols.Watched):
            encoder.watch(self._watch(number, seed))
        encoder = encoder.fit(self.material.train, seed=seed)
        loss = getattr(encoder, "validation_loss_", None)
        # Infinite or nothing where no window was held out.
        made = Encoding(float(loss) if loss is not None and math.isfinite(loss) else None)
        if self.goal.name != "validation-loss":
            rows = sample_rows(self.material.train.flows, fit_flows, seed)

            def encode(windows: WindowGraphs) -> EncodedFlows:
                return encode_checked(encoder, chosen.name, windows)

            train = encode_rows(encode, self.material.train, rows)
            held_out = self._held_out(encode, fit_flows, seed)
            if self.material.held_out is not None and isinstance(encoder, protocols.Refits):
                whole = ChainedWindows((self.material.train, self.material.held_out))
                encoder = encoder.refit(whole, seed=seed)
            calibrate = encode_rows(encode, self.material.calibrate, None)
            made = Encoding(made.loss, train, calibrate, held_out)
        made.save(path)
        shutil.rmtree(self._checkpoints(number, seed), ignore_errors=True)
        return made

    def _held_out(
        self, encode: Callable[[WindowGraphs], EncodedFlows], fit_flows: int, seed: int
    ) -> EncodedFlows | None:
        windows = self.material.held_out
        if windows is None:
            return None
        return encode_rows(encode, windows, sample_rows(windows.flows, fit_flows, seed))

    def _watch(self, number: int, seed: int) -> protocols.Watch:
        """Keep checkpoints by trial, as two trials may fit equal settings at the same time."""
        checkpoints = self._checkpoints(number, seed)
        checkpoints.mkdir(parents=True, exist_ok=True)
        phases = Phases(log=self.log)

        def write(**values: object) -> None:
            phases.write(trial=number, **values)

        return protocols.Watch(write=write, checkpoints=checkpoints)

    def _checkpoints(self, number: int, seed: int) -> Path:
        return self.work / "checkpoints" / f"{number}-{seed}"


def check_space(points: Iterator[Point], attempt: Callable[[Point], object], *, where: str) -> None:
    """Refuse a space of which no point can be assembled, before a byte is read.

    Raises:
        ConfigError: With what the first point is refused for.
    """
    first: NetvigilError | None = None
    for point in points:
        try:
            attempt(point)
        except NetvigilError as error:
            first = first or error
        else:
            return
    if first is not None:
        msg = f"No point of the space makes a pipeline. The first is refused: {first.what}"
        raise ConfigError(msg, where=first.where or where, do=first.do)


def random_parts(assembly: Assembly) -> tuple[str, ...]:
    """Name those of encoder and scorer in which a seed decides something."""
    encoder, scorer = assembly.encoder.part, assembly.scorer.part
    assert isinstance(encoder, parts.Encoder)
    assert isinstance(scorer, parts.Scorer)
    found = []
    if encoder.passes != "none" and encoder.seeded:
        found.append(encoder.name)
    if scorer.seeded:
        found.append(scorer.name)
    return tuple(found)


def no_loss(name: str) -> NoLossError:
    """Say that an encoder reports no validation loss."""
    msg = f"Encoder '{name}' reports no validation loss."
    do = (
        "Let it hold train windows out (encoder.validation = 0.2, where it has that setting), or "
        "choose objective 'seed-agreement' (label-free) or 'validation-auprc' (reads labels)."
    )
    return NoLossError(msg, where="objective 'validation-loss'", do=do)


def _loss(encoding: Encoding, assembly: Assembly) -> float:
    if encoding.loss is None:
        raise no_loss(assembly.encoder.name)
    return encoding.loss


def _score(assembly: Assembly, encoding: Encoding, seed: int) -> NDArray[np.float64]:
    """Fit the scorer on the train encoding and score the calibration part."""
    assert encoding.train is not None
    assert encoding.calibrate is not None
    scorer: protocols.Scorer = assembly.scorer.make().fit(encoding.train, seed=seed)
    if isinstance(scorer, protocols.CalibratedScorer):
        assert encoding.held_out is not None
        scorer = scorer.calibrate(encoding.held_out, seed=seed)
    return scorer.score(encoding.calibrate).score
